package fsm

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/leat-io/leat/pkg/events"
)

// An attempt that is put down goes on later, when a time has come or when its
// questions are answered: the same attempt, with another token, in any executor.
// What it goes on with is in the task's status. A question is a task of a person
// with its own status, which says whose it is.

// noToken is the hash of no token: nobody can report about an attempt that is
// put down.
const noToken = "-"

// over handles how the run of an attempt is over.
func (s *step) over(at int, inv *invocation) Effect {
	r := s.in.Task
	switch {
	case r.State != events.TaskScheduled && r.State != events.TaskWaitingForInput:
		s.result(at, inv)
	case !inv.def.Kind.Queued():
		return Ignored{Code: InvalidResult, Message: fmt.Sprintf("task %s is on no queue: it is completed or failed, and does not go on later", r.TaskID)}
	case r.HandedBack:
		s.handBack(at, inv)
	default:
		s.putDown(at, inv)
	}
	s.later()
	return nil
}

// putDown ends the run of an attempt that goes on later.
func (s *step) putDown(at int, inv *invocation) {
	r, id := s.in.Task, s.chart.Tasks[at].TaskID
	s.dropQuestions(id)
	t := &s.chart.Tasks[at]
	t.Continuation = nil
	if tooMuch := s.tooMuchDown(r); tooMuch != nil {
		s.failForGood(at, inv, *tooMuch, events.TaskFailed)
		s.proceed(inv)
		return
	}
	if t.Continuation = s.in.Data; t.Continuation == nil {
		t.Continuation = nullJSON // it goes on all the same
	}
	if len(r.Questions) > 0 {
		s.lay(at, PutDown{}, events.TaskWaitingForInput, time.Time{})
		for i := range r.Questions {
			s.ask(at, &r.Questions[i])
		}
		return
	}
	s.lay(at, PutDown{}, events.TaskScheduled, s.clock().Add(r.ResumeAfter))
}

// handBack issues an attempt again that its executor did not begin.
func (s *step) handBack(at int, inv *invocation) {
	r := s.in.Task
	back := PutDown{HandedBack: true, Error: r.Error}
	if r.ResumeAfter > 0 {
		s.lay(at, back, events.TaskScheduled, s.clock().Add(r.ResumeAfter))
		return
	}
	back.NodeID = r.NodeID
	s.resume(at, inv, &back)
}

// lay notes that an attempt goes on at due, or when its questions are answered.
func (s *step) lay(at int, how PutDown, state events.TaskState, due time.Time) {
	t := &s.chart.Tasks[at]
	s.cancelDeadlines(t.TaskID, events.TimerStartToClose)
	s.cancelDeadlines(t.TaskID, events.TimerHeartbeat)
	if !how.HandedBack { // else it has still to be claimed in time
		s.cancelDeadlines(t.TaskID, events.TimerScheduleToStart)
	}
	from := t.State
	if from != state {
		mustMove(from, state)
	}
	t.State, t.TokenHash, t.ResumeAt = state, noToken, events.Instant(due)
	t.NodeID, t.StartedAt, t.Repeatable, t.Generation = "", time.Time{}, false, 0
	how.TaskID, how.StateID, how.Invocation, how.Name, how.From, how.To = t.TaskID, t.StateID, t.Invocation, t.Name, from, state
	how.Attempt, how.NodeID, how.ResumeAt = t.Attempt, s.in.Task.NodeID, t.ResumeAt
	if !how.HandedBack {
		how.Continuation = t.Continuation
	}
	s.emit(how)
	if !due.IsZero() {
		s.setTimer(events.Timer{Kind: events.TimerResume, Due: t.ResumeAt, Ref: t.Invocation, TaskID: t.TaskID})
	}
}

// resume issues an attempt again: the same one, that it be taken up.
func (s *step) resume(at int, inv *invocation, back *PutDown) {
	t := &s.chart.Tasks[at]
	s.cancelDeadlines(t.TaskID, events.TimerStartToClose)
	s.cancelDeadlines(t.TaskID, events.TimerHeartbeat)
	if t.State != events.TaskScheduled {
		mustMove(t.State, events.TaskScheduled)
	}
	t.State, t.ResumeAt = events.TaskScheduled, time.Time{}
	s.hand(at, inv, true, back)
	waits := func(timer events.Timer) bool {
		return timer.TaskID == t.TaskID && timer.Kind == events.TimerScheduleToStart
	}
	if !slices.ContainsFunc(s.chart.Timers, waits) {
		s.arm(at, events.TimerScheduleToStart, inv.timeouts.ScheduleToStart)
	}
}

// tooMuchDown says why what an attempt puts down cannot be kept; nil keeps it.
func (s *step) tooMuchDown(r *events.TaskResult) *events.Error {
	if tooLarge := s.m.CheckPayload("the continuation", len(s.in.Data)); tooLarge != nil {
		return tooLarge
	}
	sum := len(s.in.Data)
	for i := range r.Questions {
		sum += len(r.Questions[i].Message) + len(r.Questions[i].Form)
	}
	for i := range s.chart.Tasks {
		t := &s.chart.Tasks[i]
		if sum += len(t.Continuation); !t.AskedBy.IsNil() {
			sum += len(t.Input) + len(t.Result)
		}
	}
	if sum > maxDown {
		return &events.Error{Code: CodeLimit, Message: fmt.Sprintf(
			"what the tasks of the instance go on with would be %d bytes together, at most %d: keep what is large elsewhere", sum, maxDown)}
	}
	return nil
}

// maxDown bounds what all tasks of an instance go on with, in bytes.
const maxDown = events.MaxPayloadLength

// asked is the input of the task of a question.
type asked struct {
	Message  string          `json:"message"`
	Assignee string          `json:"assignee,omitempty"`
	Form     json.RawMessage `json:"form,omitempty"`
}

// ask adds the task of a question.
func (s *step) ask(asker int, q *events.Question) {
	text, err := events.EncodeJSON(asked{q.Message, q.Assignee, q.Form})
	if err != nil {
		text = nil // it was JSON when it came
	}
	by := &s.chart.Tasks[asker]
	s.chart.Counter++
	t := events.TaskStatus{
		TaskID:  events.DeriveUUID(s.in.Instance.ID, "task/"+strconv.FormatInt(s.chart.Counter, 10)),
		StateID: by.StateID, Invocation: events.QuestionInvocation(by.Invocation, q.ID), Name: humanTask, State: events.TaskWaitingForInput,
		Attempt: 1, Input: text, ScheduledAt: s.clock(), AskedBy: by.TaskID,
	}
	s.chart.Tasks = append(s.chart.Tasks, t)
	s.emit(StartTask{
		TaskID: t.TaskID, StateID: t.StateID, Invocation: t.Invocation, Name: t.Name, Kind: InvokeHuman, Attempt: 1, Input: text,
		Priority: events.PriorityNormal, Semantics: events.Await, Delivery: events.AtLeastOnce, AskedBy: by.TaskID,
	})
}

// The tasks that are on no queue.
const (
	humanTask = "human.task"
	childTask = "workflow.start"
)

// answer handles what a person says of a question.
func (s *step) answer(at int) Effect {
	t, r := &s.chart.Tasks[at], s.in.Task
	from := t.State
	switch {
	case s.in.Kind == InputHeartbeat:
		return Ignored{Code: StaleAttempt, Message: fmt.Sprintf("task %s is a question, which has no heartbeats", t.TaskID)}
	case from == events.TaskRunning && (s.in.Kind == InputClaim || t.NodeID != "" && t.NodeID != r.NodeID):
		return Ignored{Code: TaskClaimed, Message: fmt.Sprintf("task %s is claimed by %s", t.TaskID, t.NodeID)}
	case s.in.Kind == InputClaim:
		t.State, t.StartedAt, t.NodeID = events.TaskRunning, s.now, r.NodeID
		s.changed(t, from)
		return nil
	}
	if refused := s.refuseAnswer(); refused != nil {
		return *refused
	}
	if t.State = r.State; r.NodeID != "" {
		t.NodeID = r.NodeID
	}
	if t.Result = s.in.Data; r.State == events.TaskFailed {
		t.Result, t.Error = nil, r.Error
	}
	s.changed(t, from)
	s.reacted = true
	asker := s.taskWith(t.AskedBy)
	if asker < 0 || slices.ContainsFunc(s.chart.Tasks, func(q events.TaskStatus) bool { return q.AskedBy == t.AskedBy && !q.State.Finished() }) {
		return nil
	}
	by := &s.chart.Tasks[asker]
	if inv := s.m.invs[invocationKey(by.StateID, by.Invocation)]; inv != nil && by.State == events.TaskWaitingForInput {
		s.resume(asker, inv, nil)
	}
	return nil
}

// refuseAnswer says why an answer does not count; nil takes it.
func (s *step) refuseAnswer() *Ignored {
	r := s.in.Task
	if r.State != events.TaskCompleted && r.State != events.TaskFailed {
		return &Ignored{Code: InvalidResult, Message: "a question is answered or refused, and does not go on later"}
	}
	if tooLarge := s.m.CheckPayload("the answer", len(s.in.Data)); tooLarge != nil {
		return &Ignored{Code: InvalidResult, Message: tooLarge.Message}
	}
	if len(s.in.Data) > events.MaxContinuationLength {
		return &Ignored{Code: InvalidResult, Message: fmt.Sprintf("the answer is %d bytes, at most %d", len(s.in.Data), events.MaxContinuationLength)}
	}
	return nil
}

// taskWith is the position of a task, -1 for one that is not there.
func (s *step) taskWith(id events.UUID) int {
	return slices.IndexFunc(s.chart.Tasks, func(t events.TaskStatus) bool { return t.TaskID == id })
}

// answers is what became of the questions of a task.
func (s *step) answers(task events.UUID) (list []events.Answer) {
	for i := range s.chart.Tasks {
		if q := &s.chart.Tasks[i]; q.AskedBy == task {
			list = append(list, events.Answer{ID: events.QuestionID(q.Invocation), Result: q.Result, Error: q.Error, By: q.NodeID})
		}
	}
	return list
}

// dropQuestions forgets the questions of a task, which stand behind it, and closes
// those that are open.
func (s *step) dropQuestions(task events.UUID) {
	if !slices.ContainsFunc(s.chart.Tasks, func(t events.TaskStatus) bool { return t.AskedBy == task }) {
		return
	}
	s.ownTasks()
	s.chart.Tasks = slices.DeleteFunc(s.chart.Tasks, func(t events.TaskStatus) bool {
		if t.AskedBy != task {
			return false
		}
		if from := t.State; !from.Finished() {
			t.State = events.TaskCancelled
			s.changed(&t, from)
		}
		return true
	})
}

// forgetDown forgets what an attempt was put down with: it is over.
func (s *step) forgetDown(at int) {
	t := &s.chart.Tasks[at]
	t.Continuation, t.ResumeAt = nil, time.Time{}
	s.dropQuestions(t.TaskID)
}

// stands reports whether the task that asks a question is in a list.
func stands(question *events.TaskStatus, among []events.TaskStatus) bool {
	return !question.AskedBy.IsNil() &&
		slices.ContainsFunc(among, func(t events.TaskStatus) bool { return t.TaskID == question.AskedBy })
}

// CodeCancelled is why a run is over whose task was cancelled.
const CodeCancelled = "CANCELLED"

// stopRun tells who runs an attempt that it is over, unless they said so
// themselves. from is the state that the task was in before.
func (s *step) stopRun(t *events.TaskStatus, from events.TaskState) {
	over := t.State == events.TaskCancelled || s.in.Kind == InputTimer && t.State != events.TaskCompleted
	if over && Runs(t, from) {
		code := CodeCancelled
		if t.Error != nil && t.State != events.TaskCancelled {
			code = t.Error.Code
		}
		s.emit(CancelTask{TaskID: t.TaskID, Attempt: t.Attempt, TokenHash: t.TokenHash, Code: code})
	}
}

// Runs reports whether an executor may be running a task, or about to, that is in
// state from.
func Runs(t *events.TaskStatus, from events.TaskState) bool {
	return (from == events.TaskScheduled || from == events.TaskRunning) && t.TokenHash != noToken && Queued(t)
}

// Queued reports whether a task is on a queue, and not a person's or a child workflow.
func Queued(t *events.TaskStatus) bool { return t.Name != humanTask && t.Name != childTask }
