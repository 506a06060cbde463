package events

import (
	"maps"
	"reflect"
	"slices"
	"time"
)

// EventType says what an event records. A kind is added where its neighbours are:
// this file and kinds_task.go have the types, what they mean and the structs of
// their data.
type EventType string

// EventKind says what events of one type record and carry.
type EventKind struct {
	Type    EventType
	Meaning string // what happened
	Data    any    // the zero struct that [Event.Data] decodes into; nil when there is no data
	Payload string // what [Event.Payload] is; "" when there is none
}

// EventKinds lists every kind, in the order in which the schema lists the types.
func EventKinds() []EventKind { return slices.Concat(workflowKinds(), taskKinds(), chartKinds()) }

// EventTypes lists the closed set.
func EventTypes() []EventType { return slices.Clone(eventTypes) }

// eventTypes is made once: every event that is written or read is held against it.
var eventTypes = func() (types []EventType) {
	for _, kind := range EventKinds() {
		types = append(types, kind.Type)
	}
	return types
}()

// Undeclared lists what an event carries that its kind does not declare, such as
// "data.colour", in the order of keys. A router writes nothing of the sort, but an
// event of a later version may have it.
func (e *Event) Undeclared() (list []string) {
	kinds := EventKinds()
	at := slices.IndexFunc(kinds, func(k EventKind) bool { return k.Type == e.EventType })
	if at < 0 {
		return []string{"event_type"}
	}
	list = undeclared("data.", kinds[at].Data, e.Data)
	list = append(list, undeclared("metadata.", EventMetadata{}, e.Metadata)...)
	if e.Payload != nil && kinds[at].Payload == "" {
		list = append(list, "payload")
	}
	return list
}

// undeclared lists the keys that are another value, or gone, when they were read
// into a struct and written again.
func undeclared(prefix string, kind any, data map[string]ContextValue) (list []string) {
	var again map[string]ContextValue
	if kind != nil {
		read := reflect.New(reflect.TypeOf(kind))
		if err := DecodeData(data, read.Interface()); err != nil {
			return []string{prefix + err.Error()}
		}
		again = EncodeData(read.Interface())
	}
	for _, key := range slices.Sorted(maps.Keys(data)) {
		if !again[key].Equal(data[key]) {
			list = append(list, prefix+key)
		}
	}
	return list
}

// EventMetadata is what the metadata of every event say: which input it follows
// from. All events of one decision say the same but for DomainEvent.
type EventMetadata struct {
	Version     int32       `data:"version"`                // version of the definition that decided
	CommandID   UUID        `data:"command_id,omitempty"`   // the command that was decided; absent when a timer was
	Command     CommandType `data:"command,omitempty"`      // type of an operator's command
	Skip        bool        `data:"skip,omitempty"`         // true of a retry that skips what led to the incident
	Reason      string      `data:"reason,omitempty"`       // reason of an operator's command, when it gives one
	RequestedBy string      `data:"requested_by,omitempty"` // source of an operator's command, when it gives one
	Timer       *FiredTimer `data:",inline"`                // when a timer was decided
	DomainEvent string      `data:"domain_event,omitempty"` // of state.transitioned: name of the signal or of the `emit` action's event
}

// FiredTimer is the timer that an event follows from.
type FiredTimer struct {
	ID  int64     `data:"timer"`     // number of the timer in its instance
	Due time.Time `data:"timer_due"` // when it was due
}

// The event types of an instance as a whole.
const (
	EventWorkflowCreated   EventType = "workflow.created"
	EventWorkflowStarted   EventType = "workflow.started"
	EventWorkflowPaused    EventType = "workflow.paused"
	EventWorkflowResumed   EventType = "workflow.resumed"
	EventWorkflowCompleted EventType = "workflow.completed"
	EventWorkflowFailed    EventType = "workflow.failed"
	EventWorkflowCancelled EventType = "workflow.cancelled"
	EventWorkflowTimeout   EventType = "workflow.timeout"
	EventWorkflowRetrying  EventType = "workflow.retrying"
)

func workflowKinds() []EventKind {
	return []EventKind{
		{EventWorkflowCreated, "An instance was created. It is always the first event of a history.", WorkflowCreatedData{}, "The start payload, when there is one."},
		{EventWorkflowStarted, "The instance entered its first states.", WorkflowStartedData{}, ""},
		{EventWorkflowPaused, "An operator paused the instance: it holds what it receives.", WorkflowPausedData{}, ""},
		{EventWorkflowResumed, "An operator resumed the instance.", WorkflowResumedData{}, ""},
		{EventWorkflowCompleted, "The instance completed.", WorkflowEndedData{}, "The output of the final state, when it has one."},
		{EventWorkflowFailed, "The instance failed.", WorkflowEndedData{}, "The output of the final state, when it has one."},
		{EventWorkflowCancelled, "The instance was cancelled or terminated.", WorkflowEndedData{}, "The output of the final state, when it has one."},
		{EventWorkflowTimeout, "The instance ran for longer than its definition allows.", WorkflowEndedData{}, "The output of the final state, when it has one."},
		{EventWorkflowRetrying, "An operator made the instance retry an incident, leave its end, or go back to an earlier sequence number.", WorkflowRetryingData{}, ""},
	}
}

// ByOperator is who asked for what the event records, and why. It is empty when
// there is none: the definition led to it.
type ByOperator struct {
	Reason      string `data:"reason,omitempty"`       // the reason that an operator's command gives
	RequestedBy string `data:"requested_by,omitempty"` // the source of an operator's command
	Skip        bool   `data:"skip,omitempty"`         // true of a retry that skips what failed
}

// ErrorData is an error.
type ErrorData struct {
	Code    string `data:"error_code"`    // code of the error
	Message string `data:"error_message"` // the error for people, at most 4 KiB
}

// WorkflowCreatedData is the data of workflow.created.
type WorkflowCreatedData struct {
	Key      string       `data:"key"`      // business key; empty without one
	Priority TaskPriority `data:"priority"` // priority that the start asked for
	Parent   *ParentData  `data:",inline"`  // of a child workflow
}

// ParentData says which attempt of which task a child workflow was started by.
type ParentData struct {
	Parent     string `data:"parent"`         // the parent: its workflow type, a slash, its instance id
	Task       UUID   `data:"parent_task"`    // task of the parent that waits for the child
	Attempt    int32  `data:"parent_attempt"` // attempt of that task
	Generation int32  `data:"generation"`     // depth of the child: 1 below an instance without a parent
	Root       UUID   `data:"root,omitempty"` // instance at the top of the tree; absent from earlier versions
}

// WorkflowStartedData is the data of workflow.started.
type WorkflowStartedData struct {
	Active []string `data:"active"` // active states after it
}

// WorkflowPausedData is the data of workflow.paused.
type WorkflowPausedData struct {
	From WorkflowState `data:"from"` // workflow state before
	ByOperator
}

// WorkflowResumedData is the data of workflow.resumed.
type WorkflowResumedData struct {
	State WorkflowState `data:"state"` // workflow state after it
	ByOperator
}

// WorkflowEndedData is the data of the four events that end an instance.
type WorkflowEndedData struct {
	Active     []string      `data:"active"`               // active states at the end
	State      WorkflowState `data:"state"`                // final workflow state; compensated when what the instance did was undone
	Error      *ErrorData    `data:",inline"`              // when it ended with an error
	Terminated bool          `data:"terminated,omitempty"` // true when an operator terminated it
	ByOperator
}

// WorkflowRetryingData is the data of workflow.retrying. Exactly one of its three
// parts is set.
type WorkflowRetryingData struct {
	Incident *RetriedIncident `data:",inline"` // of an incident that is retried
	Ended    *RetriedEnd      `data:",inline"` // of an ended instance that goes on
	Reset    *ResetData       `data:",inline"` // of a reset
	ByOperator
}

// RetriedIncident is an incident that is retried.
type RetriedIncident struct {
	Code  string `data:"error_code"` // code of the incident
	Input string `data:"input"`      // what led to it: timer, signal and its name, or a command's name
}

// RetriedEnd is an end that an instance left.
type RetriedEnd struct {
	From    WorkflowState `data:"from"`    // workflow state before
	Active  []string      `data:"active"`  // active states after it
	Entered []string      `data:"entered"` // states entered, in order
}

// ResetData is a return to where an instance was.
type ResetData struct {
	To     int64         `data:"reset_to"` // sequence number that the instance goes back to
	State  WorkflowState `data:"state"`    // workflow state before
	From   []string      `data:"from"`     // active states before
	Active []string      `data:"active"`   // active states after it
}
