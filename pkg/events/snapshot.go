package events

import (
	"encoding/json"
	"time"
)

// Snapshot is the state of an instance after its newest event, on the compacted
// topic workflow.<type>.state. The router restores from it and decides on it;
// projectors fold it into views.
type Snapshot struct {
	WorkflowType   string        `json:"workflow_type"`
	InstanceID     UUID          `json:"instance_id"`
	Key            string        `json:"key,omitempty"`
	Version        int32         `json:"version"`         // of the definition that decides
	SequenceNumber int64         `json:"sequence_number"` // of the newest event
	State          WorkflowState `json:"state"`
	CorrelationID  UUID          `json:"correlation_id"`
	Parent         *Parent       `json:"parent,omitempty"` // whose child workflow this is
	CreatedAt      time.Time     `json:"created_at"`
	UpdatedAt      time.Time     `json:"updated_at"`
	FinishedAt     time.Time     `json:"finished_at,omitzero"`

	Chart  Chart           `json:"chart"`
	Output json.RawMessage `json:"output,omitempty"` // of the top-level final state
	Error  *Error          `json:"error,omitempty"`  // why it failed, or the incident that parks it
	Seen   []SeenCommand   `json:"seen,omitempty"`   // newest last, at most MaxSeenCommands

	Isolation IsolationLevel    `json:"isolation_level"`
	Secrets   map[string]string `json:"secrets,omitempty"` // references, never values
	Limits    map[string]int64  `json:"resource_limits,omitempty"`
	Search    []string          `json:"search,omitempty"` // names in Chart.Data that lists can be filtered by

	Paused   *Pause      `json:"paused,omitempty"`   // while State is paused
	Incident *Incident   `json:"incident,omitempty"` // what parks the instance
	Held     []HeldInput `json:"held,omitempty"`     // what waits for it to go on, in the order in which it came

	// ChangedAt is the sequence of the newest event after which the
	// configuration, the data or a payload was another; 0 when the isolation
	// level does not need it.
	ChangedAt int64 `json:"changed_at,omitempty"`
	// ForgottenAt says that the retention of a finished instance is over: what
	// is left answers for its id and its sequence only.
	ForgottenAt time.Time `json:"forgotten_at,omitzero"`

	// FirstOffset is where a history begins to be read: in the instance's partition
	// of the event topic, none of its events is below this offset. NewestOffset is
	// the same for the newest event, the one of SequenceNumber. Both are lower
	// bounds, near and not exact: between them and the events may be what other
	// instances did, and what was aborted. 0 where no router noted it. After a topic
	// was deleted and made again they may lie too high: a reader that does not find
	// sequence 1 from FirstOffset on begins again at the start of the partition.
	FirstOffset  int64 `json:"first_offset,omitempty"`
	NewestOffset int64 `json:"newest_offset,omitempty"`
}

// MaxSeenCommands is how many commands with an explicit command id or
// idempotency key an instance remembers in order to recognise a duplicate.
const MaxSeenCommands = 128

// SeenCommand is a command that was decided, by the UUID of its id or key.
type SeenCommand struct {
	Name     UUID  `json:"name"`
	Sequence int64 `json:"sequence"` // of the first event that it led to, 0 for none
}

// Chart is the part of a snapshot that pkg/fsm reads and returns: the
// configuration of the statechart and everything that is pending. All ids in it
// are those of the definition. Slices keep the order in which things were set.
type Chart struct {
	Active   []string                   `json:"active"`            // active atomic and final states, document order
	History  map[string][]string        `json:"history,omitempty"` // what each history state remembers
	Data     map[string]ContextValue    `json:"data,omitempty"`
	Payloads map[string]json.RawMessage `json:"payloads,omitempty"`
	Input    json.RawMessage            `json:"input,omitempty"` // start payload, never changed
	Tasks    []TaskStatus               `json:"tasks,omitempty"` // of the active states, in order of start
	Timers   []Timer                    `json:"timers,omitempty"`
	Counter  int64                      `json:"counter"` // ordinals given out, to name tasks and timers

	// Outcome says that the instance was ended from outside, and how: it did not
	// reach a final state, and Active has the states that it was in.
	Outcome      WorkflowState `json:"outcome,omitempty"`
	OutcomeError *Error        `json:"outcome_error,omitempty"`
	// Before has the states that an instance was in before it reached a final
	// state: a retry enters them again.
	Before []string `json:"before,omitempty"`
}

// TaskStatus is one invocation of an active state, pending or ended.
type TaskStatus struct {
	TaskID      UUID            `json:"task_id"`
	StateID     string          `json:"state_id"`   // the state that invoked it
	Invocation  string          `json:"invocation"` // its id within the definition
	Name        string          `json:"name"`       // "queue.task"
	State       TaskState       `json:"state"`
	Attempt     int32           `json:"attempt"` // 0 before the first
	NodeID      string          `json:"node_id,omitempty"`
	Input       json.RawMessage `json:"input,omitempty"`  // evaluated once, the same for every attempt
	Result      json.RawMessage `json:"result,omitempty"` // kept while a sibling may need it
	Error       *Error          `json:"error,omitempty"`  // of the newest failed attempt
	Spent       int32           `json:"spent,omitempty"`  // attempts that no longer count, because a person retried the task
	ScheduledAt time.Time       `json:"scheduled_at,omitzero"`
	StartedAt   time.Time       `json:"started_at,omitzero"`
	Cause       []UUID          `json:"cause,omitempty"` // chain to the event that asked for it; the router's
	Child       *Child          `json:"child,omitempty"` // the child workflow of the newest attempt; the router's
	// HeartbeatDetails is the newest that an attempt has told in its heartbeats; the
	// next attempt gets it. A task that is completed has none.
	HeartbeatDetails json.RawMessage `json:"heartbeat_details,omitempty"`
	// TokenHash is [HashToken] of the newest attempt's token, "" when it has none.
	TokenHash string `json:"-" wire:"token_hash"` // no JSON shows it

	Repeatable bool  `json:"repeatable,omitempty"` // the claim says that the attempt may be made again
	Generation int64 `json:"-" wire:"generation"`  // of the claim, see [TaskResult.Generation]; no history has it
	// Continuation is what the attempt was put down with, and goes on with. It stays
	// until the attempt is put down again or ends.
	Continuation json.RawMessage `json:"continuation,omitempty"`
	ResumeAt     time.Time       `json:"resume_at,omitzero"` // when an attempt that is put down goes on; not that of one which waits for answers
	AskedBy      UUID            `json:"asked_by,omitzero"`  // the task whose [Question] this is; Nil for every other task
}

// TimerKind says what a timer is for.
type TimerKind string

// The timer kinds.
const (
	TimerAfter           TimerKind = "after" // an `after` transition of an active state
	TimerSend            TimerKind = "send"  // a delayed `send`
	TimerRetry           TimerKind = "retry" // the next attempt of a task
	TimerScheduleToStart TimerKind = "schedule_to_start"
	TimerStartToClose    TimerKind = "start_to_close"
	TimerScheduleToClose TimerKind = "schedule_to_close"
	TimerHeartbeat       TimerKind = "heartbeat"
	TimerResume          TimerKind = "resume"    // an attempt that was put down goes on
	TimerRuntime         TimerKind = "runtime"   // the instance has run for as long as it may
	TimerRetention       TimerKind = "retention" // of a finished instance: it is forgotten
)

// TimerKinds lists the closed set.
func TimerKinds() []TimerKind {
	return []TimerKind{
		TimerAfter, TimerSend, TimerRetry, TimerScheduleToStart, TimerStartToClose, TimerScheduleToClose, TimerHeartbeat,
		TimerRuntime, TimerRetention, TimerResume,
	}
}

// Timer is something that fires at Due. The router's store orders
// timers by due time, then by instance, then by ID.
type Timer struct {
	ID     int64           `json:"id"` // ordinal, unique within the instance, rising in the order of setting
	Kind   TimerKind       `json:"kind"`
	Due    time.Time       `json:"due"`
	Ref    string          `json:"ref"` // after: the state's id; send: its sendId; tasks: the invocation
	TaskID UUID            `json:"task_id,omitzero"`
	Event  string          `json:"event,omitempty"` // what is raised when it fires
	Data   json.RawMessage `json:"data,omitempty"`
	Cause  []UUID          `json:"cause,omitempty"` // chain to the event that set it; the router's
}

// Validate checks the fields that are not checked in another record.
func (s *Snapshot) Validate() error {
	if err := firstError(
		CheckWorkflowType("workflow_type", s.WorkflowType),
		checkID("instance_id", s.InstanceID),
		checkSequence(s.SequenceNumber),
		checkEnum("state", s.State, WorkflowStates()),
		checkEnum("isolation_level", s.Isolation, IsolationLevels()),
		checkID("correlation_id", s.CorrelationID),
		checkTime("created_at", s.CreatedAt),
		checkTime("updated_at", s.UpdatedAt),
		validateValues("chart.data", s.Chart.Data),
		checkOptionalEnum("chart.outcome", s.Chart.Outcome, WorkflowStates()),
		s.checkOffsets(),
		s.Parent.check(),
	); err != nil {
		return err
	}
	for i := range s.Chart.Tasks {
		t := &s.Chart.Tasks[i]
		if err := firstError(checkID("task_id", t.TaskID), checkEnum("state", t.State, TaskStates()), t.Child.check()); err != nil {
			return inField("chart.tasks", err)
		}
	}
	for i := range s.Chart.Timers {
		t := &s.Chart.Timers[i]
		if err := firstError(checkEnum("kind", t.Kind, TimerKinds()), checkTime("due", t.Due)); err != nil {
			return inField("chart.timers", err)
		}
	}
	return nil
}

func (s *Snapshot) checkOffsets() error {
	switch {
	case s.FirstOffset < 0:
		return fieldErrorf("first_offset", "%d is below 0", s.FirstOffset)
	case s.NewestOffset < 0:
		return fieldErrorf("newest_offset", "%d is below 0", s.NewestOffset)
	}
	return nil
}

// CheckpointKey is the record key of a [Checkpoint] in a state topic. It cannot
// be an instance id.
const CheckpointKey = "!ckpt"

// Checkpoint says up to where the commands of one partition are decided. It is
// the newest record with key [CheckpointKey] of each partition of
// workflow.<type>.state, written in the transaction that it describes; it, and
// not the group's committed offset, is the truth.
type Checkpoint struct {
	Partition  int32     `json:"partition"`
	NextOffset int64     `json:"next_offset"` // of the first command that is not decided yet
	Source     string    `json:"source"`      // the router slot that wrote it
	Timestamp  time.Time `json:"timestamp"`
}

// Validate checks every field.
func (c *Checkpoint) Validate() error {
	if c.NextOffset < 0 {
		return fieldErrorf("next_offset", "%d is below 0", c.NextOffset)
	}
	return checkTime("timestamp", c.Timestamp)
}

// MaxHeldSignals and MaxHeldLength bound the signals that an instance holds
// while it decides nothing, in number and in bytes of payload. Results of open
// tasks are held beyond them: there is one for each task at most.
const (
	MaxHeldSignals = 256
	MaxHeldLength  = 256 << 10
)

// Pause says since when an instance is paused and what it was before.
type Pause struct {
	From   WorkflowState `json:"from"` // where a resume leads
	At     time.Time     `json:"at"`
	Reason string        `json:"reason,omitempty"`
	By     string        `json:"by,omitempty"` // who asked
}

// Incident is why an instance waits for an operator: an input that could not be
// decided, or a compensation that failed. Nothing else is decided until it is
// retried, or the instance is ended.
type Incident struct {
	Code    string    `json:"code"` // EXPRESSION, MICROSTEPS or COMPENSATION_FAILED
	Message string    `json:"message"`
	File    string    `json:"file,omitempty"` // of the definition
	Line    int32     `json:"line,omitempty"`
	Column  int32     `json:"column,omitempty"`
	At      time.Time `json:"at"`
	TaskID  UUID      `json:"task_id,omitzero"` // COMPENSATION_FAILED: the task that failed
	// Input is what led to it; a retry decides it again. Nil when that input is
	// decided and only a task waits.
	Input *HeldInput `json:"input,omitempty"`
}

// HeldInput is something that happened to an instance and is not decided yet: a
// command, or a timer that was due.
type HeldInput struct {
	Command *Command  `json:"command,omitempty"`
	TimerID int64     `json:"timer_id,omitempty"` // 0 for a command
	At      time.Time `json:"at"`                 // when it came
}

// Holding reports whether what happens to the instance is held instead of
// decided: it is paused, or an incident parks it.
func (s *Snapshot) Holding() bool { return s.State == WorkflowPaused || s.Incident != nil }
