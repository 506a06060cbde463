package wire

import (
	"encoding/json"
	"time"
)

// Answer is what a call comes to: a [*Result], [*Questions] or a [*Task].
type Answer interface{ answer() }

// Result is the end of a call. Its JSON is as the server wrote it, each number
// digit by digit.
type Result struct {
	// Content is the list of content blocks; "[]" when there was none.
	Content json.RawMessage
	// Structured is the structured content, nil when there was none; "null" is a value.
	Structured json.RawMessage
	// IsError: the tool says that it failed. It proves nothing about what it did.
	IsError bool
	// Raw is the whole result.
	Raw json.RawMessage
}

// Questions is a call that goes on when they are answered.
type Questions struct {
	// Asked by the server's own names for them; may be empty: then the call may be
	// continued at once.
	Asked map[string]Question
	// State is the server's, to be given back byte for byte; nil for none. It is JSON.
	State json.RawMessage
	// Held is not "" when the call is still running at the server, and waits (legacy).
	// Only this process can answer then: [Conn.Continue] with Held.
	Held string
}

// Question is one thing that a server wants to know from a person.
type Question struct {
	// Mode is "form" or "url".
	Mode    string          `json:"mode"`
	Message string          `json:"message"`
	Schema  json.RawMessage `json:"schema,omitempty"` // of a form; not checked
	URL     string          `json:"url,omitempty"`    // of mode url
}

// Reply is what a person answers.
type Reply struct {
	// Action is "accept", "decline" or "cancel".
	Action string `json:"action"`
	// Content is the filled form when accepted; nil for a url.
	Content json.RawMessage `json:"content,omitempty"`
}

// Task is a handle for a call that goes on at the server, or its state when the
// server was asked for it.
type Task struct {
	ID      string
	Status  string // working, input_required, completed, failed, cancelled
	Message string // of the server, for people
	// Poll is when to ask again; 0 when the server did not say.
	Poll time.Duration
	// TTL is how long after Created the server keeps it; 0 for ever.
	TTL     time.Duration
	Created time.Time
	// Asked is what the server wants to know, of a task that requires input.
	Asked map[string]Question
	// Result is that of a completed task.
	Result *Result
	// Failure is that of a failed one.
	Failure *Failure
}

func (*Result) answer()    {}
func (*Questions) answer() {}
func (*Task) answer()      {}

// The states of a task.
const (
	TaskWorking   = "working"
	TaskInput     = "input_required"
	TaskCompleted = "completed"
	TaskFailed    = "failed"
	TaskCancelled = "cancelled"
)

// Over reports whether the task changes no more.
func (t *Task) Over() bool {
	return t.Status == TaskCompleted || t.Status == TaskFailed || t.Status == TaskCancelled
}
