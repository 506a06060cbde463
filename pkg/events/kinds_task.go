package events

import "time"

// The event types of tasks.
const (
	EventTaskScheduled EventType = "task.scheduled"
	EventTaskStarted   EventType = "task.started"
	EventTaskCompleted EventType = "task.completed"
	EventTaskFailed    EventType = "task.failed"
	EventTaskRetry     EventType = "task.retry"
	EventTaskCancelled EventType = "task.cancelled"
	EventTaskSkipped   EventType = "task.skipped"
)

func taskKinds() []EventKind {
	return []EventKind{
		{
			EventTaskScheduled, "An attempt of a task was issued, or put down until it is issued again.",
			TaskScheduledData{},
			"The input of the task; of an attempt that is put down, what it goes on with.",
		},
		{EventTaskStarted, "An attempt was claimed.", TaskStartedData{}, ""},
		{EventTaskCompleted, "A task completed.", TaskCompletedData{}, "The result, when it is not empty."},
		{EventTaskFailed, "A task failed permanently.", TaskFailedData{}, ""},
		{EventTaskRetry, "An attempt failed, and another one is due.", TaskRetryData{}, ""},
		{EventTaskCancelled, "A task was cancelled: its state was left, or the instance ended.", TaskCancelledData{}, ""},
		{EventTaskSkipped, "A task was not issued, because a task that it needs did not end as it must.", TaskSkippedData{}, ""},
	}
}

// AttemptData names an attempt of a task. The data of all task events begin so.
type AttemptData struct {
	TaskID     UUID   `data:"task_id"`    // id of the task, the same in all its attempts
	Task       string `data:"task"`       // name of the task; human.task of a human task, workflow.start of a child workflow
	Invocation string `data:"invocation"` // invocation of the definition that asks for it
	Attempt    int32  `data:"attempt"`    // 1, 2, 3, …; 0 when none was issued
}

// TaskScheduledData is the data of task.scheduled.
type TaskScheduledData struct {
	AttemptData
	State      TaskState  `data:"state,omitempty"`       // waiting_for_input of a human task and of an attempt that is put down with questions, scheduled of one that goes on at a time; absent of every other
	Assignee   *string    `data:"assignee,omitempty"`    // who is to do a human task, when the definition or the question says
	Child      *ChildData `data:",inline"`               // of a task that starts a child workflow
	AskedBy    UUID       `data:"asked_by,omitempty"`    // the task whose question this is
	PutDown    bool       `data:"put_down,omitempty"`    // true when the attempt goes on later
	HandedBack bool       `data:"handed_back,omitempty"` // true when the worker that had it did not begin
	Again      bool       `data:"again,omitempty"`       // true when the attempt was put down or handed back, and is issued again
	ResumeAt   time.Time  `data:"resume_at,omitempty"`   // when an attempt that is put down is issued again; absent of one that waits for answers
	NodeID     string     `data:"node_id,omitempty"`     // worker that put it down or handed it back
	Error      *ErrorData `data:",inline"`               // of an attempt that was handed back, when there is a reason to give
}

// ChildData names a child workflow.
type ChildData struct {
	Type string `data:"child_type"` // workflow type of the child
	ID   UUID   `data:"child_id"`   // instance id of the child
}

// TaskStartedData is the data of task.started.
type TaskStartedData struct {
	AttemptData
	NodeID     string `data:"node_id,omitempty"`    // worker that claimed it
	Repeatable bool   `data:"repeatable,omitempty"` // true when the claim says that the attempt may be made again, although it is to run at most once
	TakenOver  bool   `data:"taken_over,omitempty"` // true when another worker had claimed it, and lost it before it began
}

// TaskCompletedData is the data of task.completed.
type TaskCompletedData struct {
	AttemptData
	NodeID string `data:"node_id,omitempty"` // worker that ran it; a child workflow is its type, a slash, its instance id
}

// TaskFailedData is the data of task.failed.
type TaskFailedData struct {
	AttemptData
	State      TaskState     `data:"state,omitempty"`           // timeout when it took too long; absent when it failed
	NodeID     string        `data:"node_id,omitempty"`         // worker that ran it; absent when none claimed it
	Error      *ErrorData    `data:",inline"`                   // always
	Retryable  bool          `data:"error_retryable,omitempty"` // true when another attempt could have succeeded, and there is none left
	RetryAfter time.Duration `data:"retry_after_ms,omitempty"`  // milliseconds that the worker asked to wait
}

// TaskRetryData is the data of task.retry.
type TaskRetryData struct {
	AttemptData
	NodeID     string        `data:"node_id,omitempty"`        // worker that ran it; absent when none claimed it
	Error      *ErrorData    `data:",inline"`                  // always
	RetryAt    time.Time     `data:"retry_at,omitempty"`       // when the next attempt is issued
	RetryAfter time.Duration `data:"retry_after_ms,omitempty"` // milliseconds that the worker asked to wait
}

// TaskCancelledData is the data of task.cancelled.
type TaskCancelledData struct {
	AttemptData
	NodeID string `data:"node_id,omitempty"` // worker that ran it; absent when none claimed it
}

// TaskSkippedData is the data of task.skipped.
type TaskSkippedData struct {
	AttemptData
	NodeID string     `data:"node_id,omitempty"` // worker of the last attempt; absent when there was none
	Error  *ErrorData `data:",inline"`           // when there is a reason to give
}

// The event types of the statechart, of what tasks wait for, of compensation and of incidents.
const (
	EventDependencyResolved    EventType = "dependency.resolved"
	EventDependencyFailed      EventType = "dependency.failed"
	EventStateTransitioned     EventType = "state.transitioned"
	EventCompensationStarted   EventType = "compensation.started"
	EventCompensationCompleted EventType = "compensation.completed"
	EventCompensationFailed    EventType = "compensation.failed"
	EventResourceAllocated     EventType = "resource.allocated"
	EventResourceReleased      EventType = "resource.released"
	EventErrorOccurred         EventType = "error.occurred"
)

func chartKinds() []EventKind {
	return []EventKind{
		{EventDependencyResolved, "All that a task needs has ended as it must: the task can begin.", DependencyResolvedData{}, ""},
		{EventDependencyFailed, "A task that another one needs did not end as it must.", DependencyFailedData{}, ""},
		{
			EventStateTransitioned, "A transition was taken, a signal was taken without one, a timer was over, an `emit` action published an event, or the instance was migrated.",
			StateTransitionedData{},
			"The data of the signal or of the `emit` action; of a migration, its mapping of states.",
		},
		{EventCompensationStarted, "The instance began to undo its completed tasks.", CompensationStartedData{}, ""},
		{EventCompensationCompleted, "All that was to be undone is undone.", nil, ""},
		{EventCompensationFailed, "A compensation failed permanently: the instance waits for an operator.", CompensationFailedData{}, ""},
		{EventResourceAllocated, "A task that waited for a resource limit got its slot.", ResourceAllocatedData{}, ""},
		{EventResourceReleased, "Reserved: no router writes it. A slot is free when its task has ended.", nil, ""},
		{EventErrorOccurred, "An input could not be decided: the instance waits with an incident.", ErrorOccurredData{}, "The payload of the input, unless it was the start, whose payload `workflow.created` has."},
	}
}

// TaskRef names a task that waits.
type TaskRef struct {
	TaskID     UUID   `data:"task_id"`    // id of the task
	Task       string `data:"task"`       // name of the task; human.task of a human task, workflow.start of a child workflow
	Invocation string `data:"invocation"` // invocation of the definition that asks for it
}

// DependencyResolvedData is the data of dependency.resolved.
type DependencyResolvedData struct {
	TaskRef
	Needs []string `data:"needs"` // invocations that it needs
}

// DependencyFailedData is the data of dependency.failed.
type DependencyFailedData struct {
	TaskRef
	Need      string    `data:"need"`       // invocation that did not end as it must
	NeedState TaskState `data:"need_state"` // how that one ended
}

// ResourceAllocatedData is the data of resource.allocated.
type ResourceAllocatedData struct {
	TaskRef
	Resource string `data:"resource"` // name of the resource limit
}

// StateTransitionedData is the data of state.transitioned. It is empty for the
// event of an `emit` action, which the metadata name in domain_event.
type StateTransitionedData struct {
	Transition *TransitionData `data:",inline"` // always, but for the event of an `emit` action
	Migration  *MigrationData  `data:",inline"` // of a migration
	ByOperator
}

// TransitionData is a move of the statechart.
type TransitionData struct {
	Event   string   `data:"event"`   // event that led to it: a signal, an event of the engine, or migrate
	Exited  []string `data:"exited"`  // states exited, in order
	Entered []string `data:"entered"` // states entered, in order
	Active  []string `data:"active"`  // active states after it
}

// MigrationData is a move to another version of the definition.
type MigrationData struct {
	From int32 `data:"migrated_from"` // version before
	To   int32 `data:"migrated_to"`   // version after it
}

// CompensationStartedData is the data of compensation.started.
type CompensationStartedData struct {
	Invocations []string `data:"invocations"` // invocations to undo, in order
	ByOperator
}

// CompensationFailedData is the data of compensation.failed.
type CompensationFailedData struct {
	Invocation string `data:"invocation"` // invocation of the task that undoes
	TaskID     UUID   `data:"task_id"`    // id of that task
	ErrorData
}

// ErrorOccurredData is the data of error.occurred.
type ErrorOccurredData struct {
	ErrorData
	Place     *PlaceData `data:",inline"`             // when a place of the definition is to blame
	Unwritten bool       `data:"unwritten,omitempty"` // true when what follows could not be decided or written, and no place is to blame
	Input     string     `data:"input,omitempty"`     // the command that could not be decided, as JSON: command, event, result; absent of a start and of a timer
}

// PlaceData is a place in a definition file.
type PlaceData struct {
	File   string `data:"file"`   // name of the file
	Line   int32  `data:"line"`   // line, from 1
	Column int32  `data:"column"` // column, from 1
}
