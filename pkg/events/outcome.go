package events

import (
	"encoding/json"
	"strconv"
	"time"
)

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

// checkInstance holds together what is said of the instance.
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
