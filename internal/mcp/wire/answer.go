package wire

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
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

// refused makes a failure of the error that a server answered with. Only three
// codes say that nothing ran: others are sent after the effect as well.
func (c *Conn) refused(e *rpcError) *Failure {
	f := failed(CodeTool, Unknown, "it answered with error %d: %s", e.Code, cut(e.Message, maxServerMessage))
	f.RPC, f.Answered = e.Code, true
	switch e.Code {
	case rpcHeaderMismatch, rpcMissingClient, rpcUnsupported:
		f.Code, f.Evidence = CodeProtocol, Refused
	case rpcInvalidParams:
		f.Code = CodeArguments
	case rpcMethodNotFound, rpcInvalidRequest, rpcParse:
		f.Code = CodeProtocol
	}
	return f
}

// ended is the failure of what ctx ended.
func ended(ctx context.Context, evidence Evidence) *Failure {
	cause := context.Cause(ctx)
	code := CodeUnavailable
	if errors.Is(cause, errIdle) || errors.Is(cause, errTotal) || errors.Is(cause, context.DeadlineExceeded) {
		code = CodeTimeout
	}
	return failed(code, evidence, "the call was ended: %v", cause).because(cause)
}

// tooLong is an answer beyond the limit.
func tooLong(limit int) *Failure {
	return failed(CodeTooLarge, Unknown, "its answer is longer than %d bytes, the limit of the call (limits.resultBytes)", limit)
}

// answer reads the result of a call.
func (c *Conn) answer(raw json.RawMessage, era Era) (Answer, *Failure) {
	f, err := fields(raw)
	if err != nil {
		return nil, invalid("its result is not an object")
	}
	kind := "complete"
	if text := present(f["resultType"]); text != nil && era == EraModern {
		if json.Unmarshal(text, &kind) != nil {
			kind = string(text)
		}
	} else if text != nil && string(text) != `"complete"` {
		kind = string(text) + " of revision 2025-11-25 and before"
	}
	switch kind {
	case "complete":
		return readResult(f, raw)
	case "input_required":
		return c.readQuestions(f)
	case "task":
		if !c.me.offersTasks {
			return nil, invalid("it answered with a task, which was not asked for")
		}
		return c.readTask(f)
	default:
		return nil, invalid("the type of its result is %.100q, which this client does not know", kind)
	}
}

func invalid(format string, args ...any) *Failure {
	return failed(CodeInvalid, Unknown, format, args...)
}

func readResult(f map[string]json.RawMessage, raw json.RawMessage) (*Result, *Failure) {
	r := &Result{Content: present(f["content"]), Structured: f["structuredContent"], Raw: raw}
	if r.Content == nil {
		if r.Structured == nil {
			return nil, invalid("its result has neither content nor structuredContent")
		}
		r.Content = json.RawMessage("[]")
	}
	if bytes.TrimSpace(r.Content)[0] != '[' {
		return nil, invalid("the content of its result is not a list")
	}
	if text := present(f["isError"]); text != nil && json.Unmarshal(text, &r.IsError) != nil {
		return nil, invalid("isError of its result is neither true nor false")
	}
	return r, nil
}

// readQuestions reads what a server wants to know. One question that nobody here
// can be asked makes the whole useless: the server must not send it.
func (c *Conn) readQuestions(f map[string]json.RawMessage) (*Questions, *Failure) {
	asked, failure := c.readAsked(f["inputRequests"])
	if failure != nil {
		return nil, failure
	}
	q := &Questions{Asked: asked, State: f["requestState"]}
	if len(asked) == 0 && present(q.State) == nil {
		return nil, invalid("it requires input and does not say which")
	}
	return q, nil
}

func (c *Conn) readAsked(raw json.RawMessage) (map[string]Question, *Failure) {
	if present(raw) == nil {
		return nil, nil
	}
	requests, err := fields(raw)
	if err != nil {
		return nil, invalid("what it wants to know is not an object")
	}
	out := make(map[string]Question, len(requests))
	for name, request := range requests {
		f, err := fields(request)
		if err != nil {
			return nil, invalid("question %.100q is not an object", name)
		}
		var method string
		_ = json.Unmarshal(f["method"], &method)
		if method != "elicitation/create" || !c.me.offersPeople {
			return nil, invalid("it asks for %.100q, which this client did not offer", method)
		}
		q, why := readQuestion(f["params"])
		if why != nil {
			return nil, invalid("question %.100q: %v", name, why)
		}
		out[name] = q
	}
	return out, nil
}

// readQuestion reads the params of elicitation/create.
func readQuestion(raw json.RawMessage) (Question, error) {
	var said struct {
		Mode    string          `json:"mode"`
		Message string          `json:"message"`
		Schema  json.RawMessage `json:"requestedSchema"`
		URL     string          `json:"url"`
	}
	if err := json.Unmarshal(raw, &said); err != nil {
		return Question{}, fmt.Errorf("it cannot be read: %w", err)
	}
	q := Question{Mode: said.Mode, Message: said.Message, Schema: present(said.Schema), URL: said.URL}
	if q.Mode == "" {
		q.Mode = "form"
	}
	if q.Mode != "form" && q.Mode != "url" || q.Mode == "form" && q.Schema == nil || q.Mode == "url" && q.URL == "" {
		return Question{}, fmt.Errorf("mode %.40q is neither a form with a schema nor a url", said.Mode)
	}
	return q, nil
}

// readTask reads a task, as an answer to a call or to tasks/get.
func (c *Conn) readTask(f map[string]json.RawMessage) (*Task, *Failure) {
	var said struct {
		ID      string   `json:"taskId"`
		Status  string   `json:"status"`
		Message string   `json:"statusMessage"`
		Created string   `json:"createdAt"`
		TTL     *float64 `json:"ttlMs"`
		Poll    *float64 `json:"pollIntervalMs"`
	}
	for name, to := range map[string]any{
		"taskId": &said.ID, "status": &said.Status, "statusMessage": &said.Message, "createdAt": &said.Created,
		"ttlMs": &said.TTL, "pollIntervalMs": &said.Poll,
	} {
		if raw := present(f[name]); raw != nil && json.Unmarshal(raw, to) != nil {
			return nil, invalid("%s of its task cannot be read", name)
		}
	}
	t := &Task{ID: said.ID, Status: said.Status, Message: cut(said.Message, maxServerMessage), TTL: milliseconds(said.TTL), Poll: milliseconds(said.Poll)}
	t.Created, _ = time.Parse(time.RFC3339, said.Created)
	if t.ID == "" || len(t.ID) > maxTaskID {
		return nil, invalid("its task has no id, or one of more than %d bytes", maxTaskID)
	}
	return t, c.readState(t, f)
}

// maxTaskID bounds the id of a task, in bytes: it goes into a header.
const maxTaskID = 1024

// readState reads what belongs to the state of a task.
func (c *Conn) readState(t *Task, f map[string]json.RawMessage) (failure *Failure) {
	switch t.Status {
	case TaskWorking, TaskCancelled:
	case TaskInput:
		t.Asked, failure = c.readAsked(f["inputRequests"])
	case TaskCompleted:
		if raw := present(f["result"]); raw != nil { // not in the handle of a call
			inner, err := fields(raw)
			if err != nil {
				return invalid("the result of its task is not an object")
			}
			t.Result, failure = readResult(inner, raw)
		}
	case TaskFailed:
		e, err := decodeError(f["error"])
		if err != nil || e == nil {
			e = &rpcError{Message: t.Message}
		}
		t.Failure = c.tell(c.refused(e))
	default:
		return invalid("the status of its task is %.100q, which this client does not know", t.Status)
	}
	return failure
}

func milliseconds(n *float64) time.Duration {
	const most = float64(1 << 43) // some centuries: the product below stays within its type
	if n == nil || *n <= 0 {
		return 0
	}
	return time.Duration(min(*n, most)) * time.Millisecond
}
