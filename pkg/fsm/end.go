package fsm

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

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

// end is the last effect: state is that of the instance from then on, and outcome
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
		if among != nil || isUndoing(&t) || stands(&t, kept) {
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

// Stop is how an instance is ended from outside: not by reaching a final state
// of its definition. The chart keeps the states that it was in.
type Stop struct {
	State  events.WorkflowState // failed, cancelled, timeout
	Error  *events.Error        // why; nil for none
	AtOnce bool                 // no exit actions, and nothing is undone
}

// stop ends the instance.
func (s *step) stop(how Stop) {
	s.chart.Outcome, s.chart.OutcomeError = how.State, how.Error
	s.internal, s.external = nil, nil
	s.running, s.reacted = false, true
}

// stopped reports whether the instance was ended from outside.
func (s *step) stopped() bool { return s.chart.Outcome != "" }

// ended reports whether the chart has come to its end, one way or the other.
func (m *Machine) ended(chart *events.Chart) bool {
	return chart.Outcome != "" || m.finished(chart.Active)
}

// Ended reports whether the chart has come to its end: only undoing can go on.
func (m *Machine) Ended(chart *events.Chart) bool { return m.ended(chart) }

func (s *step) stopping() ending {
	return ending{state: s.chart.Outcome, err: s.chart.OutcomeError}
}

// finishStopped is finish for an instance that is ended from outside. Nothing
// that its exit actions get wrong keeps it from ending.
func (s *step) finishStopped() {
	still := append(set(nil), s.config...)
	outcome := s.stopping()
	atOnce := s.in.Stop.AtOnce
	for i := still.prev(len(s.m.states) - 1); i >= 0 && !atOnce; i = still.prev(i - 1) {
		s.leave(i)
	}
	for _, e := range s.internal {
		if e.cause != nil {
			s.emit(Logged{Message: "an exit action failed and was skipped: " + e.cause.Error()})
		}
	}
	s.internal = nil
	s.cancelTimers(func(*events.Timer) bool { return true })
	s.config.clear()
	undoing := !atOnce && s.begins(&outcome)
	copy(s.config, still)
	if undoing {
		return
	}
	s.abandonTasks()
	s.keepDone(outcome.state)
	s.end(outcome.state, &outcome)
}

// abandonTasks cancels every task that is still open.
func (s *step) abandonTasks() {
	s.ownTasks()
	for i := range s.chart.Tasks {
		t := &s.chart.Tasks[i]
		if from := t.State; !from.Finished() && t.Attempt > 0 {
			t.State = events.TaskCancelled
			s.changed(t, from)
		}
	}
}

// expire ends an instance that has run for as long as it may.
func (s *step) expire() {
	s.stop(Stop{State: events.WorkflowTimeout, Error: &events.Error{
		Code:    CodeLimit,
		Message: LimitRuntimeSeconds + ": the instance has run for " + s.m.limits.runtime.String(),
	}})
}

// isUndoing reports whether a status is of work that is still to be undone:
// it has not begun, it is under way, or it has failed and waits for an operator.
func isUndoing(t *events.TaskStatus) bool {
	return t.AskedBy.IsNil() && strings.HasPrefix(t.Invocation, compensatePrefix) &&
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

// undone continues after a compensation that has ended. One that failed permanently
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
