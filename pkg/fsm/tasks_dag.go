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
