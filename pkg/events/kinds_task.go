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
		{EventTaskScheduled, "An attempt of a task was issued.", TaskScheduledData{}, "The input of the task."},
		{EventTaskStarted, "An attempt was claimed.", TaskStartedData{}, ""},
		{EventTaskCompleted, "A task completed.", TaskCompletedData{}, "The result, when it is not empty."},
		{EventTaskFailed, "A task failed for good.", TaskFailedData{}, ""},
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
	State    TaskState  `data:"state,omitempty"`    // waiting_for_input of a human task; absent of every other
	Assignee *string    `data:"assignee,omitempty"` // who is to do a human task, when the definition says
	Child    *ChildData `data:",inline"`            // of a task that starts a child workflow
}

// ChildData names a child workflow.
type ChildData struct {
	Type string `data:"child_type"` // workflow type of the child
	ID   UUID   `data:"child_id"`   // instance id of the child
}

// TaskStartedData is the data of task.started.
type TaskStartedData struct {
	AttemptData
	NodeID string `data:"node_id,omitempty"` // worker that claimed it
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
