package fsm

import (
	"github.com/leat-io/leat/pkg/events"
)

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
			s.emit(Logged{Message: "an exit action was given up: " + e.cause.Error()})
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
