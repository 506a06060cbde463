package fsm

import (
	"fmt"
	"slices"

	"github.com/leat-io/leat/pkg/events"
)

// retryWaiting gives tasks another attempt now: those that wait for one, and
// those that undo and have failed for good.
func (s *step) retryWaiting() Effect {
	found, given := false, false
	for i := 0; i < len(s.chart.Tasks); i++ {
		t := &s.chart.Tasks[i]
		inv := s.m.invs[invocationKey(t.StateID, t.Invocation)]
		failed := isUndoing(t) && t.State.Finished()
		if inv == nil || t.State != events.TaskRetrying && !failed {
			continue
		}
		found = true
		s.ownTasks()
		switch {
		case failed && s.in.Skip:
			s.skipUndo(i)
			i, given = i-1, true
		case failed:
			s.chart.Tasks[i].Spent = s.chart.Tasks[i].Attempt
			s.retrying(i, *s.chart.Tasks[i].Error, s.clock())
			s.issue(i, inv)
		default:
			s.cancelDeadlines(t.TaskID, events.TimerRetry)
			s.issue(i, inv)
		}
	}
	switch {
	case !found:
		return Ignored{Code: NothingToRetry, Message: fmt.Sprintf("nothing has failed or waits for its next attempt in %v", s.chart.Active)}
	case given && s.m.ended(&s.chart):
		s.undoNext()
	case given:
		s.undoOn()
	}
	return nil
}

// skipUndo gives up a task that undoes and has failed.
func (s *step) skipUndo(at int) {
	t := &s.chart.Tasks[at]
	from := t.State
	t.State = events.TaskSkipped
	s.changed(t, from)
	s.chart.Tasks = slices.Delete(s.chart.Tasks, at, at+1)
}

// reenter takes the instance back from its end into the states in which it was
// before. Tasks start afresh; data and what was completed stay as they are.
func (s *step) reenter() Effect {
	if final := s.topFinal(); !s.stopped() && (final < 0 || !LegalWorkflow(s.m.states[final].outcome, events.WorkflowRetrying)) {
		return Ignored{Code: Finished, Message: "the instance has completed"}
	}
	before := s.chart.Before
	if before == nil && s.stopped() {
		before = s.chart.Active // it is where it stood
	}
	for _, id := range before {
		if _, ok := s.m.index[id]; !ok {
			return Ignored{Code: NothingToRetry, Message: fmt.Sprintf("version %d of %s has no state %q to go back to", s.m.Version(), s.m.Type(), id)}
		}
	}
	s.chart.Before, s.chart.Outcome, s.chart.OutcomeError = nil, "", nil
	s.cancelTimers(func(*events.Timer) bool { return true })
	s.keepDone(events.WorkflowFailed)
	s.config.clear()
	s.running, s.reacted = true, true
	s.armRuntime()
	s.entrySet.add(root)
	for _, id := range before {
		s.addDescendants(s.m.index[id])
	}
	for _, id := range before {
		s.addAncestors(s.m.index[id], root)
	}
	if before == nil {
		s.addDescendants(root)
	}
	s.enterSet()
	s.settle()
	if s.incident == nil {
		mark := len(s.effects)
		s.effects = append(s.effects, nil)
		copy(s.effects[1:], s.effects[:mark])
		s.effects[0] = Retried{Active: s.activeNames(), Entered: s.entered}
	}
	s.entered, s.exited = nil, nil
	s.later()
	return nil
}

// armRuntime bounds how long the instance may run from now on.
func (s *step) armRuntime() {
	if s.m.limits.runtime > 0 {
		s.setTimer(events.Timer{Kind: events.TimerRuntime, Due: s.now.Add(s.m.limits.runtime)})
	}
}
