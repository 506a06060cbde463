package fsm

import (
	"fmt"

	"github.com/leat-io/leat/pkg/events"
)

// What an executor works on, what a person works on and what is another
// instance are all tasks, with the same retries and results. They differ in how
// they begin and in who can go silent.

// bound gives the timeouts of an invocation their defaults, and takes away those
// that cannot mean anything for its kind: nobody claims a child workflow, and
// people have no heartbeat that an engine could hear.
func (inv *invocation) bound() {
	t := &inv.timeouts
	switch inv.def.Kind {
	case InvokeWorkflow:
		t.ScheduleToStart, t.Heartbeat = 0, 0
	case InvokeHuman:
		t.Heartbeat = 0
	default:
		if t.Heartbeat == 0 {
			t.Heartbeat = DefaultHeartbeat
		}
	}
}

// issued is the state of a task of which an attempt has just been asked for.
func (inv *invocation) issued() events.TaskState {
	if inv.def.Kind == InvokeHuman {
		return events.TaskWaitingForInput
	}
	return events.TaskScheduled
}

// open reports whether a task is asked for and has not ended.
func open(state events.TaskState) bool {
	return state == events.TaskScheduled || state == events.TaskRunning || state == events.TaskWaitingForInput
}

// taken is the code for a second claim of an attempt. A person has to be told; an
// executor only has to leave it alone.
func (inv *invocation) taken() string {
	if inv.def.Kind == InvokeHuman {
		return TaskClaimed
	}
	return StaleAttempt
}

// token gives a new attempt its token and notes its hash. What people do is on no
// task queue, so that they could not know one.
func (s *step) token(t *events.TaskStatus, inv *invocation) string {
	t.TokenHash = ""
	if len(s.in.Seed) == 0 || inv.def.Kind == InvokeHuman {
		return ""
	}
	token := events.ClaimToken(s.in.Seed, t.TaskID, t.Attempt)
	t.TokenHash = events.HashToken(token)
	return token
}

// Forged says that a report of the newest attempt of a task comes from somebody
// who has not read its task record; nil when it does not.
func Forged(t *events.TaskStatus, r *events.TaskResult) *Ignored {
	if t.Knows(r.Token) {
		return nil
	}
	return &Ignored{Code: WrongToken, Message: fmt.Sprintf(
		"the report does not bring the token of attempt %d of task %s: whoever reports sends the `token` of the task record along", t.Attempt, t.TaskID)}
}

// stranger says that a report comes from somebody else than the node that has
// claimed the attempt; nil when it does not.
func (s *step) stranger(at int, inv *invocation) Effect {
	t := &s.chart.Tasks[at]
	if t.State != events.TaskRunning || t.NodeID == "" || s.in.Task.NodeID == t.NodeID {
		return nil
	}
	return Ignored{Code: inv.taken(), Message: fmt.Sprintf("task %s is claimed by %s", t.TaskID, t.NodeID)}
}

// refuse says why a result does not count: somebody else has claimed the task,
// or what a person filled in is not what the form asks for. The task stays open
// then; nil takes the result.
func (s *step) refuse(at int, inv *invocation) Effect {
	if refused := s.stranger(at, inv); refused != nil || inv.def.Kind != InvokeHuman {
		return refused
	}
	r := s.in.Task
	if r.State != events.TaskCompleted || inv.def.CheckResult == nil {
		return nil
	}
	data := s.in.Data
	if len(data) == 0 {
		data = nullJSON
	}
	if err := inv.def.CheckResult(data); err != nil {
		return Ignored{Code: InvalidResult, Message: fmt.Sprintf("the result is not what the form asks for: %v", err)}
	}
	return nil
}
