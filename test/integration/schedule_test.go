package integration

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/test/audit"
)

const tick = "leat: v1\ntype: tick\nversion: 1\ninitial: over\nstates: {over: {type: final}}\n"

// A router is killed between two dues of a schedule, again and again: every
// second of the time has one instance, and none is early.
func TestScheduleGoesOnWhereARouterWasKilled(t *testing.T) {
	each(t, func(w *world) {
		w.deploy(tick)
		c := w.client("")
		s, err := c.CreateSchedule(w.ctx, client.Schedule{ScheduleID: "each-second", WorkflowType: "tick", Every: time.Second, Overlap: events.OverlapAllowAll})
		if err != nil {
			w.Fatal(err)
		}
		started := func(n int64) {
			w.Helper()
			w.until(func() error {
				p, err := c.ScheduleProgress(w.ctx, s)
				if err == nil && p.Started < n {
					err = fmt.Errorf("%d instances have started, of %d", p.Started, n)
				}
				return err
			})
		}
		for n, slot := range []string{"r1", "r2", "r1"} {
			r, _ := w.router(slot)
			started(int64(2 * (n + 1)))
			r.kill()
		}
		w.router("r3")
		started(10)
		if _, err := c.PauseSchedule(w.ctx, "each-second", ""); err != nil {
			w.Fatal(err)
		}
		w.audit(func(b *audit.Books) error { return eachSecond(b, s.Since) })
	})
}

// eachSecond checks that the instances are those of all seconds in a row.
func eachSecond(b *audit.Books, since time.Time) error {
	seen := make(map[time.Time]bool)
	var last time.Time
	for id, history := range b.Events {
		due, _ := strings.CutPrefix(history[0].Data["key"].Str(), "each-second/")
		due, _, _ = strings.Cut(due, ".")
		at, err := time.Parse(time.RFC3339, due)
		switch {
		case err != nil:
			return err
		case seen[at]:
			return fmt.Errorf("%v has two instances, one is %s", at, id)
		case history[0].Timestamp.Before(at):
			return fmt.Errorf("the instance of %v started at %v", at, history[0].Timestamp)
		}
		seen[at] = true
		if at.After(last) {
			last = at
		}
	}
	for at := since.Truncate(time.Second).Add(time.Second); !at.After(last); at = at.Add(time.Second) {
		if !seen[at] {
			return fmt.Errorf("%v has no instance", at)
		}
	}
	if len(seen) < 10 {
		return errors.New("less than ten instances")
	}
	return nil
}
