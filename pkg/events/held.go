package events

import "time"

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
