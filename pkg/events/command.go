package events

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// Command is a request to a router, on topic workflow.<type>.commands. Anyone may
// produce one, as Avro or as JSON (see [DecodeCommandJSON]); it is decided
// exactly once by the router that owns the instance's partition.
type Command struct {
	CommandID    UUID        `json:"command_id,omitzero"` // Nil: the router derives one from topic, partition and offset
	Command      CommandType `json:"command"`
	WorkflowType string      `json:"type"`
	InstanceID   UUID        `json:"instance_id,omitzero"` // Nil: derived from WorkflowType and Key
	Key          string      `json:"key,omitempty"`        // business key; start is idempotent by it
	Version      int32       `json:"version,omitempty"`    // start: definition version, 0 for the newest deployed

	Event   string          `json:"event,omitempty"` // signal: its name
	Payload json.RawMessage `json:"payload,omitempty"`
	Result  *TaskResult     `json:"result,omitempty"` // claim, heartbeat, result
	Reason  string          `json:"reason,omitempty"` // of operators: why, for the history and the audit
	Skip    bool            `json:"skip,omitempty"`   // retry of an incident: drop what led to it instead

	IdempotencyKey   string                  `json:"idempotency_key,omitempty"`
	CorrelationID    UUID                    `json:"correlation_id,omitzero"`     // Nil: the instance's own, for a start the command id
	CausationID      UUID                    `json:"causation_id,omitzero"`       // the event that made the producer send this
	CorrelationChain []UUID                  `json:"correlation_chain,omitempty"` // that ends in CausationID, root first; empty: the chain begins there
	Parent           *Parent                 `json:"parent,omitempty"`            // start, cancel and terminate of a child workflow: on whose behalf
	ExpectedSequence *int64                  `json:"expected_sequence,omitempty"`
	Priority         TaskPriority            `json:"priority,omitempty"` // "" is normal
	Timestamp        time.Time               `json:"timestamp,omitzero"` // producer's clock, for people only
	Source           string                  `json:"source,omitempty"`   // who requests it, for people and the audit
	Metadata         map[string]ContextValue `json:"metadata,omitempty"`
}

// Resolve fills what a producer may leave out: the instance id from the key,
// the command id from fallback, and the normal priority.
func (c *Command) Resolve(fallback UUID) {
	if c.InstanceID.IsNil() && c.Key != "" {
		c.InstanceID = InstanceIDForKey(c.WorkflowType, c.Key)
	}
	if c.CommandID.IsNil() {
		c.CommandID = fallback
	}
	if c.Priority == "" {
		c.Priority = PriorityNormal
	}
}

// Validate checks a resolved command. The error is a [FieldError].
func (c *Command) Validate() error {
	if err := firstError(
		checkID("command_id", c.CommandID),
		checkEnum("command", c.Command, CommandTypes()),
		CheckWorkflowType("type", c.WorkflowType),
		c.checkTarget(),
		c.checkKey(),
		checkLength("idempotency_key", c.IdempotencyKey, MaxKeyLength),
		inField("idempotency_key", checkText(c.IdempotencyKey)),
		checkLength("reason", c.Reason, MaxReasonLength),
		inField("reason", checkText(c.Reason)),
		checkEnum("priority", c.Priority, TaskPriorities()),
		c.checkPayload(),
		validateValues("metadata", c.Metadata),
		c.checkExpectation(),
		c.checkChain(),
		c.Parent.check(),
	); err != nil {
		return err
	}
	switch c.Command {
	case CommandStart:
		return c.checkStart()
	case CommandMigrate:
		return c.checkMigrate()
	case CommandSignal:
		return c.checkSignal()
	case CommandClaim, CommandHeartbeat, CommandResult:
		return c.checkReport()
	default:
		return nil
	}
}

// checkPayload gives a reset more room: it carries the inputs of a history.
func (c *Command) checkPayload() error {
	if c.Command != CommandReset {
		return checkPayload("payload", c.Payload)
	}
	if n := len(c.Payload); n > MaxResetLength {
		return fieldErrorf("payload", "is %d bytes, at most %d: the history before the sequence is too large to be reset to", n, MaxResetLength)
	}
	return checkJSON("payload", c.Payload)
}

func (c *Command) checkTarget() error {
	if c.InstanceID.IsNil() {
		return fieldErrorf("instance_id", "is missing, and so is key: one of them must say which instance is meant")
	}
	return nil
}

func (c *Command) checkExpectation() error {
	if c.ExpectedSequence != nil && *c.ExpectedSequence < 0 {
		return fieldErrorf("expected_sequence", "%d is below 0", *c.ExpectedSequence)
	}
	return nil
}

func (c *Command) checkChain() error { return checkChainEnd(c.CorrelationChain, c.CausationID) }

func (c *Command) checkStart() error {
	if c.Version < 0 {
		return fieldErrorf("version", "%d is below 0", c.Version)
	}
	return nil
}

// checkSignal: a name that cannot be shown cannot be handled or looked for either.
func (c *Command) checkSignal() error {
	if at := strings.IndexFunc(c.Event, isControl); at >= 0 {
		return fieldErrorf("event", "has a control character at byte %d: a name is text that can be shown", at)
	}
	return firstError(checkName("event", c.Event), inField("event", checkText(c.Event)))
}

func (c *Command) checkMigrate() error {
	if c.Version < 1 {
		return fieldErrorf("version", "is missing: a migrate says under which version the instance goes on")
	}
	return nil
}

func (c *Command) checkReport() error {
	if c.Result == nil {
		return fieldErrorf("result", "is missing: a %s says which attempt of which task it is about", c.Command)
	}
	if c.Command == CommandResult && c.Result.PutDown() {
		if err := checkContinuation("payload", c.Payload); err != nil {
			return err
		}
	}
	return inField("result", c.Result.Validate(c.Command))
}

// Outcome answers a command that led to no event of its own, and every describe,
// on topic workflow.<type>.outcomes, keyed by command id. A command that was
// accepted is answered by its events, whose metadata carry the command id.
type Outcome struct {
	CommandID      UUID          `json:"command_id"`
	WorkflowType   string        `json:"workflow_type"`
	InstanceID     UUID          `json:"instance_id,omitzero"`
	Status         OutcomeStatus `json:"status"`
	Error          *Error        `json:"error,omitempty"`   // conflict, rejected, ignored and held say why; duplicate and described, what they leave out and why
	EventID        UUID          `json:"event_id,omitzero"` // duplicate: the event of the first decision
	SequenceNumber int64         `json:"sequence_number"`   // duplicate: of that event; else the instance's newest, 0 for none
	Timestamp      time.Time     `json:"timestamp"`

	// Where the instance is, of a duplicate and of a describe. All of it is of one
	// instant, that of the decision in the order of the partition.
	InstanceState    WorkflowState   `json:"instance_state,omitempty"`    // "" for every other outcome, and from routers that did not tell
	InstanceSequence int64           `json:"instance_sequence,omitempty"` // of its newest event
	InstanceOutput   json.RawMessage `json:"instance_output,omitempty"`   // of a finished instance; of a describe only without Snapshot
	InstanceError    *Error          `json:"instance_error,omitempty"`    // why it failed, or the incident that it waits with; likewise

	// Snapshot is what a describe asked for: a [Snapshot] as it is on the state
	// topic, in Avro's single-object encoding. It is left out when the outcome
	// would exceed [MaxOutcomeLength] with it, and then Error says so.
	Snapshot []byte `json:"snapshot,omitempty"`
}

// MaxOutcomeLength bounds an outcome as a record, in bytes: every snapshot that a
// router writes fits. What does not fit, or what the outcomes topic is set up not to
// take, is left out, and [Outcome.Error] says so with the code TOO_LARGE.
const MaxOutcomeLength = 1008 << 10

// Validate checks every field.
func (o *Outcome) Validate() error {
	return firstError(
		checkID("command_id", o.CommandID),
		CheckWorkflowType("workflow_type", o.WorkflowType),
		checkEnum("status", o.Status, OutcomeStatuses()),
		checkTime("timestamp", o.Timestamp),
		checkOptionalEnum("instance_state", o.InstanceState, WorkflowStates()),
		o.checkInstance(),
	)
}

// checkInstance checks that key and id name the same instance.
func (o *Outcome) checkInstance() error {
	switch {
	case o.InstanceSequence < 0:
		return fieldErrorf("instance_sequence", "%d is below 0", o.InstanceSequence)
	case o.Status == OutcomeDescribed && o.InstanceState == "":
		return fieldErrorf("instance_state", "is missing: a describe is answered with it")
	case o.Status == OutcomeDescribed && o.Snapshot == nil && o.Error == nil:
		return fieldErrorf("snapshot", "is missing, and no error says why")
	}
	return nil
}

// DefinitionRecord is one deployed version of a workflow definition, on the
// compacted topic workflow.definitions, keyed "type@version". It never changes
// once it is there.
type DefinitionRecord struct {
	WorkflowType string    `json:"workflow_type"`
	Version      int32     `json:"version"`
	Source       string    `json:"source"`     // the definition file, YAML or JSON, as it was deployed
	Partitions   int32     `json:"partitions"` // of the type's commands, events and state topics
	DeployedAt   time.Time `json:"deployed_at"`
	DeployedBy   string    `json:"deployed_by,omitempty"`
}

// MaxDefinitionLength bounds [DefinitionRecord.Source], in bytes.
const MaxDefinitionLength = 1 << 20

// MaxPartitions bounds [DefinitionRecord.Partitions]: routers make the topics that
// a record asks for, and one record must not make more than a cluster can hold.
const MaxPartitions = 512

// Key is the record's key on the topic.
func (d *DefinitionRecord) Key() string { return d.WorkflowType + "@" + strconv.Itoa(int(d.Version)) }

// Validate checks every field but the language itself.
func (d *DefinitionRecord) Validate() error {
	switch {
	case d.Version < 1:
		return fieldErrorf("version", "%d is not a version: they begin at 1", d.Version)
	case d.Source == "":
		return fieldErrorf("source", "is missing")
	case d.Partitions < 1 || d.Partitions > MaxPartitions:
		return fieldErrorf("partitions", "%d is not a partition count: it is from 1 to %d", d.Partitions, MaxPartitions)
	}
	return firstError(
		CheckWorkflowType("workflow_type", d.WorkflowType),
		checkLength("source", d.Source, MaxDefinitionLength),
		checkTime("deployed_at", d.DeployedAt),
	)
}
