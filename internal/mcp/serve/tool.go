package serve

import (
	"context"
	"encoding/json"
	"fmt"
)

// Tool is something that a model can call.
type Tool struct {
	Name        string
	Description string
	Input       json.RawMessage // JSON Schema of the arguments, whose type is object
	// Call answers one call. Its ctx ends when nobody waits for the answer any more.
	// An error is a *Error, or the server's own failure.
	Call func(ctx context.Context, c *Call) (Outcome, error)
}

// Caller is who asks, and what their client can do.
type Caller struct {
	Name   string // of the bearer; Local when there is none
	Tasks  bool   // the client knows tasks
	Elicit bool   // the client can ask its user
}

// Local is the caller's name where nobody has to say who they are.
const Local = "local"

// Call is one call of a tool.
type Call struct {
	Caller    Caller
	Arguments json.RawMessage // an object, as it was sent; nil for none
	Key       string          // idempotency key, "" for none
	// State and Answers are those of a call that goes on after [Questions].
	State   string
	Answers map[string]Answer
}

// Outcome is how a call ended, for the time being: a *Result, a *Task or
// *Questions.
type Outcome interface{ outcome() }

// Result is what a tool gave.
type Result struct {
	Text       string
	Structured json.RawMessage // nil for none
	Failed     bool            // the tool did not do what it was asked to
	History    string          // URI of the resource with what happened, "" for none
}

// Questions are asked before the call can go on: the client makes it again, with
// State as it is and with answers.
type Questions struct {
	Asked map[string]Question
	State string
}

// Question is something that a person is asked.
type Question struct {
	Message string
	Schema  json.RawMessage // JSON Schema of the answer, whose type is object
}

// Answer is what a person said.
type Answer struct {
	Action  string          `json:"action"`  // accept, decline or cancel
	Content json.RawMessage `json:"content"` // of accept
}

func (*Result) outcome()    {}
func (*Questions) outcome() {}
func (*Task) outcome()      {}

// Codes of errors.
const (
	CodeInvalidParams     = -32602
	CodeInternal          = -32603
	CodeHeaderMismatch    = -32020
	CodeMissingCapability = -32021
)

// Error is an error of the protocol: the request itself cannot be answered.
type Error struct {
	Code    int64
	Message string
	Data    json.RawMessage // nil for none
}

// Error is the message, with the code.
func (e *Error) Error() string { return fmt.Sprintf("%s (%d)", e.Message, e.Code) }

// Invalid is an error about what was asked.
func Invalid(format string, args ...any) *Error {
	return &Error{Code: CodeInvalidParams, Message: fmt.Sprintf(format, args...)}
}

// NeedsTasks refuses a client that does not know tasks, and says so in the way that
// the protocol has for it.
func NeedsTasks(what string) *Error {
	return &Error{
		Code: CodeMissingCapability, Message: what + " needs a client that knows the extension " + extension,
		Data: json.RawMessage(`{"requiredCapabilities":{"extensions":{"` + extension + `":{}}}}`),
	}
}

// Resource is something that a client can read.
type Resource struct {
	URI         string // or a template of RFC 6570, such as leat://instances/{type}/{id}/history
	Template    bool
	Name        string
	Description string
	// Read gives it as JSON. An error is a *Error, ErrNoResource, or the server's own
	// failure.
	Read func(ctx context.Context, who Caller, uri string) ([]byte, error)
}
