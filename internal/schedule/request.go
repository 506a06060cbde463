package schedule

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/leat-io/leat/pkg/events"
)

// Request reads the payload of a signal to the schedule.
func (s *Schedule) Request(c *events.Command) (events.ScheduleRequest, error) {
	r := events.ScheduleRequest{ScheduleID: s.ScheduleID}
	if len(c.Payload) > 0 {
		if err := json.Unmarshal(c.Payload, &r); err != nil {
			return r, fmt.Errorf("payload: %w", err)
		}
	}
	if r.Overlap == "" {
		r.Overlap = s.Overlap
	}
	switch {
	case r.ScheduleID != s.ScheduleID:
		return r, fmt.Errorf("payload: it is about schedule %q, and the command was sent to %q", r.ScheduleID, s.ScheduleID)
	case !slices.Contains(events.OverlapPolicies(), r.Overlap):
		return r, fmt.Errorf("payload: overlap %q is none of %v", r.Overlap, events.OverlapPolicies())
	case !s.Watched() && r.Overlap != events.OverlapAllowAll:
		return r, fmt.Errorf("payload: overlap %s is not possible for a schedule with keys of its own", r.Overlap)
	case c.Event != events.ScheduleTrigger && c.Event != events.ScheduleBackfill:
		return r, fmt.Errorf("event %q: a schedule understands %s and %s", c.Event, events.ScheduleTrigger, events.ScheduleBackfill)
	case c.Event == events.ScheduleBackfill && (r.From.IsZero() || r.To.Before(r.From)):
		return r, errors.New("payload: a backfill needs from and to, and to is not before from")
	}
	return r, nil
}

// maxBackfills bounds what a schedule has to remember.
const maxBackfills = 100

// Ask takes a request in, once for each command. known is true when it was taken
// in before.
func Ask(p Progress, c *events.Command, r events.ScheduleRequest, now time.Time) (next Progress, action Action, known bool, err error) {
	if slices.Contains(p.Seen, c.CommandID) {
		return p, Action{}, true, nil
	}
	seen := append(slices.Clone(p.Seen), c.CommandID)
	seen = seen[max(0, len(seen)-events.MaxSeenCommands):]
	if c.Event == events.ScheduleTrigger {
		due := events.Instant(now)
		if !c.Timestamp.IsZero() && c.Timestamp.Before(due) {
			due = events.Instant(c.Timestamp) // when it was asked for, which also names the instance
		}
		next, action = offer(p, events.ScheduledDue{Due: due, Overlap: r.Overlap, Manual: true})
		next.Seen = seen
		return next, action, false, nil
	}
	if r.To.After(now) {
		return p, Action{}, false, fmt.Errorf("a backfill is of the past, and %s is not", stamp(r.To))
	}
	if len(p.Backfills) >= maxBackfills {
		return p, Action{}, false, fmt.Errorf("%d backfills wait already", maxBackfills)
	}
	p.Backfills = append(slices.Clone(p.Backfills), events.ScheduledBackfill{
		After: r.From.Add(-time.Microsecond), Until: events.Instant(r.To), Overlap: r.Overlap,
	})
	p.Seen = seen
	return p, Action{Kind: Noted}, false, nil
}
