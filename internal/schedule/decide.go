package schedule

import (
	"slices"
	"time"

	"github.com/leat-io/leat/pkg/events"
)

// Progress is how far a schedule is. Functions here return a changed copy and
// leave the one they were given as it is.
type Progress = events.ScheduleProgress

// Kind says what an Action is.
type Kind int

// The kinds of actions.
const (
	Idle      Kind = iota // there is nothing to do; Wake says until when
	Noted                 // the progress has changed, and there may be more to do
	Start                 // start the instance of Due, and say what came of it with Started or Refused
	Interrupt             // end Instances as Policy says; Ended reports those that have
)

// Action is what the router has to do next for a schedule.
type Action struct {
	Kind      Kind
	Due       time.Time
	Instances []events.UUID
	Policy    events.OverlapPolicy
}

// Decide says what is to be done first at now, and the progress once it is. It
// has to be called again until it is Idle. What waits comes first, then what was
// requested by hand, then those that have become due, in their order.
func (s *Schedule) Decide(p Progress, now time.Time) (Progress, Action) {
	if len(p.Buffered) > 0 && (!s.Paused || p.Buffered[0].Manual) {
		if next, action := release(p); action.Kind != Idle {
			return next, action
		}
	}
	if len(p.Backfills) > 0 && (p.Backfills[0].Overlap != events.OverlapBufferAll || !busy(p)) {
		return s.backfill(p)
	}
	due, some := s.pending(p)
	if !some || s.FireAt(due).After(now) {
		return p, Action{}
	}
	p.Cursor = due
	if now.Sub(s.FireAt(due)) > s.catchup() {
		p.Missed++
		return p, Action{Kind: Noted}
	}
	return offer(p, events.ScheduledDue{Due: due, Overlap: s.Overlap})
}

// pending is the first scheduled time that is not decided.
// While a full buffer waits, the runs after it wait in the schedule itself.
func (s *Schedule) pending(p Progress) (time.Time, bool) {
	if s.Paused || s.Overlap == events.OverlapBufferAll && len(p.Buffered) >= events.MaxScheduleBuffer {
		return time.Time{}, false
	}
	after := s.Since
	if p.Cursor.After(after) {
		after = p.Cursor
	}
	return s.Next(after)
}

func (s *Schedule) catchup() time.Duration {
	if s.Catchup == 0 {
		return events.DefaultCatchup
	}
	return s.Catchup
}

// Wake is when a schedule that is Idle wants to decide again by itself; the zero
// time means never.
func (s *Schedule) Wake(p Progress) time.Time {
	due, some := s.pending(p)
	if !some {
		return time.Time{}
	}
	return s.FireAt(due)
}

func busy(p Progress) bool { return len(p.Running) > 0 || len(p.Buffered) > 0 }

// offer lets the overlap policy decide on a scheduled run.
func offer(p Progress, d events.ScheduledDue) (Progress, Action) {
	switch {
	case d.Overlap == events.OverlapAllowAll || !busy(p):
		return p, Action{Kind: Start, Due: d.Due}
	case d.Overlap == events.OverlapBufferOne && len(p.Buffered) == 0,
		d.Overlap == events.OverlapBufferAll && len(p.Buffered) < events.MaxScheduleBuffer:
		p.Buffered = append(slices.Clone(p.Buffered), d)
	case d.Overlap == events.OverlapCancelOther, d.Overlap == events.OverlapTerminateOther:
		p.Skipped += int64(len(p.Buffered)) // the newest takes the place of those that wait
		p.Buffered = []events.ScheduledDue{d}
	default:
		p.Skipped++
	}
	return p, Action{Kind: Noted}
}

// release starts the first run that waits when none is running, or interrupts
// those that are; Idle when it has to wait.
func release(p Progress) (Progress, Action) {
	first := p.Buffered[0]
	if len(p.Running) == 0 {
		p.Buffered = slices.Clone(p.Buffered[1:])
		return p, Action{Kind: Start, Due: first.Due}
	}
	if first.Overlap != events.OverlapCancelOther && first.Overlap != events.OverlapTerminateOther {
		return p, Action{}
	}
	running := slices.Clone(p.Running)
	var asked []events.UUID
	for i := range running {
		// An instance that was terminated need not be cancelled.
		if run := &running[i]; run.Asked != first.Overlap && run.Asked != events.OverlapTerminateOther {
			run.Asked = first.Overlap
			asked = append(asked, run.InstanceID)
		}
	}
	if asked == nil {
		return p, Action{}
	}
	p.Running = running
	return p, Action{Kind: Interrupt, Instances: asked, Policy: first.Overlap}
}

// backfill offers the next run of the range that was requested first.
func (s *Schedule) backfill(p Progress) (Progress, Action) {
	first := p.Backfills[0]
	due, some := s.Next(first.After)
	p.Backfills = slices.Clone(p.Backfills)
	if !some || due.After(first.Until) {
		p.Backfills = p.Backfills[1:]
		return p, Action{Kind: Noted}
	}
	p.Backfills[0].After = due
	return offer(p, events.ScheduledDue{Due: due, Overlap: first.Overlap, Manual: true})
}

// Started notes that the instance of a scheduled run was started at now; running says
// whether it has not ended and its end will be seen.
func Started(p Progress, run events.ScheduledStart, running bool) Progress {
	p.Started++
	p.Error = nil
	p.Recent = append(slices.Clone(p.Recent), run)
	p.Recent = p.Recent[max(0, len(p.Recent)-events.MaxScheduleRecent):]
	if running {
		return Watch(p, run)
	}
	return p
}

// Watch notes that an instance which is there already counts as running: it is
// that of a run which comes a second time, as in a backfill.
func Watch(p Progress, run events.ScheduledStart) Progress {
	for _, r := range p.Running {
		if r.InstanceID == run.InstanceID {
			return p
		}
	}
	p.Running = append(slices.Clone(p.Running), events.ScheduledRun{Due: run.Due, StartedAt: run.StartedAt, InstanceID: run.InstanceID})
	p.Running = p.Running[max(0, len(p.Running)-events.MaxScheduleRunning):]
	return p
}

// Refused notes that the start of a run was rejected. The schedule goes on.
func Refused(p Progress, why *events.Error) Progress {
	p.Refused++
	p.Error = why
	return p
}

// Ended forgets the running instances that have ended.
func Ended(p Progress, ended func(events.UUID) bool) Progress {
	p.Running = slices.DeleteFunc(slices.Clone(p.Running), func(r events.ScheduledRun) bool { return ended(r.InstanceID) })
	return p
}
