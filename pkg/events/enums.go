package events

// The closed sets. A value outside its set is refused on encode and on decode, naming
// the field. Each set's function returns a new slice in the order in which the
// schemas list the symbols.

// WorkflowState is the state of an instance as a whole, whatever its definition.
type WorkflowState string

// The 12 workflow states.
const (
	WorkflowPending              WorkflowState = "pending"
	WorkflowInitializing         WorkflowState = "initializing"
	WorkflowRunning              WorkflowState = "running"
	WorkflowPaused               WorkflowState = "paused"
	WorkflowCompleted            WorkflowState = "completed"
	WorkflowFailed               WorkflowState = "failed"
	WorkflowCancelled            WorkflowState = "cancelled"
	WorkflowTimeout              WorkflowState = "timeout"
	WorkflowRetrying             WorkflowState = "retrying"
	WorkflowWaitingForDependency WorkflowState = "waiting_for_dependency"
	WorkflowCompensating         WorkflowState = "compensating"
	WorkflowCompensated          WorkflowState = "compensated"
)

// WorkflowStates lists the closed set.
func WorkflowStates() []WorkflowState {
	return []WorkflowState{
		WorkflowPending, WorkflowInitializing, WorkflowRunning, WorkflowPaused, WorkflowCompleted, WorkflowFailed,
		WorkflowCancelled, WorkflowTimeout, WorkflowRetrying, WorkflowWaitingForDependency, WorkflowCompensating,
		WorkflowCompensated,
	}
}

// Finished reports whether the instance has reached a final workflow state.
func (s WorkflowState) Finished() bool {
	switch s {
	case WorkflowCompleted, WorkflowFailed, WorkflowCancelled, WorkflowTimeout, WorkflowCompensated:
		return true
	default:
		return false
	}
}

// TaskState is the state of a task.
type TaskState string

// The 11 task states.
const (
	TaskPending         TaskState = "pending"
	TaskScheduled       TaskState = "scheduled"
	TaskRunning         TaskState = "running"
	TaskCompleted       TaskState = "completed"
	TaskFailed          TaskState = "failed"
	TaskCancelled       TaskState = "cancelled"
	TaskTimeout         TaskState = "timeout"
	TaskRetrying        TaskState = "retrying"
	TaskSkipped         TaskState = "skipped"
	TaskWaitingForInput TaskState = "waiting_for_input"
	TaskBlocked         TaskState = "blocked"
)

// TaskStates lists the closed set.
func TaskStates() []TaskState {
	return []TaskState{
		TaskPending, TaskScheduled, TaskRunning, TaskCompleted, TaskFailed, TaskCancelled, TaskTimeout, TaskRetrying,
		TaskSkipped, TaskWaitingForInput, TaskBlocked,
	}
}

// Finished reports whether the task has ended.
func (s TaskState) Finished() bool {
	switch s {
	case TaskCompleted, TaskFailed, TaskCancelled, TaskTimeout, TaskSkipped:
		return true
	default:
		return false
	}
}

// TaskType is the kind of node work that a task is.
type TaskType string

// The four task types.
const (
	TaskCompute      TaskType = "compute" // free of side effects: may run again at will
	TaskEffect       TaskType = "effect"  // changes the world: runs under its idempotency key
	TaskOrchestrator TaskType = "orchestrator"
	TaskReducer      TaskType = "reducer"
)

// TaskTypes lists the closed set.
func TaskTypes() []TaskType {
	return []TaskType{TaskCompute, TaskEffect, TaskOrchestrator, TaskReducer}
}

// NodeType is the kind of worker that a task needs.
type NodeType string

// The four node types.
const (
	NodeCompute      NodeType = "COMPUTE"
	NodeEffect       NodeType = "EFFECT"
	NodeReducer      NodeType = "REDUCER"
	NodeOrchestrator NodeType = "ORCHESTRATOR"
)

// NodeTypes lists the closed set.
func NodeTypes() []NodeType {
	return []NodeType{NodeCompute, NodeEffect, NodeReducer, NodeOrchestrator}
}

// ExecutionSemantics says whether an instance waits for a task.
type ExecutionSemantics string

// The three semantics.
const (
	Await         ExecutionSemantics = "await"           // the state is left when the result is in
	FireAndForget ExecutionSemantics = "fire_and_forget" // the result is recorded and decides nothing
	AsyncAwait    ExecutionSemantics = "async_await"     // the instance goes on and may read the result later
)

// ExecutionSemanticsSet lists the closed set.
func ExecutionSemanticsSet() []ExecutionSemantics {
	return []ExecutionSemantics{Await, FireAndForget, AsyncAwait}
}

// DeliveryGuarantee says how often an attempt may be handed to an executor.
type DeliveryGuarantee string

// The two guarantees that a side effect can have.
const (
	AtLeastOnce DeliveryGuarantee = "at_least_once" // again after a crash, under the same idempotency key
	AtMostOnce  DeliveryGuarantee = "at_most_once"  // never again: an unknown outcome is a failure
)

// DeliveryGuarantees lists the closed set.
func DeliveryGuarantees() []DeliveryGuarantee { return []DeliveryGuarantee{AtLeastOnce, AtMostOnce} }

// RetryPolicy says how the delay between attempts grows.
type RetryPolicy string

// The five policies; custom is read and refused until it has a meaning.
const (
	RetryNone        RetryPolicy = "none"
	RetryFixed       RetryPolicy = "fixed"
	RetryExponential RetryPolicy = "exponential"
	RetryLinear      RetryPolicy = "linear"
	RetryCustom      RetryPolicy = "custom"
)

// RetryPolicies lists the closed set.
func RetryPolicies() []RetryPolicy {
	return []RetryPolicy{RetryNone, RetryFixed, RetryExponential, RetryLinear, RetryCustom}
}

// TaskPriority orders tasks inside one executor's local queue, lowest first.
type TaskPriority string

// The five priorities, in rising order.
const (
	PriorityLow      TaskPriority = "low"
	PriorityNormal   TaskPriority = "normal"
	PriorityHigh     TaskPriority = "high"
	PriorityCritical TaskPriority = "critical"
	PriorityUrgent   TaskPriority = "urgent"
)

// TaskPriorities lists the closed set, lowest first.
func TaskPriorities() []TaskPriority {
	return []TaskPriority{PriorityLow, PriorityNormal, PriorityHigh, PriorityCritical, PriorityUrgent}
}

// IsolationLevel says what an instance may see of others.
type IsolationLevel string

// The four levels.
const (
	ReadUncommitted IsolationLevel = "read_uncommitted"
	ReadCommitted   IsolationLevel = "read_committed"
	RepeatableRead  IsolationLevel = "repeatable_read"
	Serializable    IsolationLevel = "serializable"
)

// IsolationLevels lists the closed set.
func IsolationLevels() []IsolationLevel {
	return []IsolationLevel{ReadUncommitted, ReadCommitted, RepeatableRead, Serializable}
}

// CommandType says what a command asks for.
type CommandType string

// The command types: for clients, for executors, for operators, and for
// everybody who wants to know where an instance is.
const (
	CommandStart     CommandType = "start"     // begin an instance
	CommandSignal    CommandType = "signal"    // send an event to a running instance
	CommandClaim     CommandType = "claim"     // an executor has begun an attempt
	CommandHeartbeat CommandType = "heartbeat" // an executor is still at it
	CommandResult    CommandType = "result"    // an attempt has ended
	CommandPause     CommandType = "pause"     // decide nothing more until resume
	CommandResume    CommandType = "resume"    // go on, with what was held first
	CommandCancel    CommandType = "cancel"    // end, with exit actions and compensation
	CommandTerminate CommandType = "terminate" // end at once, without either
	CommandRetry     CommandType = "retry"     // retry what failed, or an incident
	CommandReset     CommandType = "reset"     // go on from an earlier sequence number
	CommandMigrate   CommandType = "migrate"   // go on under another version of the definition
	CommandDescribe  CommandType = "describe"  // answer with the snapshot, and change nothing
)

// CommandTypes lists the closed set.
func CommandTypes() []CommandType {
	return []CommandType{
		CommandStart, CommandSignal, CommandClaim, CommandHeartbeat, CommandResult, CommandPause, CommandResume,
		CommandCancel, CommandTerminate, CommandRetry, CommandReset, CommandMigrate, CommandDescribe,
	}
}

// OutcomeStatus says why a command led to no event of its own.
type OutcomeStatus string

// The six outcomes.
const (
	OutcomeDuplicate OutcomeStatus = "duplicate" // already decided; the outcome names that decision
	OutcomeConflict  OutcomeStatus = "conflict"  // expected_sequence did not match
	OutcomeRejected  OutcomeStatus = "rejected"  // cannot be done; code and message say why
	OutcomeIgnored   OutcomeStatus = "ignored"   // legal, but nothing in the instance reacts to it
	OutcomeHeld      OutcomeStatus = "held"      // kept until a paused instance or one with an incident goes on
	OutcomeDescribed OutcomeStatus = "described" // the answer of a describe: the snapshot
)

// OutcomeStatuses lists the closed set.
func OutcomeStatuses() []OutcomeStatus {
	return []OutcomeStatus{OutcomeDuplicate, OutcomeConflict, OutcomeRejected, OutcomeIgnored, OutcomeHeld, OutcomeDescribed}
}
