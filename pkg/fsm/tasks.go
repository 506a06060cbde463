package fsm

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/leat-io/leat/pkg/events"
)

// DefaultHeartbeat is how long a claimed attempt may be silent when its
// definition does not say. Executors send heartbeats several times as often.
const DefaultHeartbeat = 30 * time.Second

// invokeAll starts what the states entered in this macrostep ask for, and goes
// on with the task DAGs in which something ended.
func (s *step) invokeAll() {
	for i := s.toInvoke.next(0); i >= 0; i = s.toInvoke.next(i + 1) {
		state := &s.m.states[i]
		s.toInvoke.remove(i)
		for _, inv := range state.invoke {
			s.invoke(inv)
		}
		if len(state.tasks) > 0 {
			s.plan(state)
			s.dirty.add(i)
		}
	}
	s.advanceDirty()
	for s.allot() {
		s.advanceDirty()
	}
}

// advanceDirty goes on with the task DAGs in which something changed.
func (s *step) advanceDirty() {
	for i := s.dirty.next(0); i >= 0; i = s.dirty.next(i + 1) {
		s.dirty.remove(i)
		if s.config.has(i) && s.running {
			s.advance(&s.m.states[i])
		}
	}
}

// add appends the status of a new task and names it.
func (s *step) add(inv *invocation) int {
	s.ownTasks()
	s.chart.Counter++
	s.chart.Tasks = append(s.chart.Tasks, events.TaskStatus{
		TaskID:  events.DeriveUUID(s.in.Instance.ID, "task/"+strconv.FormatInt(s.chart.Counter, 10)),
		StateID: s.m.states[inv.state].id, Invocation: inv.name, Name: inv.def.Task, State: events.TaskPending,
	})
	return len(s.chart.Tasks) - 1
}

// invoke starts an invocation of a state that has just been entered.
func (s *step) invoke(inv *invocation) {
	input, err := s.evalTemplate(inv.input)
	if err != nil {
		s.raiseError(err, errorPos(err, inv.def.Pos))
		return
	}
	at := s.add(inv)
	s.chart.Tasks[at].Input = input
	s.issue(at, inv)
}

// issue asks for the next attempt of a task, as soon as the limits let it.
func (s *step) issue(at int, inv *invocation) {
	if s.mustWait(at, inv) {
		s.block(at)
		return
	}
	s.dispatch(at, inv)
}

// dispatch asks for the next attempt of a task.
func (s *step) dispatch(at int, inv *invocation) {
	t := &s.chart.Tasks[at]
	mustMove(t.State, events.TaskScheduled)
	t.Attempt++
	t.State = inv.issued()
	s.hand(at, inv, false, nil)
	s.arm(at, events.TimerScheduleToStart, inv.timeouts.ScheduleToStart)
	if inv.def.Kind == InvokeWorkflow {
		s.arm(at, events.TimerStartToClose, inv.timeouts.StartToClose) // it is never claimed
	}
	if t := &s.chart.Tasks[at]; t.Attempt > t.Spent+1 {
		return
	}
	s.arm(at, events.TimerScheduleToClose, inv.timeouts.ScheduleToClose)
	if inv.def.Semantics != events.Await {
		s.raise(&event{name: inv.doneEvent, invoker: inv}) // the instance goes on
	}
}

// hand gives an attempt to whoever reads the queue, or knows of it otherwise: again,
// if it was put down or handed back.
func (s *step) hand(at int, inv *invocation, again bool, back *PutDown) {
	t := &s.chart.Tasks[at]
	t.ScheduledAt, t.StartedAt, t.NodeID = s.clock(), time.Time{}, ""
	t.Repeatable, t.Generation = false, 0
	token := s.token(t, inv)
	s.emit(StartTask{
		TaskID: t.TaskID, StateID: t.StateID, Invocation: t.Invocation, Name: t.Name, Kind: inv.def.Kind, Attempt: t.Attempt,
		TaskType: inv.taskType, NodeType: inv.def.NodeType, Input: t.Input, Priority: inv.def.Priority,
		Semantics: inv.def.Semantics, Delivery: inv.def.Delivery, Requires: inv.def.Requires, Timeouts: inv.timeouts, Token: token,
		HeartbeatDetails: t.HeartbeatDetails, Continuation: t.Continuation, Answers: s.answers(t.TaskID), Again: again, Back: back,
	})
}

// arm sets a deadline of a task; zero is none.
func (s *step) arm(at int, kind events.TimerKind, wait time.Duration) {
	if wait > 0 {
		t := &s.chart.Tasks[at]
		s.setTimer(events.Timer{Kind: kind, Due: s.clock().Add(wait), Ref: t.Invocation, TaskID: t.TaskID})
	}
}

// clock is the time of the decision. Deadlines of tasks count from it, also
// while a timer fires late: else an engine that was down would find every
// attempt that it issues overdue.
func (s *step) clock() time.Time { return events.Instant(s.in.Now) }

// report handles what an executor says of an attempt.
func (s *step) report() Effect {
	r := s.in.Task
	if r == nil {
		return Ignored{Code: UnknownTask, Message: "the report names no task"}
	}
	at := slices.IndexFunc(s.chart.Tasks, func(t events.TaskStatus) bool { return t.TaskID == r.TaskID })
	if at < 0 {
		return Ignored{Code: UnknownTask, Message: fmt.Sprintf("task %s is not one of the active states", r.TaskID)}
	}
	t := &s.chart.Tasks[at]
	if !open(t.State) || t.Attempt != r.Attempt {
		return Ignored{
			Code:    StaleAttempt,
			Message: fmt.Sprintf("task %s is %s at attempt %d, the report is of attempt %d", r.TaskID, t.State, t.Attempt, r.Attempt),
		}
	}
	if forged := Forged(t, r); forged != nil {
		return *forged
	}
	if !t.AskedBy.IsNil() {
		s.ownTasks()
		return s.answer(at)
	}
	inv := s.m.invs[invocationKey(t.StateID, t.Invocation)]
	if inv == nil {
		return Ignored{Code: UnknownTask, Message: fmt.Sprintf("version %d has no invocation %q in state %q", s.m.Version(), t.Invocation, t.StateID)}
	}
	s.ownTasks()
	switch s.in.Kind {
	case InputClaim:
		return s.claim(at, inv)
	case InputHeartbeat:
		if refused := s.stranger(at, inv); refused != nil {
			return refused
		}
		return s.beat(at, inv)
	default:
		if refused := s.refuse(at, inv); refused != nil {
			return refused
		}
		return s.over(at, inv)
	}
}

// claim notes that an attempt has begun.
func (s *step) claim(at int, inv *invocation) Effect {
	t := &s.chart.Tasks[at]
	from, r := t.State, s.in.Task
	switch {
	case from != events.TaskRunning:
	case r.Generation > t.Generation && inv.def.Delivery == events.AtMostOnce && inv.def.Kind.Queued():
		// It was read again, so that who had claimed it had not begun. What runs at
		// least once begins before its claim: there the first one stands.
		s.cancelDeadlines(t.TaskID, events.TimerStartToClose)
		s.cancelDeadlines(t.TaskID, events.TimerHeartbeat)
		s.emit(CancelTask{TaskID: t.TaskID, Attempt: t.Attempt, TokenHash: t.TokenHash, NodeID: t.NodeID, Code: StaleAttempt})
	default:
		return Ignored{Code: inv.taken(), Message: fmt.Sprintf("attempt %d of task %s is claimed by %s", t.Attempt, t.TaskID, t.NodeID)}
	}
	s.cancelDeadlines(t.TaskID, events.TimerScheduleToStart)
	t.State, t.StartedAt, t.NodeID = events.TaskRunning, s.now, r.NodeID
	t.Repeatable, t.Generation = r.Repeatable, r.Generation
	s.changed(t, from)
	s.arm(at, events.TimerStartToClose, inv.timeouts.StartToClose)
	s.arm(at, events.TimerHeartbeat, inv.timeouts.Heartbeat)
	return nil
}

// beat moves the heartbeat deadline. One before the claim changes nothing.
func (s *step) beat(at int, inv *invocation) Effect {
	t := &s.chart.Tasks[at]
	for i := range s.chart.Timers {
		if timer := &s.chart.Timers[i]; timer.Kind == events.TimerHeartbeat && timer.TaskID == t.TaskID {
			s.ownTimers()
			s.chart.Timers[i].Due = events.Instant(s.now.Add(inv.timeouts.Heartbeat))
			s.keepDetails(at)
			s.emit(Heartbeat{TaskID: t.TaskID})
			return nil
		}
	}
	return Ignored{Code: StaleAttempt, Message: fmt.Sprintf("attempt %d of task %s is not claimed", t.Attempt, t.TaskID)}
}

// maxDetails bounds the heartbeat details that an instance keeps, of all its
// tasks together, in bytes.
const maxDetails = events.MaxPayloadLength

// keepDetails keeps what a report says of how far its attempt has come. What is
// too much is not kept, and the details of before count: they are a help for the
// next attempt, and nothing fails for want of them.
func (s *step) keepDetails(at int) {
	details := s.in.Task.HeartbeatDetails
	if details == nil {
		return
	}
	sum := len(details)
	for i := range s.chart.Tasks {
		if i != at {
			sum += len(s.chart.Tasks[i].HeartbeatDetails)
		}
	}
	if sum <= maxDetails && s.m.CheckPayload("", len(details)) == nil {
		s.chart.Tasks[at].HeartbeatDetails = details
	}
}

// result ends an attempt.
func (s *step) result(at int, inv *invocation) {
	r := s.in.Task
	if r.NodeID != "" {
		s.chart.Tasks[at].NodeID = r.NodeID
	}
	tooLarge := s.m.CheckPayload("the result", len(s.in.Data))
	switch {
	case r.State == events.TaskCompleted && tooLarge != nil:
		s.failForGood(at, inv, *tooLarge, events.TaskFailed)
	case r.State == events.TaskCompleted:
		s.complete(at, inv, s.in.Data)
	default:
		failure := events.Error{Code: "UNKNOWN", Message: "the executor gave no reason"}
		if r.Error != nil {
			failure = *r.Error
		}
		s.keepDetails(at)
		if failure.Code != CodeDrained && failure.Code != CodeStartToClose { // else nobody says that it failed
			s.forgetDown(at)
		}
		s.failed(at, inv, failure)
	}
	s.proceed(inv)
}

// proceed runs the macrostep of what a task led to. It has the name of the event
// that the task's end raised, or would have if anybody waited for it.
func (s *step) proceed(inv *invocation) {
	s.reacted = true
	if s.m.ended(&s.chart) {
		s.undoNext()
		return
	}
	mark, name := len(s.effects), inv.errorEvent
	if r := s.in.Task; r != nil && r.State == events.TaskCompleted {
		name = inv.doneEvent
	}
	if len(s.internal) > 0 {
		name = s.internal[0].name
	}
	s.settle()
	s.note(mark, name)
}

func (s *step) complete(at int, inv *invocation, result json.RawMessage) {
	t := &s.chart.Tasks[at]
	from := t.State
	t.State, t.Result, t.Error, t.TokenHash, t.HeartbeatDetails = events.TaskCompleted, result, nil, "", nil
	s.cancelDeadlines(t.TaskID, "")
	s.forgetDown(at)
	s.changed(&s.chart.Tasks[at], from)
	s.ended(at, inv, &event{name: inv.doneEvent, data: result, invoker: inv})
}

// ended notifies the chart of the final end of a task, and forgets the task
// when no state and no undoing needs it.
func (s *step) ended(at int, inv *invocation, e *event) {
	active := s.config.has(inv.state)
	if inv.def.Semantics != events.FireAndForget {
		s.raise(e)
	}
	if active && inv.dag {
		if s.chart.Tasks[at].State != events.TaskCompleted {
			s.skipDependants(&s.m.states[inv.state])
		}
		s.dirty.add(inv.state)
	}
	if s.isUndo(at) {
		s.undone(at)
		return
	}
	if active || s.kept(at, inv) || s.m.ended(&s.chart) {
		return
	}
	s.chart.Tasks = slices.Delete(s.chart.Tasks, at, at+1)
}

// kept reports whether an ended task outlives its state: its work may have to be
// undone, or its result was asked for without waiting and is the newest.
func (s *step) kept(at int, inv *invocation) bool {
	t := &s.chart.Tasks[at]
	if t.State != events.TaskCompleted {
		return false
	}
	return inv.compensate != nil && s.m.undoes || inv.def.Semantics == events.AsyncAwait && !s.leftover(at, inv)
}

func (s *step) isUndo(at int) bool {
	t := &s.chart.Tasks[at]
	return t.AskedBy.IsNil() && strings.HasPrefix(t.Invocation, compensatePrefix)
}

// cancelTasks ends what a state waits for when it is left.
func (s *step) cancelTasks(state *state) {
	if len(state.invoke) == 0 && len(state.tasks) == 0 {
		return
	}
	s.ownTasks()
	kept := s.chart.Tasks[:0]
	for i := range s.chart.Tasks {
		t := s.chart.Tasks[i]
		inv := s.m.invs[invocationKey(t.StateID, t.Invocation)]
		if t.StateID != state.id || inv != nil && s.outlives(i, inv) || stands(&t, kept) {
			kept = append(kept, t)
			continue
		}
		if t.State.Finished() {
			continue
		}
		s.cancelDeadlines(t.TaskID, "")
		if from := t.State; t.Attempt > 0 {
			t.State = events.TaskCancelled
			s.changed(&t, from)
		}
	}
	clear(s.chart.Tasks[len(kept):])
	s.chart.Tasks = kept
}

// outlives reports whether a task stays when its state is left.
func (s *step) outlives(at int, inv *invocation) bool {
	t := &s.chart.Tasks[at]
	switch {
	case s.isUndo(at):
		return isUndoing(t)
	case t.State.Finished():
		return s.kept(at, inv)
	default:
		return inv.def.Semantics != events.Await && t.Attempt > 0
	}
}

// changed records a step in a task's life.
func (s *step) changed(t *events.TaskStatus, from events.TaskState) {
	if from != t.State { // else somebody else has it now
		mustMove(from, t.State)
	}
	e := TaskChanged{
		TaskID: t.TaskID, StateID: t.StateID, Invocation: t.Invocation, Name: t.Name, From: from, To: t.State,
		Attempt: t.Attempt, Result: t.Result, NodeID: t.NodeID, Repeatable: t.Repeatable,
	}
	if t.State == events.TaskFailed || t.State == events.TaskTimeout || t.State == events.TaskSkipped {
		e.Error = t.Error
	}
	s.emit(e)
	s.stopRun(t, from)
}

// cancelDeadlines removes the timers of a task: those of a kind, or all.
func (s *step) cancelDeadlines(id events.UUID, kind events.TimerKind) {
	s.cancelTimers(func(t *events.Timer) bool { return t.TaskID == id && (kind == "" || t.Kind == kind) })
}
