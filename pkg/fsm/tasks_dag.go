package fsm

import (
	"fmt"

	"github.com/leat-io/leat/pkg/events"
)

// plan adds the tasks of a state that has just been entered, none started.
func (s *step) plan(state *state) {
	for _, inv := range state.tasks {
		s.add(inv)
	}
}

// advance starts the tasks of a state whose needs are met, skips those whose
// needs cannot be met, and tells the chart when all have ended well.
func (s *step) advance(state *state) {
	at := s.positions(state)
	s.sweep(state, at, s.tryTask)
	for i, inv := range state.tasks {
		if at[i] < 0 {
			return
		}
		t := &s.chart.Tasks[at[i]]
		started := t.State.Finished() || inv.def.Semantics != events.Await && t.Attempt > 0
		bad := t.State == events.TaskFailed || t.State == events.TaskTimeout || t.State == events.TaskCancelled
		if !started || bad && inv.def.Semantics == events.Await {
			return
		}
	}
	s.raise(&event{name: "done.state." + state.id})
}

// sweep tries every pending task of a state in the order of the definition, and
// then again those that wait for one with which something happened: a graph
// costs as much as it has arrows, however many tasks it has.
func (s *step) sweep(state *state, at []int, try func(*invocation, []int) bool) {
	now, next := newSet(len(state.tasks)), newSet(len(state.tasks))
	for i := range state.tasks {
		now.add(i)
	}
	for again := true; again; now, next = next, now {
		again = false
		for i := now.next(0); i >= 0; i = now.next(i + 1) {
			now.remove(i)
			inv := state.tasks[i]
			if at[i] < 0 || s.chart.Tasks[at[i]].State != events.TaskPending || !try(inv, at) {
				continue
			}
			for _, d := range inv.dependants {
				if d > i {
					now.add(d)
				} else {
					next.add(d)
					again = true
				}
			}
		}
	}
}

// positions finds the newest status of each task of a state, -1 for none: the
// last one counts, those before it are of earlier stays.
func (s *step) positions(state *state) []int {
	at := make([]int, len(state.tasks))
	for i := range at {
		at[i] = -1
	}
	for j := range s.chart.Tasks {
		t := &s.chart.Tasks[j]
		if t.StateID != state.id {
			continue
		}
		if i, ok := state.taskAt[t.Invocation]; ok {
			at[i] = j
		}
	}
	return at
}

// leftover reports whether a status is of an earlier stay in the state: another
// of the same invocation follows it.
func (s *step) leftover(at int, inv *invocation) bool {
	for j := at + 1; j < len(s.chart.Tasks); j++ {
		if t := &s.chart.Tasks[j]; t.Invocation == inv.name && t.StateID == s.chart.Tasks[at].StateID {
			return true
		}
	}
	return false
}

// tryTask starts or skips a pending task. It reports false while it must wait.
func (s *step) tryTask(inv *invocation, at []int) bool {
	if s.skipHopeless(inv, at) {
		return true
	}
	for _, n := range inv.needs {
		if at[n.task] < 0 || !s.chart.Tasks[at[n.task]].State.Finished() {
			return false
		}
	}
	t := at[inv.position]
	for _, n := range inv.needs {
		if n.kind != Conditional {
			continue
		}
		ok, err := s.evalBool(n.condition)
		if err != nil {
			s.abandon(t, err)
			return true
		}
		if !ok {
			s.skip(t, fmt.Sprintf("the condition on task %q does not hold", s.chart.Tasks[at[n.task]].Invocation))
			return true
		}
	}
	input, err := s.evalTemplate(inv.input)
	if err != nil {
		s.abandon(t, err)
		return true
	}
	s.ownTasks()
	s.chart.Tasks[t].Input = input
	s.resolved(t, inv)
	s.issue(t, inv)
	return true
}

// resolved records that a task need not wait for others any longer.
func (s *step) resolved(at int, inv *invocation) {
	if len(inv.needs) == 0 {
		return
	}
	t := &s.chart.Tasks[at]
	names := make([]string, len(inv.needs))
	for i, n := range inv.needs {
		names[i] = s.m.states[inv.state].tasks[n.task].name
	}
	s.emit(DependencyResolved{TaskID: t.TaskID, StateID: t.StateID, Invocation: t.Invocation, Name: t.Name, Needs: names})
}

// skipHopeless skips a task when what it needs has ended without being
// completed, whatever else it waits for.
func (s *step) skipHopeless(inv *invocation, at []int) bool {
	for _, n := range inv.needs {
		if n.kind == Soft || at[n.task] < 0 {
			continue
		}
		need := &s.chart.Tasks[at[n.task]]
		if !need.State.Finished() || need.State == events.TaskCompleted {
			continue
		}
		t := &s.chart.Tasks[at[inv.position]]
		s.emit(DependencyFailed{
			TaskID: t.TaskID, StateID: t.StateID, Invocation: t.Invocation, Name: t.Name, Need: need.Invocation, State: need.State,
		})
		s.skip(at[inv.position], fmt.Sprintf("task %q, which it needs, is %s", need.Invocation, need.State))
		return true
	}
	return false
}

// skipDependants skips what can never begin now that a task has ended badly,
// before the chart reacts to it: that may leave the state.
func (s *step) skipDependants(state *state) {
	s.sweep(state, s.positions(state), s.skipHopeless)
}

func (s *step) skip(at int, why string) {
	s.ownTasks()
	t := &s.chart.Tasks[at]
	t.State = events.TaskSkipped
	t.Error = &events.Error{Code: "SKIPPED", Message: why}
	s.changed(t, events.TaskPending)
}

// abandon fails a task whose condition or input cannot be computed.
func (s *step) abandon(at int, err error) {
	s.ownTasks()
	t := &s.chart.Tasks[at]
	t.State = events.TaskFailed
	t.Error = &events.Error{Code: CodeExpression, Message: err.Error()}
	s.changed(t, events.TaskPending)
	s.raiseError(err, errorPos(err, Pos{}))
}

// What an executor works on, what a person works on and what is another
// instance are all tasks, with the same retries and results. They differ in how
// they begin and in who can go silent.

// bound gives the timeouts of an invocation their defaults, and takes away those
// that cannot mean anything for its kind: a child workflow is never claimed, and
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

// Forged says that a report of the newest attempt of a task comes from a sender
// that has not read its task record; nil when it does not.
func Forged(t *events.TaskStatus, r *events.TaskResult) *Ignored {
	if t.Knows(r.Token) {
		return nil
	}
	return &Ignored{Code: WrongToken, Message: fmt.Sprintf(
		"the report does not carry the token of attempt %d of task %s: send the `token` of the task record with every report", t.Attempt, t.TaskID)}
}

// stranger says that a report comes from another node than the one that has
// claimed the attempt; nil when it does not.
func (s *step) stranger(at int, inv *invocation) Effect {
	t := &s.chart.Tasks[at]
	if t.State != events.TaskRunning || t.NodeID == "" || s.in.Task.NodeID == t.NodeID {
		return nil
	}
	return Ignored{Code: inv.taken(), Message: fmt.Sprintf("task %s is claimed by %s", t.TaskID, t.NodeID)}
}

// refuse says why a result does not count: another node has claimed the task,
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
