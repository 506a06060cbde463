package fsm

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/leat-io/leat/pkg/events"
)

// Effect is something that a step led to. The set is closed: a type switch over
// the types of this file is complete. Slices inside may be shared with the
// machine: read them, do not write them.
type Effect interface{ effect() }

// Started is the first effect of [InputStart].
type Started struct {
	Active  []string // atomic and final states, document order
	Entered []string // in the order in which they were entered
}

// Transitioned is one macrostep that left or entered states.
type Transitioned struct {
	Event   string   // what began the macrostep
	Exited  []string // in the order in which they were left
	Entered []string // in the order in which they were entered
	Active  []string // atomic and final states after it, document order
}

// StartTask asks for one attempt of a task.
type StartTask struct {
	TaskID     events.UUID
	StateID    string
	Invocation string
	Name       string // "queue.task"
	Kind       InvocationKind
	Attempt    int32 // 1, 2, 3, …
	TaskType   events.TaskType
	NodeType   events.NodeType
	Input      json.RawMessage
	Priority   events.TaskPriority
	Semantics  events.ExecutionSemantics
	Delivery   events.DeliveryGuarantee
	Requires   []string
	Timeouts   events.Timeouts
	Token      string // of the attempt; "" when none is needed

	HeartbeatDetails json.RawMessage // the newest of an earlier attempt, nil for none

	Continuation json.RawMessage // what the attempt goes on with, nil for one that begins
	Answers      []events.Answer // to the questions with which it was put down
	Again        bool            // the attempt was issued before, and was put down or handed back
	Back         *PutDown        // of one that was handed back just now; nil of every other
	AskedBy      events.UUID     // the task whose question it is; Nil of every other
}

// CancelTask says that the run of an attempt is over without a word of who runs it:
// they are to stop.
type CancelTask struct {
	TaskID    events.UUID
	Attempt   int32
	TokenHash string // of the run; "" when attempts have no tokens
	NodeID    string // only this node is to stop; "" for whoever runs it
	Code      string // why
}

// PutDown says that an attempt goes on later: at a time, or when the questions are
// answered that are the next effects. Handed back, it did not begin.
type PutDown struct {
	TaskID       events.UUID
	StateID      string
	Invocation   string
	Name         string
	From, To     events.TaskState
	Attempt      int32
	NodeID       string // who had it
	Continuation json.RawMessage
	ResumeAt     time.Time // zero: when the questions are answered
	HandedBack   bool
	Error        *events.Error // handed back: why; nil when nobody says
}

// TaskChanged is a step in a task's life other than its start.
type TaskChanged struct {
	TaskID     events.UUID
	StateID    string
	Invocation string
	Name       string
	From, To   events.TaskState
	Attempt    int32
	Result     json.RawMessage // To completed
	Error      *events.Error   // To failed, timeout, retrying; skipped: why
	NodeID     string
	RetryAt    time.Time // To retrying: when the next attempt is issued
	Repeatable bool      // To running: the attempt may be made again
}

// DependencyResolved says that everything which a task of a DAG needs has ended
// as it must, so that the task may begin.
type DependencyResolved struct {
	TaskID     events.UUID
	StateID    string
	Invocation string
	Name       string
	Needs      []string // in the order of the definition
}

// DependencyFailed says that a task can never begin, because what it needs has
// not been completed. That the task is skipped is the next effect.
type DependencyFailed struct {
	TaskID     events.UUID
	StateID    string
	Invocation string
	Name       string
	Need       string           // the task that it needs
	State      events.TaskState // how that one ended
}

// SlotGiven says that a task which waited for a resource limit need not wait any
// longer. Its attempt is the next effect.
type SlotGiven struct {
	TaskID     events.UUID
	StateID    string
	Invocation string
	Name       string
	Limit      string // the limit's name
}

// Heartbeat says that a deadline moved, and that there may be new details. There
// is nothing to record.
type Heartbeat struct{ TaskID events.UUID }

// Emitted is a domain fact for the history.
type Emitted struct {
	Event string
	Data  json.RawMessage
}

// SendSignal is a signal to another instance.
type SendSignal struct {
	To    string // instance id or business key
	Type  string // workflow type of the receiver
	Event string
	Data  json.RawMessage
}

// Logged is the message of a `log` action.
type Logged struct{ Message string }

// TimerSet and TimerCancelled tell of the chart's timers; the chart holds them.
type TimerSet struct{ events.Timer }

// TimerCancelled is a timer that will not fire.
type TimerCancelled struct{ ID int64 }

// TimerFired is the first effect of [InputTimer]. It may be the only one, when
// no guard lets anything follow: the chart has changed all the same.
type TimerFired struct{ events.Timer }

// CompensationStarted says that completed work is undone from here on, by the
// invocations named, in this order. The instance is compensating until Ended.
type CompensationStarted struct{ Invocations []string }

// CompensationFailed says that a compensating task has failed permanently.
// Compensation waits until an operator retries or skips it.
type CompensationFailed struct {
	TaskID     events.UUID
	Invocation string
	Error      *events.Error
}

// CompensationEnded says that all is compensated.
type CompensationEnded struct{ GoesOn bool } // the instance was not at its end

// Retried says that an instance left its end and is again in the states that it
// was in before.
type Retried struct {
	Active  []string // atomic and final states, document order
	Entered []string // in the order in which they were entered
}

// Ended is the last effect of an instance.
type Ended struct {
	State   events.WorkflowState // completed, failed, cancelled, timeout or compensated
	Outcome events.WorkflowState // how it ended, also when it is compensated now
	Output  json.RawMessage
	Error   *events.Error
}

// Ignored says that nothing reacted, or that a report was refused, and why. It is the only effect of its step,
// and the chart is returned unchanged.
type Ignored struct{ Code, Message string }

// The codes of [Ignored].
const (
	UnhandledEvent = "UNHANDLED_EVENT"
	ReservedEvent  = "RESERVED_EVENT"
	StaleAttempt   = "STALE_ATTEMPT"
	WrongToken     = "WRONG_TOKEN" // the report does not carry the token of the attempt's task record
	UnknownTask    = "UNKNOWN_TASK"
	UnknownTimer   = "UNKNOWN_TIMER"
	Finished       = "FINISHED"
	NothingToRetry = "NOTHING_TO_RETRY"
	TaskClaimed    = "TASK_CLAIMED"   // another person has the task
	InvalidResult  = "INVALID_RESULT" // a person's result breaks the schema of the form; the task stays open
)

func (Started) effect()             {}
func (Transitioned) effect()        {}
func (StartTask) effect()           {}
func (TaskChanged) effect()         {}
func (PutDown) effect()             {}
func (CancelTask) effect()          {}
func (DependencyResolved) effect()  {}
func (DependencyFailed) effect()    {}
func (SlotGiven) effect()           {}
func (Heartbeat) effect()           {}
func (Emitted) effect()             {}
func (SendSignal) effect()          {}
func (Logged) effect()              {}
func (TimerSet) effect()            {}
func (TimerCancelled) effect()      {}
func (TimerFired) effect()          {}
func (CompensationStarted) effect() {}
func (CompensationFailed) effect()  {}
func (CompensationEnded) effect()   {}
func (Retried) effect()             {}
func (Ended) effect()               {}
func (Ignored) effect()             {}

// Incident is a decision that cannot be made: an expression failed and no
// active state handles error.execution, or a macrostep does not end. Nothing of
// the step counts; the instance waits for an operator.
type Incident struct { //nolint:errname // it is a thing that people list and resolve; being an error is how it travels
	Code      string // EXPRESSION, MICROSTEPS or TOO_MUCH_WORK
	Message   string
	File      string
	Line, Col int
}

// The codes of [Incident].
const (
	CodeExpression = "EXPRESSION"
	CodeMicrosteps = "MICROSTEPS"
	CodeWork       = "TOO_MUCH_WORK"
)

// Error reads "file:line:col: CODE: message".
func (e *Incident) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s: %s", e.File, e.Line, e.Col, e.Code, e.Message)
}

// InputKind says what an [Input] is.
type InputKind uint8

// The kinds of input.
const (
	InputStart     InputKind = iota + 1 // begin; the chart is the zero Chart
	InputEvent                          // a signal
	InputClaim                          // an executor has begun an attempt
	InputHeartbeat                      // an executor is still at it
	InputResult                         // an attempt has ended
	InputTimer                          // a timer of the chart is due
	InputStop                           // the instance is ended from outside
	InputRetry                          // a person wants what failed to be tried again
	InputMigrate                        // of [Machine.Migrate] only
	InputReset                          // of [Machine.Reset] only
)

// Instance is who decides. It is the same in every step of one instance, except
// that Version changes when it is migrated.
type Instance struct {
	ID        events.UUID
	Type, Key string
	Version   int32
}

// Input is one thing that happens to an instance.
type Input struct {
	Kind     InputKind
	Instance Instance
	Now      time.Time // of the decision; while a timer fires it is the timer's Due
	Name     string    // InputEvent: the signal's name
	// Data is the start payload, the signal's data or the task's result; nil is null.
	Data    json.RawMessage
	Task    *events.TaskResult // InputClaim, InputHeartbeat, InputResult
	TimerID int64              // InputTimer
	Stop    Stop               // InputStop
	Skip    bool               // InputRetry: a failed compensation is abandoned
	// Seed gives every attempt that is issued its token ([events.ClaimToken]):
	// random bytes, new for each decision or group of them. Without it attempts
	// have none, as where a history is decided again.
	Seed []byte
	// Work, when it is set, has what the step cost added to it, in units of
	// [MaxWork]: a caller that decides many steps in a row bounds them together by it.
	Work *int
}
