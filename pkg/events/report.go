package events

import (
	"encoding/json"
	"strings"
	"time"
)

// TaskResult is what an executor says of one attempt: that it has claimed it,
// is still at it, or how it ended.
type TaskResult struct {
	TaskID  UUID  `json:"task_id"`
	Attempt int32 `json:"attempt"`
	// State of a result says what became of the attempt: it completed or failed, or
	// it was put down, and is scheduled to go on or is waiting_for_input. What it
	// goes on with is the payload of the command. "" in a claim or heartbeat.
	State  TaskState `json:"state,omitempty"`
	Error  *Error    `json:"error,omitempty"` // result: why it failed, or was handed back
	NodeID string    `json:"node_id,omitempty"`

	ExecutionTime time.Duration `json:"execution_time,omitempty"` // how long the handler ran

	// RetryAfter is how long the next attempt has to wait at least, of a failure;
	// the wait is never longer than the longest of the task's retry policy. 0: as
	// the policy says.
	RetryAfter time.Duration `json:"retry_after,omitempty"`

	// HeartbeatDetails is how far the attempt has come, for the next one, of a
	// heartbeat or a failure. nil changes nothing: the newest that were given count.
	HeartbeatDetails json.RawMessage `json:"heartbeat_details,omitempty"`

	// Token is that of the task record, which shows that the report comes from
	// an executor that was given the attempt.
	Token string `json:"-" wire:"token"` // no history and no view shows it

	// Repeatable says, in the claim of an attempt that may run at most once, that it
	// may be made again all the same when nobody knows how it went.
	Repeatable bool `json:"repeatable,omitempty"`
	// Generation is that of the consumer group in which the executor read the task,
	// of a claim. A claim of a later generation replaces an earlier one's: by then
	// the task was read again, because the earlier claimer lost it. 0: not known.
	Generation int64 `json:"generation,omitempty"`
	// HandedBack says of a result that is scheduled that the executor did not begin:
	// somebody else is to have the attempt, which is not counted.
	HandedBack bool `json:"handed_back,omitempty"`
	// ResumeAfter is how long an attempt that is scheduled again stays down.
	ResumeAfter time.Duration `json:"resume_after,omitempty"`
	Questions   []Question    `json:"questions,omitempty"` // of a result that is waiting_for_input
}

// Bounds of what an attempt puts down.
const (
	MaxContinuationLength = 64 << 10 // bytes of the JSON with which it goes on
	MaxQuestions          = 16       // that it asks at once
	MaxQuestionsLength    = 64 << 10 // bytes of them together
)

// MaxResumeAfter bounds how long an attempt stays down without a question.
const MaxResumeAfter = 366 * 24 * time.Hour

// Question is what an attempt asks somebody before it goes on. It is a human
// task of its own, whose invocation is "<invocation>/<id>".
type Question struct {
	ID       string          `json:"id"`                 // of your choice, unique among those that are asked at once
	Message  string          `json:"message"`            // for people
	Form     json.RawMessage `json:"form,omitempty"`     // JSON Schema of the answer; nil takes any
	Assignee string          `json:"assignee,omitempty"` // who is to answer; "" for anybody
}

// QuestionInvocation is the invocation of the task of a question: no id in a
// definition has a slash.
func QuestionInvocation(asker, id string) string { return asker + "/" + id }

// QuestionID is the id of the question whose task has this invocation, "" when it
// is that of no question.
func QuestionID(invocation string) string {
	_, id, _ := strings.Cut(invocation, "/")
	return id
}

// Answer is what became of a [Question].
type Answer struct {
	ID     string          `json:"id"`               // of the question
	Result json.RawMessage `json:"result,omitempty"` // of one that was answered; nil is null
	Error  *Error          `json:"error,omitempty"`  // of one that was refused
	By     string          `json:"by,omitempty"`     // who answered
}

// PutDown reports whether a result says that the attempt goes on later, and was
// not handed back.
func (r *TaskResult) PutDown() bool {
	return (r.State == TaskScheduled || r.State == TaskWaitingForInput) && !r.HandedBack
}

// checkPutDown holds what only an attempt that is put down or handed back has.
func (r *TaskResult) checkPutDown() error {
	switch {
	case r.HandedBack && r.State != TaskScheduled:
		return fieldErrorf("handed_back", "is of a result that is scheduled, and this one is %q", clip(string(r.State)))
	case r.ResumeAfter > 0 && r.State != TaskScheduled:
		return fieldErrorf("resume_after_ms", "is of a result that is scheduled, and this one is %q", clip(string(r.State)))
	case r.ResumeAfter > MaxResumeAfter:
		return fieldErrorf("resume_after_ms", "is %s, at most %s", r.ResumeAfter, MaxResumeAfter)
	case (len(r.Questions) > 0) != (r.State == TaskWaitingForInput):
		return fieldErrorf("questions", "a result has questions when it is waiting_for_input, and only then; this one is %q and has %d", clip(string(r.State)), len(r.Questions))
	case r.HandedBack && r.Error != nil:
		return inField("error", r.Error.Validate())
	}
	return checkQuestions(r.Questions)
}

func checkQuestions(questions []Question) error {
	if n := len(questions); n > MaxQuestions {
		return fieldErrorf("questions", "are %d, at most %d", n, MaxQuestions)
	}
	size, seen := 0, make(map[string]bool, len(questions))
	for i := range questions {
		q := &questions[i]
		size += len(q.ID) + len(q.Message) + len(q.Form) + len(q.Assignee)
		if err := firstError(
			checkName("id", q.ID), inField("id", checkText(q.ID)),
			inField("message", checkText(q.Message)),
			checkLength("assignee", q.Assignee, MaxNameLength), inField("assignee", checkText(q.Assignee)),
			checkJSON("form", q.Form),
		); err != nil {
			return inField("questions", err)
		}
		if strings.IndexFunc(q.ID, isControl) >= 0 || seen[q.ID] {
			return fieldErrorf("questions", "have the id %q twice, or it cannot be shown", clip(q.ID))
		}
		seen[q.ID] = true
	}
	if size > MaxQuestionsLength {
		return fieldErrorf("questions", "are %d bytes together, at most %d", size, MaxQuestionsLength)
	}
	return nil
}

func checkContinuation(field string, c json.RawMessage) error {
	if n := len(c); n > MaxContinuationLength {
		return fieldErrorf(field, "is %d bytes, at most %d: keep what is large elsewhere, and where in the continuation", n, MaxContinuationLength)
	}
	return checkJSON(field, c)
}

// Validate checks the report against the command that carries it.
func (r *TaskResult) Validate(command CommandType) error {
	if err := firstError(
		checkID("task_id", r.TaskID),
		checkAttempt("attempt", r.Attempt),
		checkLength("node_id", r.NodeID, MaxNameLength),
		checkLength("token", r.Token, MaxNameLength),
		checkBound("retry_after_ms", r.RetryAfter),
		checkBound("resume_after_ms", r.ResumeAfter),
		checkDetails(r.HeartbeatDetails),
	); err != nil {
		return err
	}
	if command != CommandResult {
		return nil
	}
	switch {
	case r.State == TaskScheduled || r.State == TaskWaitingForInput:
		return r.checkPutDown()
	case r.State != TaskCompleted && r.State != TaskFailed:
		return fieldErrorf("state", "%q is neither completed nor failed, nor scheduled or waiting_for_input of an attempt that goes on later", clip(string(r.State)))
	case r.State == TaskFailed && r.Error == nil:
		return fieldErrorf("error", "is missing: a failed attempt says why")
	case r.Error != nil:
		return inField("error", r.Error.Validate())
	}
	return nil
}

// Cancellation tells executors that an attempt of a task is over, whoever runs
// it: topic cancels. The router writes it in the transaction of the decision that
// ended the attempt, and in answer to a report of one that is over.
type Cancellation struct {
	TaskID       UUID      `json:"task_id"`
	Attempt      int32     `json:"attempt"`
	WorkflowType string    `json:"workflow_type"`
	InstanceID   UUID      `json:"instance_id"`
	TokenHash    string    `json:"token_hash,omitempty"` // [HashToken] of the run that is over, "" for all up to Attempt
	NodeID       string    `json:"node_id,omitempty"`    // only the run of this node is over; "" for that of any
	Code         string    `json:"code"`                 // why, such as CANCELLED or HEARTBEAT_TIMEOUT
	Timestamp    time.Time `json:"timestamp"`
}

// Validate checks every field. The error is a [FieldError].
func (c *Cancellation) Validate() error {
	return firstError(
		checkID("task_id", c.TaskID),
		checkAttempt("attempt", c.Attempt),
		CheckWorkflowType("workflow_type", c.WorkflowType),
		checkID("instance_id", c.InstanceID),
		checkLength("token_hash", c.TokenHash, MaxNameLength),
		checkLength("node_id", c.NodeID, MaxNameLength),
		checkName("code", c.Code),
		checkTime("timestamp", c.Timestamp),
	)
}

// Ends reports whether a run of a task, which node has, is over.
func (c *Cancellation) Ends(t *Task, node string) bool {
	switch {
	case c.TaskID != t.TaskID || c.NodeID != "" && c.NodeID != node:
		return false
	case c.TokenHash != "":
		return c.TokenHash == HashToken(t.Token)
	default:
		return c.Attempt >= t.Attempt
	}
}
