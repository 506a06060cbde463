package fsm_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

func TestBackoff(t *testing.T) {
	const s = time.Second
	for _, test := range []struct {
		name  string
		retry fsm.Retry
		want  []time.Duration // after attempt 1, 2, 3, …
	}{
		{"fixed", fsm.Retry{Policy: events.RetryFixed, Initial: 5 * s, Factor: 9}, []time.Duration{5 * s, 5 * s, 5 * s}},
		{"linear", fsm.Retry{Policy: events.RetryLinear, Initial: 5 * s, Factor: 9}, []time.Duration{5 * s, 10 * s, 15 * s}},
		{"linear, bounded", fsm.Retry{Policy: events.RetryLinear, Initial: 5 * s, Max: 12 * s}, []time.Duration{5 * s, 10 * s, 12 * s, 12 * s}},
		{"exponential", fsm.Retry{Policy: events.RetryExponential, Initial: s, Factor: 3}, []time.Duration{s, 3 * s, 9 * s, 27 * s}},
		{"exponential, broken factor", fsm.Retry{Policy: events.RetryExponential, Initial: s, Factor: 1.5}, []time.Duration{s, 1500 * time.Millisecond, 2250 * time.Millisecond}},
		{"exponential, factor 1", fsm.Retry{Policy: events.RetryExponential, Initial: s, Factor: 1}, []time.Duration{s, s, s}},
		{"exponential, bounded", fsm.Retry{Policy: events.RetryExponential, Initial: s, Factor: 10, Max: 50 * s}, []time.Duration{s, 10 * s, 50 * s, 50 * s}},
		{"an hour when nothing bounds it", fsm.Retry{Policy: events.RetryExponential, Initial: time.Hour, Factor: 2}, []time.Duration{time.Hour, time.Hour}},
		{"more at once than its bound", fsm.Retry{Policy: events.RetryFixed, Initial: time.Minute, Max: s}, []time.Duration{s, s}},
		{"at once", fsm.Retry{Policy: events.RetryExponential, Factor: 2, Jitter: true}, []time.Duration{0, 0}},
	} {
		for i, want := range test.want {
			if got := fsm.Backoff(&test.retry, events.UUID{}, int32(i+1)); got != want {
				t.Errorf("%s: after attempt %d got %s, want %s", test.name, i+1, got, want)
			}
		}
	}
}

// With jitter a delay is between half and all of itself, the same each time for
// one attempt, and another for another attempt or another task.
func TestJitter(t *testing.T) {
	policies := []events.RetryPolicy{events.RetryFixed, events.RetryLinear, events.RetryExponential}
	rapid.Check(t, func(t *rapid.T) {
		plain := fsm.Retry{
			Policy:  policies[rapid.IntRange(0, 2).Draw(t, "policy")],
			Initial: time.Duration(rapid.Int64Range(0, int64(48*time.Hour)).Draw(t, "initial")),
			Factor:  rapid.Float64Range(1, 100).Draw(t, "factor"),
			Max:     time.Duration(rapid.Int64Range(0, int64(48*time.Hour)).Draw(t, "max")),
		}
		attempt := rapid.Int32Range(1, 10_000).Draw(t, "attempt")
		task := events.DeriveUUID(events.Namespace, rapid.String().Draw(t, "task"))
		spread := plain
		spread.Jitter = true
		full, got := fsm.Backoff(&plain, task, attempt), fsm.Backoff(&spread, task, attempt)
		if full < 0 || got > full || got < full/2 {
			t.Fatalf("%s of %s", got, full)
		}
		if again := fsm.Backoff(&spread, task, attempt); again != got {
			t.Fatalf("%s, and then %s", got, again)
		}
	})
	r := fsm.Retry{Policy: events.RetryFixed, Initial: time.Hour, Jitter: true}
	seen := map[time.Duration]bool{}
	var least, most time.Duration = time.Hour, 0
	for n := range 100 {
		d := fsm.Backoff(&r, events.DeriveUUID(events.Namespace, string(rune('a'+n%10))), int32(1+n/10))
		seen[d] = true
		least, most = min(least, d), max(most, d)
	}
	if len(seen) != 100 || least > 35*time.Minute || most < 55*time.Minute {
		t.Errorf("100 attempts wait %d different times, from %s to %s", len(seen), least, most)
	}
	// The very value: it must not change between machines or releases.
	if got := fsm.Backoff(&r, events.DeriveUUID(events.Namespace, "a"), 1); got != 3102989540170 {
		t.Errorf("got %d", got)
	}
}
