package fsm

import (
	"encoding/json"
	"slices"

	"github.com/leat-io/leat/pkg/events"
)

// finish runs the exit actions of all that is still active and ends the
// instance, or begins to undo what it did (appendix D: exitInterpreter).
func (s *step) finish() {
	if s.stopped() {
		s.finishStopped()
		return
	}
	final := s.topFinal()
	still := append(set(nil), s.config...)
	var outcome ending
	if final < 0 {
		outcome.state = events.WorkflowCompleted
	}
	for i := still.prev(len(s.m.states) - 1); i >= 0; i = still.prev(i - 1) {
		s.leave(i)
		if i == final {
			outcome = s.ending(final)
		}
	}
	for _, e := range s.internal {
		if e.cause != nil && s.incident == nil {
			s.incident = e.cause
		}
	}
	s.cancelTimers(func(*events.Timer) bool { return true })
	s.config.clear()
	if final >= 0 {
		s.config.add(final)
	} else {
		copy(s.config, still)
	}
	if s.begins(&outcome) {
		return
	}
	s.chart.Tasks = nil
	s.end(outcome.state, &outcome)
}

// end is the last effect: state is where the instance stands then, and outcome
// how it ended before what it did was undone.
func (s *step) end(state events.WorkflowState, outcome *ending) {
	s.emit(Ended{State: state, Outcome: outcome.state, Output: outcome.output, Error: outcome.err})
}

// ending is how an instance ends.
type ending struct {
	state  events.WorkflowState
	output json.RawMessage
	err    *events.Error
}

// topFinal is the active final state at the top level, -1 for a parallel root.
func (s *step) topFinal() int {
	for _, child := range s.m.states[root].children {
		if s.m.states[child].kind == Final && s.config.has(child) {
			return child
		}
	}
	return -1
}

// ending computes the outcome that a final state declares.
func (s *step) ending(final int) ending {
	state := &s.m.states[final]
	out := ending{state: state.outcome}
	if out.state == "" {
		out.state = events.WorkflowCompleted
	}
	var err error
	if out.output, err = s.evalTemplate(state.output); err != nil {
		s.raiseError(err, errorPos(err, state.def.Pos))
	}
	if state.errorCode == nil && state.errorMessage == nil && out.state != events.WorkflowFailed {
		return out
	}
	out.err = &events.Error{Code: "FAILED", Message: "the instance reached state " + state.id}
	if state.errorCode != nil {
		if out.err.Code, err = s.evalText(state.errorCode); err != nil {
			s.raiseError(err, errorPos(err, state.def.Pos))
		}
	}
	if state.errorMessage != nil {
		if out.err.Message, err = s.evalText(state.errorMessage); err != nil {
			s.raiseError(err, errorPos(err, state.def.Pos))
		}
		out.err.Message = out.err.Message[:min(len(out.err.Message), events.MaxMessageLength)]
	}
	return out
}

// begins starts undoing when the definition asks for it at this outcome and
// there is something to undo.
func (s *step) begins(outcome *ending) bool {
	policy := s.m.def.Compensation
	if policy == nil || !slices.Contains(policy.On, outcome.state) || s.incident != nil {
		return false
	}
	return s.undo(nil, policy.Reverse)
}

// compensate undoes completed work among the given invocations, newest first,
// while the instance goes on.
func (s *step) compensate(among []*invocation) { s.undo(among, true) }

// undo replaces completed tasks that can be undone by the tasks that undo them,
// and starts the first of these. Nil stands for all. It reports whether there
// are any.
func (s *step) undo(among []*invocation, reverse bool) bool {
	s.ownTasks()
	var order []*invocation
	kept := s.chart.Tasks[:0]
	for _, t := range s.chart.Tasks {
		inv := s.m.invs[invocationKey(t.StateID, t.Invocation)]
		if inv != nil && inv.compensate != nil && t.State == events.TaskCompleted && t.Error == nil &&
			(among == nil || slices.Contains(among, inv)) {
			order = append(order, inv.compensate)
			if !s.config.has(inv.state) {
				continue
			}
			t.Error = &events.Error{Code: "COMPENSATED", Message: "its work is undone"} // while its state needs it
		}
		if among != nil || s.isUndoing(&t) {
			kept = append(kept, t)
		}
	}
	clear(s.chart.Tasks[len(kept):])
	s.chart.Tasks = kept
	if len(order) == 0 {
		return false
	}
	if reverse {
		slices.Reverse(order)
	}
	names := make([]string, len(order))
	for i, inv := range order {
		names[i] = inv.name
		s.add(inv)
	}
	s.emit(CompensationStarted{Invocations: names})
	s.undoStart()
	return true
}

func (s *step) isUndoing(t *events.TaskStatus) bool {
	return len(t.Invocation) > len(compensatePrefix) && t.Invocation[:len(compensatePrefix)] == compensatePrefix &&
		!t.State.Finished()
}

// undoStart issues the first pending undoing task, unless one is under way.
func (s *step) undoStart() {
	for i := 0; i < len(s.chart.Tasks); i++ {
		t := &s.chart.Tasks[i]
		if !s.isUndoing(t) {
			continue
		}
		if t.State != events.TaskPending {
			return
		}
		inv := s.m.invs[invocationKey(t.StateID, t.Invocation)]
		input, err := s.evalTemplate(inv.input)
		if err != nil {
			s.abandon(i, err)
			continue
		}
		s.chart.Tasks[i].Input = input
		s.issue(i, inv)
		return
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
	for i := range s.chart.Tasks {
		if s.isUndoing(&s.chart.Tasks[i]) {
			return
		}
	}
	outcome := ending{state: events.WorkflowCompleted}
	if s.stopped() {
		outcome = s.stopping()
	} else if final := s.topFinal(); final >= 0 {
		outcome = s.ending(final)
	}
	var failure *events.Error
	for i := range s.chart.Tasks {
		if t := &s.chart.Tasks[i]; failure == nil && t.Error != nil {
			failure = t.Error
		}
	}
	s.emit(CompensationEnded{Error: failure})
	state := outcome.state
	if failure == nil {
		state = events.WorkflowCompensated
	}
	s.cancelTimers(func(*events.Timer) bool { return true })
	s.chart.Tasks = nil
	s.end(state, &outcome)
}

// afterEnd handles an input to an instance that has reached its end: only the
// undoing of what it did can still go on.
func (s *step) afterEnd() Effect {
	undoing := false
	for i := range s.chart.Tasks {
		undoing = undoing || s.isUndoing(&s.chart.Tasks[i])
	}
	if undoing && s.in.Kind == InputStop && s.in.Stop.AtOnce {
		s.stop(s.in.Stop)
		s.finish()
		return nil
	}
	if !undoing || s.in.Kind == InputStop || s.in.Kind == InputEvent || s.in.Kind == InputStart {
		return Ignored{Code: Finished, Message: "the instance has ended"}
	}
	s.running = true // so that nothing ends twice
	if s.in.Kind == InputTimer {
		return s.fire()
	}
	return s.report()
}
