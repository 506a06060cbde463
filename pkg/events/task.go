package events

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// Task is one attempt of work to do, on topic tasks.<queue>. The router issues
// it in the transaction of the decision that asked for it.
type Task struct {
	TaskID         UUID               `json:"task_id"`   // the same for every attempt
	TaskName       string             `json:"task_name"` // "queue.task"
	Queue          string             `json:"queue"`     // the part of TaskName before the first dot
	TaskType       TaskType           `json:"task_type"`
	NodeType       NodeType           `json:"node_type"`
	WorkflowType   string             `json:"workflow_type"`
	InstanceID     UUID               `json:"instance_id"`
	InstanceKey    string             `json:"instance_key,omitempty"` // business key, for people
	Invocation     string             `json:"invocation"`             // id of the invocation in the definition
	Attempt        int32              `json:"attempt"`                // 1, 2, 3, …; only the router counts
	IdempotencyKey string             `json:"idempotency_key"`        // stable over attempts: pass it to whatever the task changes
	Input          json.RawMessage    `json:"input,omitempty"`
	Priority       TaskPriority       `json:"priority"`
	Semantics      ExecutionSemantics `json:"execution_semantics"`
	Delivery       DeliveryGuarantee  `json:"delivery_guarantee"`
	Requires       []string           `json:"requires,omitempty"` // node capabilities that the task needs
	Timeouts       Timeouts           `json:"timeouts"`
	ScheduledAt    time.Time          `json:"scheduled_at"`
	CorrelationID  UUID               `json:"correlation_id"`
	CausationID    UUID               `json:"causation_id"` // the task.scheduled or task.retry event
	// HeartbeatDetails is the newest that an earlier attempt has told in its
	// heartbeats: where this one can go on. nil for none.
	HeartbeatDetails json.RawMessage `json:"heartbeat_details,omitempty"`
	// Continuation is what the attempt gave when it was put down, and with which it
	// goes on now. nil for an attempt that begins.
	Continuation json.RawMessage `json:"continuation,omitempty"`
	Answers      []Answer        `json:"answers,omitempty"` // to the questions with which it was put down, in their order
	// Token is the secret of this attempt: claim, heartbeat and result carry it.
	// An attempt that was issued before there were tokens has none.
	Token string `json:"-" wire:"token"` // so that no log shows it
}

// Timeouts bound one task; the router's timers enforce them. Zero means none.
type Timeouts struct {
	ScheduleToStart time.Duration `json:"schedule_to_start"` // from issue to claim, of one attempt
	StartToClose    time.Duration `json:"start_to_close"`    // from claim to result, of one attempt
	ScheduleToClose time.Duration `json:"schedule_to_close"` // from first issue to the end, all attempts
	Heartbeat       time.Duration `json:"heartbeat"`         // between two heartbeats of a claimed attempt
}

// Validate checks every field. The error is a [FieldError].
func (t *Task) Validate() error {
	return firstError(
		checkID("task_id", t.TaskID),
		checkName("task_name", t.TaskName),
		t.checkQueue(),
		checkEnum("task_type", t.TaskType, TaskTypes()),
		checkEnum("node_type", t.NodeType, NodeTypes()),
		CheckWorkflowType("workflow_type", t.WorkflowType),
		checkID("instance_id", t.InstanceID),
		checkName("invocation", t.Invocation),
		checkAttempt("attempt", t.Attempt),
		checkName("idempotency_key", t.IdempotencyKey),
		checkPayload("input", t.Input),
		checkEnum("priority", t.Priority, TaskPriorities()),
		checkEnum("execution_semantics", t.Semantics, ExecutionSemanticsSet()),
		checkEnum("delivery_guarantee", t.Delivery, DeliveryGuarantees()),
		inField("timeouts", t.Timeouts.Validate()),
		checkDetails(t.HeartbeatDetails),
		checkContinuation("continuation", t.Continuation),
		checkLength("token", t.Token, MaxNameLength),
		checkTime("scheduled_at", t.ScheduledAt),
		checkID("correlation_id", t.CorrelationID),
		checkID("causation_id", t.CausationID),
	)
}

// checkQueue wants what topics.QueueOf gives, and a legal topic name with it.
func (t *Task) checkQueue() error {
	if queue, _, _ := strings.Cut(t.TaskName, "."); queue != t.Queue {
		return fieldErrorf("queue", "%q is not the part of task_name %q before the first dot", clip(t.Queue), clip(t.TaskName))
	}
	return CheckQueue("queue", t.Queue)
}

// Validate refuses negative durations.
func (t Timeouts) Validate() error {
	return firstError(
		checkBound("schedule_to_start", t.ScheduleToStart),
		checkBound("start_to_close", t.StartToClose),
		checkBound("schedule_to_close", t.ScheduleToClose),
		checkBound("heartbeat", t.Heartbeat),
	)
}

func checkBound(field string, d time.Duration) error {
	if d < 0 {
		return fieldErrorf(field, "%s is negative", d)
	}
	return nil
}

func checkAttempt(field string, n int32) error {
	if n < 1 {
		return fieldErrorf(field, "%d is not an attempt: they begin at 1", n)
	}
	return nil
}

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

// Error is a failure as data: what a task reports, what a final state declares,
// why a command was rejected. Message is for people and
// never holds a secret.
type Error struct {
	Code      string `json:"code"`    // stable, upper case, such as CARD_DECLINED
	Message   string `json:"message"` // one sentence
	Retryable bool   `json:"retryable,omitempty"`
}

// MaxMessageLength bounds [Error.Message], in bytes.
const MaxMessageLength = 4096

// Validate wants a code, and bounds both texts.
func (e *Error) Validate() error {
	return firstError(checkName("code", e.Code), checkLength("message", e.Message, MaxMessageLength))
}

// Error makes the data usable as a Go error: "CODE: message".
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// An attempt belongs to the holder of its token. Only the task
// record, or the start of the child workflow that works on it, carries it: the
// snapshot keeps a hash, so that nothing that shows an instance can give the
// attempt away.

// tokenLength is how many bytes of a token, and of its hash, are kept: no one
// guesses 128 bits.
const tokenLength = 16

// ClaimToken is the token of one attempt of a task, as base64url text. Seed is
// random and secret; the tokens of all attempts that one seed gives say nothing
// of each other.
func ClaimToken(seed []byte, task UUID, attempt int32) string {
	mac := hmac.New(sha256.New, seed)
	mac.Write(strconv.AppendInt(append(task[:], '/'), int64(attempt), 10))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:tokenLength])
}

// HashToken is what a snapshot keeps of a token.
func HashToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:tokenLength])
}

// Knows reports whether token is that of the newest attempt. An attempt without
// one (of people, of child workflows, or older than tokens) takes any.
func (t *TaskStatus) Knows(token string) bool {
	return t.TokenHash == "" || subtle.ConstantTimeCompare([]byte(t.TokenHash), []byte(HashToken(token))) == 1
}

// MaxGenerations is how deep child workflows may be nested: a child of an
// instance that has no parent is of generation 1.
const MaxGenerations = 100

// Parent says whose child workflow an instance is: which attempt of which task
// waits for its end.
type Parent struct {
	WorkflowType string `json:"workflow_type"`
	InstanceID   UUID   `json:"instance_id"`
	TaskID       UUID   `json:"task_id"`
	Attempt      int32  `json:"attempt"`
	Generation   int32  `json:"generation"` // of the child: 1 below an instance without a parent
	// Token is that of the attempt: the child's result carries it.
	Token string `json:"-" wire:"token"` // no view shows it
	// Root is the instance at the top of the tree, Nil from earlier versions. How
	// many below it a partition may have is bounded.
	Root UUID `json:"root,omitzero"`
}

// SameTask reports whether two parents are the same task, at whatever attempt.
func (p *Parent) SameTask(q *Parent) bool {
	return p != nil && q != nil && p.WorkflowType == q.WorkflowType && p.InstanceID == q.InstanceID && p.TaskID == q.TaskID
}

func (p *Parent) check() error {
	if p == nil {
		return nil
	}
	return inField("parent", firstError(
		CheckWorkflowType("workflow_type", p.WorkflowType),
		checkID("instance_id", p.InstanceID),
		checkID("task_id", p.TaskID),
		checkAttempt("attempt", p.Attempt),
		checkAttempt("generation", p.Generation),
	))
}

// ParentClose says what happens to a child workflow that still runs when it is no
// longer waited for: its parent left the state, gave the attempt up, or ended.
type ParentClose string

// The three policies.
const (
	CloseCancel    ParentClose = "cancel"    // the child is cancelled
	CloseTerminate ParentClose = "terminate" // the child is terminated
	CloseAbandon   ParentClose = "abandon"   // the child goes on
)

// ParentClosePolicies lists the closed set.
func ParentClosePolicies() []ParentClose {
	return []ParentClose{CloseCancel, CloseTerminate, CloseAbandon}
}

// Child is the child workflow that a task waits for.
type Child struct {
	WorkflowType string      `json:"workflow_type"`
	InstanceID   UUID        `json:"instance_id"`
	ParentClose  ParentClose `json:"parent_close"`
}

func (c *Child) check() error {
	if c == nil {
		return nil
	}
	return inField("child", firstError(
		CheckWorkflowType("workflow_type", c.WorkflowType),
		checkID("instance_id", c.InstanceID),
		checkEnum("parent_close", c.ParentClose, ParentClosePolicies()),
	))
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
