package fsm

import (
	"cmp"
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
	if LegalWorkflow(outcome.state, events.WorkflowRetrying) {
		s.chart.Before = s.before
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
	s.keepDone(outcome.state)
	s.end(outcome.state, &outcome)
}

// keepDone forgets all tasks but, when the instance may be retried, those whose
// work may have to be undone some day.
func (s *step) keepDone(outcome events.WorkflowState) {
	s.ownTasks()
	s.chart.Tasks = slices.DeleteFunc(s.chart.Tasks, func(t events.TaskStatus) bool {
		inv := s.m.invs[invocationKey(t.StateID, t.Invocation)]
		return !LegalWorkflow(outcome, events.WorkflowRetrying) || !s.m.undoes ||
			t.State != events.TaskCompleted || inv == nil || inv.compensate == nil
	})
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
		out.err.Code = cmp.Or(events.Cut(out.err.Code, events.MaxNameLength), "FAILED")
	}
	if state.errorMessage != nil {
		if out.err.Message, err = s.evalText(state.errorMessage); err != nil {
			s.raiseError(err, errorPos(err, state.def.Pos))
		}
		out.err.Message = events.Cut(out.err.Message, events.MaxMessageLength)
	}
	return out
}

// begins starts undoing when the definition asks for it at this outcome and
// there is something to undo.
func (s *step) begins(outcome *ending) bool {
	policy, seen := s.m.def.Compensation, len(s.internal)
	if s.incident != nil {
		return false
	}
	begun := policy != nil && slices.Contains(policy.On, outcome.state) && s.undo(nil, policy.Reverse)
	for _, e := range s.internal[seen:] {
		if e.cause != nil && s.incident == nil {
			s.incident = e.cause // of the first undoing task's input
		}
	}
	return begun || s.undoing() // an action may have begun it
}

// compensate undoes completed work among the given invocations, newest first
// unless the definition says otherwise, while the instance goes on.
func (s *step) compensate(among []*invocation) {
	policy := s.m.def.Compensation
	s.undo(among, policy == nil || policy.Reverse)
}

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
		if among != nil || isUndoing(&t) {
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
