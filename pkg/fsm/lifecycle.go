package fsm

import (
	"fmt"
	"slices"

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
		events.TaskWaitingForInput, events.TaskRetrying,
		events.TaskCompleted, events.TaskFailed, events.TaskTimeout, events.TaskCancelled,
	},
	events.TaskWaitingForInput: {
		events.TaskRunning, events.TaskRetrying,
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
