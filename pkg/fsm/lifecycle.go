package fsm

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/leat-io/leat/pkg/events"
)

// workflowMoves are the legal transitions of the 12 workflow states. They hold
// on top of every chart: whatever a definition says.
var workflowMoves = map[events.WorkflowState][]events.WorkflowState{
	events.WorkflowPending:      {events.WorkflowInitializing, events.WorkflowRunning, events.WorkflowCancelled},
	events.WorkflowInitializing: {events.WorkflowRunning, events.WorkflowFailed, events.WorkflowCancelled, events.WorkflowTimeout},
	events.WorkflowRunning: {
		events.WorkflowPaused, events.WorkflowWaitingForDependency, events.WorkflowCompensating,
		events.WorkflowCompleted, events.WorkflowFailed, events.WorkflowCancelled, events.WorkflowTimeout,
	},
	events.WorkflowWaitingForDependency: {
		events.WorkflowRunning, events.WorkflowPaused, events.WorkflowCompensating,
		events.WorkflowFailed, events.WorkflowCancelled, events.WorkflowTimeout,
	},
	events.WorkflowPaused: {
		events.WorkflowRunning, events.WorkflowWaitingForDependency, events.WorkflowCompensating, events.WorkflowCancelled,
	},
	events.WorkflowCompensating: {
		events.WorkflowRunning, events.WorkflowPaused, events.WorkflowCompensated,
		events.WorkflowFailed, events.WorkflowCancelled, events.WorkflowTimeout,
	},
	events.WorkflowRetrying:    {events.WorkflowRunning},
	events.WorkflowFailed:      {events.WorkflowRetrying},
	events.WorkflowCancelled:   {events.WorkflowRetrying},
	events.WorkflowTimeout:     {events.WorkflowRetrying},
	events.WorkflowCompleted:   {},
	events.WorkflowCompensated: {},
}

// taskMoves are the legal transitions of the 11 task states. A task that has
// ended badly moves on only when it is one that undoes, and a person retries it.
var taskMoves = map[events.TaskState][]events.TaskState{
	events.TaskPending: {
		events.TaskScheduled, events.TaskBlocked, events.TaskSkipped, events.TaskFailed, events.TaskCancelled,
	},
	events.TaskBlocked: {events.TaskScheduled, events.TaskSkipped, events.TaskFailed, events.TaskTimeout, events.TaskCancelled},
	events.TaskScheduled: {
		events.TaskRunning, events.TaskWaitingForInput, events.TaskRetrying,
		events.TaskCompleted, events.TaskFailed, events.TaskTimeout, events.TaskCancelled,
	},
	events.TaskRunning: {
		events.TaskScheduled, events.TaskWaitingForInput, events.TaskRetrying,
		events.TaskCompleted, events.TaskFailed, events.TaskTimeout, events.TaskCancelled,
	},
	events.TaskWaitingForInput: {
		events.TaskScheduled, events.TaskRunning, events.TaskRetrying,
		events.TaskCompleted, events.TaskFailed, events.TaskTimeout, events.TaskCancelled,
	},
	events.TaskRetrying:  {events.TaskScheduled, events.TaskBlocked, events.TaskFailed, events.TaskTimeout, events.TaskCancelled},
	events.TaskFailed:    {events.TaskRetrying, events.TaskSkipped},
	events.TaskTimeout:   {events.TaskRetrying, events.TaskSkipped},
	events.TaskCompleted: {},
	events.TaskCancelled: {},
	events.TaskSkipped:   {},
}

// WorkflowMoves lists where an instance may go from a state of its life.
func WorkflowMoves(from events.WorkflowState) []events.WorkflowState {
	return slices.Clone(workflowMoves[from])
}

// TaskMoves lists where a task may go from a state of its life.
func TaskMoves(from events.TaskState) []events.TaskState { return slices.Clone(taskMoves[from]) }

// LegalWorkflow reports whether an instance may go from one state to another.
func LegalWorkflow(from, to events.WorkflowState) bool {
	return slices.Contains(workflowMoves[from], to)
}

// LegalTask reports whether a task may go from one state to another.
func LegalTask(from, to events.TaskState) bool { return slices.Contains(taskMoves[from], to) }

// mustMove guards every change of a task's state: an illegal one is a defect.
func mustMove(from, to events.TaskState) {
	if !LegalTask(from, to) {
		panic(fmt.Sprintf("illegal transition of a task [%s -> %s]", from, to))
	}
}

// retryWaiting gives tasks another attempt now: those that wait for one, and
// failed compensations.
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

// skipUndo abandons a failed compensation.
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
		before = s.chart.Active // it is in the states that it was in
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

// Reset returns an instance to the state that it was in at an earlier time: past
// is its chart then, at, and chart is its chart now. What had ended by then is
// kept and not done again. What was open then starts again, under new task ids, so that a late result of the abandoned run is not taken for one of the new run;
// timers have as long to go as they had. The effects begin with the
// tasks of the abandoned run that are cancelled. The error is an *[Incident], or
// says why past is nothing to go back to.
func (m *Machine) Reset(past, chart events.Chart, at time.Time, in Input) (events.Chart, []Effect, error) {
	if m.ended(&past) {
		return chart, nil, errors.New("the instance had ended then, or was being undone")
	}
	if len(past.Active) == 0 {
		return chart, nil, errors.New("the instance had not begun then")
	}
	in.Kind = InputReset
	s := &step{m: m, in: in, now: events.Instant(in.Now), chart: past, running: true}
	for i := range chart.Tasks {
		t := chart.Tasks[i]
		if from := t.State; !from.Finished() && t.Attempt > 0 {
			t.State = events.TaskCancelled
			s.changed(&t, from)
		}
	}
	s.chart.Counter = max(chart.Counter, past.Counter)
	s.chart.Tasks, s.chart.Timers = nil, nil
	if err := s.load(); err != nil {
		return chart, nil, err
	}
	s.ownTasks()
	s.ownTimers()
	for i := range past.Timers {
		if t := past.Timers[i]; t.TaskID.IsNil() && t.Kind != events.TimerRetention {
			t.Cause = nil
			t.Due = s.now.Add(max(0, t.Due.Sub(events.Instant(at))))
			s.setTimer(t)
		}
	}
	s.renew(past.Tasks)
	mark := len(s.effects)
	if s.settle(); len(s.exited)+len(s.entered) > 0 {
		s.note(mark, "reset")
	}
	s.later()
	if s.incident != nil {
		return chart, nil, s.incident
	}
	s.store()
	return s.chart, s.effects, nil
}

// renew takes over tasks of the past: those that have ended as they are, open
// ones under a new id and at their first attempt.
func (s *step) renew(tasks []events.TaskStatus) {
	var open []int
	issued := make(map[int]bool)
	for i := range tasks {
		t := tasks[i]
		if !t.AskedBy.IsNil() {
			continue // who asks begins again
		}
		if !t.State.Finished() {
			issued[len(s.chart.Tasks)] = t.Attempt > 0
			s.chart.Counter++
			t = events.TaskStatus{
				TaskID:  events.DeriveUUID(s.in.Instance.ID, "task/"+strconv.FormatInt(s.chart.Counter, 10)),
				StateID: t.StateID, Invocation: t.Invocation, Name: t.Name, Input: t.Input, State: events.TaskPending,
			}
			if tasks[i].Attempt > 0 || tasks[i].State == events.TaskBlocked {
				open = append(open, len(s.chart.Tasks))
			}
		}
		s.chart.Tasks = append(s.chart.Tasks, t)
	}
	for _, at := range open {
		t := &s.chart.Tasks[at]
		inv := s.m.invs[invocationKey(t.StateID, t.Invocation)]
		if inv == nil {
			continue
		}
		mark := len(s.internal)
		if s.issue(at, inv); issued[at] {
			s.internal = s.internal[:mark] // that it was issued is known since then
		}
	}
}
