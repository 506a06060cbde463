package decide

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/leat-io/leat/internal/facts"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
	"github.com/leat-io/leat/pkg/topics"
)

// recorder turns the effects of one step into events, tasks and the next
// snapshot.
//
// Causation: the first event of a decision is caused by what caused the input
// (the event that scheduled the task, that set the timer, or nothing for a
// client's command); the others are caused by the first; tasks and timers carry
// the chain that ends in the event that asked for them.
type recorder struct {
	in     Input
	before *events.Chart
	next   *events.Snapshot
	made   Decision
	cause  []events.UUID               // chain of the first event
	rest   []events.UUID               // chain of the others: cause and the first event
	id     string                      // of the instance, as text
	asked  map[events.UUID]events.UUID // the event that asked for an attempt, by task
	end    *fsm.Ended
	starts []childStart // child workflows to begin

	stepped   bool   // next.Chart is what a step made of before
	unwritten bool   // the incident is about what cannot be written
	meta      fields // what the metadata of all events say; never changed once it is made
}

func newRecorder(in Input, snap *events.Snapshot, cause []events.UUID) *recorder {
	next := *snap
	return &recorder{in: in, before: &snap.Chart, next: &next, cause: cause}
}

// decision finishes the recording.
func (r *recorder) decision() Decision {
	first := r.next.SequenceNumber - int64(len(r.made.Events)) + 1
	if len(r.made.Events) > 0 {
		r.next.UpdatedAt = r.in.Now
		r.next.Seen = remember(r.next.Seen, r.in, first)
	} else {
		r.next.Seen = remember(r.next.Seen, r.in, 0)
	}
	r.noteChange()
	r.giveCauses()
	r.children()
	r.made.Next = r.next
	return r.made
}

// unchanged is the snapshot with nothing but the command remembered.
func (r *recorder) unchanged() *events.Snapshot {
	r.next.Seen = remember(r.next.Seen, r.in, 0)
	return r.next
}

// giveCauses hands the chain to tasks and timers that this decision set. Lists
// that may be shared with the snapshot before are copied first.
func (r *recorder) giveCauses() {
	chain := r.rest
	if chain == nil {
		chain = r.cause
	}
	chart := &r.next.Chart
	if first := slices.IndexFunc(chart.Timers, func(t events.Timer) bool { return t.Cause == nil }); first >= 0 {
		if !r.stepped || sameArray(chart.Timers, r.before.Timers) {
			chart.Timers = slices.Clone(chart.Timers)
		}
		for i := first; i < len(chart.Timers); i++ {
			if chart.Timers[i].Cause == nil {
				chart.Timers[i].Cause = chain
			}
		}
	}
	if len(r.asked) == 0 {
		return
	}
	if !r.stepped || sameArray(chart.Tasks, r.before.Tasks) {
		chart.Tasks = slices.Clone(chart.Tasks)
	}
	for i := range chart.Tasks {
		if t := &chart.Tasks[i]; !r.asked[t.TaskID].IsNil() {
			t.Cause = extend(chain, r.asked[t.TaskID]) // a report is caused by the attempt that it is of
		}
	}
}

// sameArray reports whether two lists begin at the same place in memory.
func sameArray[T any](a, b []T) bool { return len(a) > 0 && len(b) > 0 && &a[0] == &b[0] }

// extend is chain with id at its end. A chain at its full length starts anew.
func extend(chain []events.UUID, id events.UUID) []events.UUID {
	if n := len(chain); n > 0 && chain[n-1] == id {
		return chain // the decision's first event asked for it
	}
	if len(chain) >= events.MaxCausalDepth-1 {
		return []events.UUID{id}
	}
	return append(slices.Clip(chain), id)
}

// event appends one event to the history. Data are the struct of its kind, nil
// when it has none.
func (r *recorder) event(kind events.EventType, data any, payload json.RawMessage) *events.Event {
	r.next.SequenceNumber++
	s := r.next
	e := events.Event{
		EventID: events.EventID(s.WorkflowType, s.InstanceID, s.SequenceNumber), EventType: kind,
		WorkflowType: s.WorkflowType, InstanceID: s.InstanceID, CorrelationID: s.CorrelationID,
		SequenceNumber: s.SequenceNumber, Timestamp: r.in.Now, Source: r.in.Source,
		IdempotencyKey: r.idempotencyKey(), Data: events.EncodeData(data), Payload: payload, CorrelationChain: r.rest, Metadata: r.metadata(),
	}
	if len(r.made.Events) == 0 {
		r.made.Events = make([]events.Event, 0, usualEvents)
		e.CorrelationChain = r.cause
		r.rest = extend(r.cause, e.EventID)
	}
	if n := len(e.CorrelationChain); n > 0 {
		e.CausationID = e.CorrelationChain[n-1]
	}
	r.made.Events = append(r.made.Events, e)
	return &r.made.Events[len(r.made.Events)-1]
}

// usualEvents is how many events most decisions lead to, at most.
const usualEvents = 4

// metadata is what all events of a decision say of it. They share the map.
func (r *recorder) metadata() fields {
	if r.meta == nil {
		meta := events.EventMetadata{Version: r.next.Version}
		if r.in.Command != nil {
			meta.CommandID = r.in.Command.CommandID
			facts.AskedFor(&meta, r.in.Command)
		}
		if t := r.in.Timer; t != nil {
			meta.Timer = &events.FiredTimer{ID: t.ID, Due: t.Due}
		}
		r.meta = events.EncodeData(&meta)
	}
	return r.meta
}

// domain names the domain event that e stands for, in a copy of the metadata.
func domain(e *events.Event, name string) {
	e.Metadata = maps.Clone(e.Metadata)
	e.Metadata[events.MetadataDomainEvent] = events.String(name)
}

// record turns one effect into events, commands and timers.
//
//nolint:cyclop // one case an effect
func (r *recorder) record(effect fsm.Effect) {
	switch e := effect.(type) {
	case fsm.Started:
		r.become(events.WorkflowRunning)
		r.event(events.EventWorkflowStarted, events.WorkflowStartedData{Active: e.Active}, nil)
	case fsm.Transitioned:
		r.transitioned(e)
	case fsm.StartTask:
		r.startTask(e)
	case fsm.TaskChanged:
		r.taskChanged(e)
	case fsm.PutDown:
		r.putDown(e)
	case fsm.CancelTask:
		r.made.Cancels = append(r.made.Cancels, cancellation(r.in, r.next, e))
	case fsm.Emitted:
		domain(r.event(events.EventStateTransitioned, nil, e.Data), e.Event)
	case fsm.SendSignal:
		r.made.Signals = append(r.made.Signals, e)
	case fsm.Logged:
		r.made.Logs = append(r.made.Logs, e.Message)
	case fsm.CompensationStarted:
		r.become(events.WorkflowCompensating)
		r.event(events.EventCompensationStarted, events.CompensationStartedData{Invocations: e.Invocations, ByOperator: r.operator()}, nil)
	case fsm.CompensationEnded:
		r.event(events.EventCompensationCompleted, nil, nil)
		if e.GoesOn {
			r.become(events.WorkflowRunning)
		}
	case fsm.CompensationFailed:
		r.notUndone(e)
	case fsm.Retried:
		r.retried(e)
	case fsm.Ended:
		r.ended(e)
	case fsm.DependencyResolved:
		r.event(events.EventDependencyResolved, events.DependencyResolvedData{
			TaskRef: events.TaskRef{TaskID: e.TaskID, Task: e.Name, Invocation: e.Invocation}, Needs: e.Needs,
		}, nil)
	case fsm.DependencyFailed:
		r.event(events.EventDependencyFailed, events.DependencyFailedData{
			TaskRef: events.TaskRef{TaskID: e.TaskID, Task: e.Name, Invocation: e.Invocation}, Need: e.Need, NeedState: e.State,
		}, nil)
	case fsm.SlotGiven:
		r.event(events.EventResourceAllocated, events.ResourceAllocatedData{
			TaskRef: events.TaskRef{TaskID: e.TaskID, Task: e.Name, Invocation: e.Invocation}, Resource: e.Limit,
		}, nil)
	case fsm.Heartbeat, fsm.TimerSet, fsm.TimerCancelled, fsm.TimerFired, fsm.Ignored:
		// The chart holds them; the history does not.
	}
}

type fields = map[string]events.ContextValue

func (r *recorder) created(c *events.Command) {
	r.event(events.EventWorkflowCreated, events.WorkflowCreatedData{Key: c.Key, Priority: c.Priority, Parent: parentData(c.Parent)}, c.Payload)
}

func (r *recorder) transitioned(t fsm.Transitioned) {
	var payload json.RawMessage
	c := r.in.Command
	signal := c != nil && c.Command == events.CommandSignal && c.Event == t.Event
	if signal {
		payload = c.Payload
	}
	e := r.event(events.EventStateTransitioned, events.StateTransitionedData{Transition: &events.TransitionData{
		Event: t.Event, Exited: t.Exited, Entered: t.Entered, Active: t.Active,
	}}, payload)
	if signal {
		domain(e, c.Event)
	}
}

func (r *recorder) startTask(s fsm.StartTask) {
	data := &events.TaskScheduledData{
		AttemptData: events.AttemptData{TaskID: s.TaskID, Task: s.Name, Invocation: s.Invocation, Attempt: s.Attempt},
	}
	child := r.prepare(&s, data)
	input := s.Input
	if data.AskedBy, data.Again = s.AskedBy, s.Again; s.Again {
		input = nil // it is what it was
	}
	if s.Back != nil {
		data.HandedBack, data.NodeID, data.Error = true, s.Back.NodeID, errorData(s.Back.Error)
	}
	scheduled := r.event(events.EventTaskScheduled, data, input)
	if r.asked == nil {
		r.asked = make(map[events.UUID]events.UUID)
	}
	r.asked[s.TaskID] = scheduled.EventID
	switch s.Kind {
	case fsm.InvokeWorkflow:
		r.starts = append(r.starts, child)
		return
	case fsm.InvokeHuman:
		return // the projector lists it; the person who does it sends the result
	default:
	}
	if s.Again {
		r.made.Again = append(r.made.Again, s.TaskID)
	}
	r.made.Tasks = append(r.made.Tasks, events.Task{
		TaskID: s.TaskID, TaskName: s.Name, Queue: topics.QueueOf(s.Name), TaskType: s.TaskType, NodeType: s.NodeType,
		WorkflowType: r.next.WorkflowType, InstanceID: r.next.InstanceID, InstanceKey: r.next.Key,
		Invocation: s.Invocation, Attempt: s.Attempt, IdempotencyKey: s.TaskID.String(), Input: s.Input,
		Priority: s.Priority, Semantics: s.Semantics, Delivery: s.Delivery, Requires: s.Requires, Timeouts: s.Timeouts,
		ScheduledAt: r.in.Now, CorrelationID: r.next.CorrelationID, CausationID: scheduled.EventID, Token: s.Token,
		HeartbeatDetails: s.HeartbeatDetails, Continuation: s.Continuation, Answers: s.Answers,
	})
}

// putDown records that an attempt goes on later.
func (r *recorder) putDown(p fsm.PutDown) {
	r.event(events.EventTaskScheduled, events.TaskScheduledData{
		AttemptData: events.AttemptData{TaskID: p.TaskID, Task: p.Name, Invocation: p.Invocation, Attempt: p.Attempt},
		State:       p.To, PutDown: !p.HandedBack, HandedBack: p.HandedBack, ResumeAt: p.ResumeAt, NodeID: p.NodeID, Error: errorData(p.Error),
	}, p.Continuation)
}

// taskEvents says which event records that a task reached a state.
var taskEvents = map[events.TaskState]events.EventType{
	events.TaskRunning: events.EventTaskStarted, events.TaskCompleted: events.EventTaskCompleted,
	events.TaskFailed: events.EventTaskFailed, events.TaskTimeout: events.EventTaskFailed,
	events.TaskRetrying: events.EventTaskRetry, events.TaskCancelled: events.EventTaskCancelled,
	events.TaskSkipped: events.EventTaskSkipped,
}

func (r *recorder) taskChanged(t fsm.TaskChanged) {
	kind, recorded := taskEvents[t.To]
	if !recorded {
		return
	}
	r.event(kind, r.taskData(kind, t), t.Result)
}

// taskData is what the event that records a change of a task says of it.
func (r *recorder) taskData(kind events.EventType, t fsm.TaskChanged) any {
	of := events.AttemptData{TaskID: t.TaskID, Task: t.Name, Invocation: t.Invocation, Attempt: t.Attempt}
	switch kind {
	case events.EventTaskStarted:
		return events.TaskStartedData{AttemptData: of, NodeID: t.NodeID, Repeatable: t.Repeatable, TakenOver: t.From == t.To}
	case events.EventTaskCompleted:
		return events.TaskCompletedData{AttemptData: of, NodeID: t.NodeID}
	case events.EventTaskCancelled:
		return events.TaskCancelledData{AttemptData: of, NodeID: t.NodeID}
	case events.EventTaskSkipped:
		return events.TaskSkippedData{AttemptData: of, NodeID: t.NodeID, Error: errorData(t.Error)}
	case events.EventTaskRetry:
		return events.TaskRetryData{
			AttemptData: of, NodeID: t.NodeID, Error: errorData(t.Error), RetryAt: t.RetryAt, RetryAfter: r.retryAfter(t.TaskID),
		}
	default:
		failed := events.TaskFailedData{AttemptData: of, NodeID: t.NodeID, Error: errorData(t.Error), RetryAfter: r.retryAfter(t.TaskID)}
		failed.Retryable = t.Error != nil && t.Error.Retryable
		if t.To == events.TaskTimeout {
			failed.State = t.To
		}
		return failed
	}
}

// retryAfter is how long the executor of a failed attempt asked to wait.
func (r *recorder) retryAfter(task events.UUID) time.Duration {
	if c := r.in.Command; c != nil && c.Result != nil && c.Result.TaskID == task {
		return max(c.Result.RetryAfter, 0)
	}
	return 0
}

// errorData is an error as events say it; nil when there is none.
func errorData(e *events.Error) *events.ErrorData {
	if e == nil {
		return nil
	}
	return &events.ErrorData{Code: e.Code, Message: e.Message}
}

// endEvents says which event records how an instance ended, before what it did
// was undone.
var endEvents = map[events.WorkflowState]events.EventType{
	events.WorkflowCompleted: events.EventWorkflowCompleted, events.WorkflowFailed: events.EventWorkflowFailed,
	events.WorkflowCancelled: events.EventWorkflowCancelled, events.WorkflowTimeout: events.EventWorkflowTimeout,
}

func (r *recorder) ended(e fsm.Ended) {
	data := events.WorkflowEndedData{
		Active: r.next.Chart.Active, State: e.State, Error: errorData(e.Error), ByOperator: r.operator(),
		Terminated: r.in.Command != nil && r.in.Command.Command == events.CommandTerminate && OfOperator(r.in.Command),
	}
	r.end = &e
	r.become(e.State)
	r.next.Output, r.next.Error, r.next.FinishedAt = e.Output, e.Error, r.in.Now
	r.event(endEvents[e.Outcome], data, e.Output)
	r.retain()
}

// park records an incident. Nothing of the step counts; what led to it is kept,
// to be decided again when a person says so.
func (r *recorder) park(i *fsm.Incident) {
	e := &events.Error{Code: i.Code, Message: events.Cut(i.Error(), events.MaxMessageLength)}
	if r.unwritten {
		e.Message = i.Message
	}
	r.next.Error = e
	r.next.Incident = &events.Incident{
		Code: i.Code, Message: i.Message, File: i.File, Line: int32(i.Line), Column: int32(i.Col), At: r.in.Now, //nolint:gosec // files are bounded
		Input: &events.HeldInput{Command: r.in.Command, At: r.in.Now},
	}
	if r.in.Timer != nil {
		r.next.Incident.Input.TimerID = r.in.Timer.ID
	}
	data := events.ErrorOccurredData{ErrorData: *errorData(e), Unwritten: r.unwritten}
	if !r.unwritten { // else no place of the definition is to blame
		data.Place = &events.PlaceData{File: i.File, Line: int32(i.Line), Column: int32(i.Col)} //nolint:gosec // files are bounded
	}
	var payload json.RawMessage
	if c := r.in.Command; c != nil && c.Command != events.CommandStart { // workflow.created has a start's
		data.Input, payload = facts.Parked(c), c.Payload
	}
	r.event(events.EventErrorOccurred, data, payload)
}

// idempotencyKey names the newest event of the instance for its readers.
func (r *recorder) idempotencyKey() string {
	if r.id == "" {
		r.id = r.next.InstanceID.String()
	}
	return r.next.WorkflowType + "-" + r.id + "-" + strconv.FormatInt(r.next.SequenceNumber, 10)
}
