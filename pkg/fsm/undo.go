package fsm

import (
	"slices"
	"strings"

	"github.com/leat-io/leat/pkg/events"
)

// isUndoing reports whether a status is of work that is still to be undone:
// nobody has begun, it is under way, or it has failed and waits for a person.
func isUndoing(t *events.TaskStatus) bool {
	return strings.HasPrefix(t.Invocation, compensatePrefix) &&
		(!t.State.Finished() || t.State == events.TaskFailed || t.State == events.TaskTimeout)
}

// undoing reports whether anything is still to be undone.
func (s *step) undoing() bool {
	return slices.ContainsFunc(s.chart.Tasks, func(t events.TaskStatus) bool { return isUndoing(&t) })
}

// undoStart issues the first pending undoing task, unless one is under way or
// has failed; all of them when the definition wants them at once.
func (s *step) undoStart() {
	atOnce := s.m.def.Compensation != nil && s.m.def.Compensation.AtOnce
	for i := 0; i < len(s.chart.Tasks); i++ {
		t := &s.chart.Tasks[i]
		switch {
		case !isUndoing(t) || atOnce && t.State != events.TaskPending:
			continue
		case t.State != events.TaskPending:
			return
		}
		inv := s.m.invs[invocationKey(t.StateID, t.Invocation)]
		input, err := s.evalTemplate(inv.input)
		if err != nil {
			s.raiseError(err, errorPos(err, inv.def.Pos))
			return
		}
		s.ownTasks()
		s.chart.Tasks[i].Input = input
		s.issue(i, inv)
		if !atOnce {
			return
		}
	}
}

// undone goes on behind an undoing task that has ended. One that failed for good
// stays: a person decides.
func (s *step) undone(at int) {
	t := &s.chart.Tasks[at]
	switch {
	case isUndoing(t):
		s.emit(CompensationFailed{TaskID: t.TaskID, Invocation: t.Invocation, Error: t.Error})
	case !s.m.ended(&s.chart):
		s.chart.Tasks = slices.Delete(s.chart.Tasks, at, at+1)
		s.undoOn()
	}
}

// undoOn goes on with undoing while the instance itself goes on.
func (s *step) undoOn() {
	if s.undoStart(); !s.undoing() {
		s.emit(CompensationEnded{GoesOn: true})
	}
}

// undoNext goes on with undoing after the end: the next task, or the outcome.
func (s *step) undoNext() {
	s.internal = nil
	s.undoStart()
	for _, e := range s.internal {
		if e.cause != nil {
			s.incident = e.cause
			return
		}
	}
	if s.undoing() {
		return
	}
	outcome := ending{state: events.WorkflowCompleted}
	if s.stopped() {
		outcome = s.stopping()
	} else if final := s.topFinal(); final >= 0 {
		outcome = s.ending(final)
	}
	s.emit(CompensationEnded{})
	s.cancelTimers(func(*events.Timer) bool { return true })
	s.chart.Tasks = nil
	s.end(events.WorkflowCompensated, &outcome)
}

// afterEnd handles an input to an instance that has reached its end: the undoing
// of what it did can go on, and a person can have it tried again.
func (s *step) afterEnd() Effect {
	undoing := s.undoing()
	switch {
	case s.in.Kind == InputRetry && !undoing:
		return s.reenter()
	case undoing && s.in.Kind == InputStop && s.in.Stop.AtOnce:
		s.stop(s.in.Stop)
		s.finish()
		return nil
	case !undoing || s.in.Kind == InputStop || s.in.Kind == InputEvent || s.in.Kind == InputStart:
		return Ignored{Code: Finished, Message: "the instance has ended"}
	}
	s.running = true // so that nothing ends twice
	switch s.in.Kind {
	case InputTimer:
		return s.fire()
	case InputRetry:
		return s.retryWaiting()
	default:
		return s.report()
	}
}
