package router

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestReadySaysWhyNothingIsDecided(t *testing.T) {
	now := time.UnixMicro(1_790_000_000_000_000).UTC()
	l := newLane(Config{Clock: func() time.Time { return now }}, nil, nil, nil)
	ready := func(want string) {
		t.Helper()
		err := l.ready()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("ready: %v, want %q", err, want)
		}
	}
	ready("")
	l.progress.begin(now)
	l.progress.end(errors.New("the broker says no"))
	ready("")
	now = now.Add(noProgress)
	l.progress.begin(now)
	l.progress.end(errors.New("the broker says no"))
	ready("the broker says no")
	now = now.Add(noProgress)
	ready("") // the partitions are another's now
	l.progress.begin(now)
	l.progress.end(nil)
	ready("")
	l.progress.begin(now)
	now = now.Add(noProgress)
	ready("takes that long")
	l.progress.end(nil)
	l.refusals.mark("tasks.mail", refusal{cause: errors.New("forbidden"), until: now.Add(time.Second)})
	ready("tasks.mail")
	now = now.Add(time.Second)
	ready("")
}
