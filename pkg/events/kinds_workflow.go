package events

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
// nobody did: the definition led to it.
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
