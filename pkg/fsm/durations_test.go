package fsm_test

import (
	"testing"
	"time"

	"github.com/leat-io/leat/pkg/fsm"
)

// The bound is that of the sum: parts that fit one by one must not wrap around.
func TestDurationsCannotOverflow(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"36500d": fsm.MaxDelay, "18250d18250d": fsm.MaxDelay, "1h30m": 90 * time.Minute, "0s": 0, "1.5d": 36 * time.Hour,
	} {
		if got, err := fsm.ParseDuration(text); err != nil || got != want {
			t.Errorf("%s is %s, %v", text, got, err)
		}
	}
	for _, text := range []string{"36500d36500d36500d", "36500d1ms", "36501d", "36500d36500d36500d36500d36500d36500d", "", "1", "-1s"} {
		if got, err := fsm.ParseDuration(text); err == nil {
			t.Errorf("%s is %s", text, got)
		}
	}
}
