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
