package events

import (
	"strconv"
	"time"
)

// Outcome answers a command that led to no event of its own, on topic
// workflow.<type>.outcomes, keyed by command id. A command that was accepted is
// answered by its events, whose metadata carry the command id.
type Outcome struct {
	CommandID      UUID          `json:"command_id"`
	WorkflowType   string        `json:"workflow_type"`
	InstanceID     UUID          `json:"instance_id,omitzero"`
	Status         OutcomeStatus `json:"status"`
	Error          *Error        `json:"error,omitempty"`   // conflict, rejected and ignored say why
	EventID        UUID          `json:"event_id,omitzero"` // duplicate: the event of the first decision
	SequenceNumber int64         `json:"sequence_number"`   // duplicate: of that event; else the instance's newest, 0 for none
	Timestamp      time.Time     `json:"timestamp"`
}

// Validate checks every field.
func (o *Outcome) Validate() error {
	return firstError(
		checkID("command_id", o.CommandID),
		CheckWorkflowType("workflow_type", o.WorkflowType),
		checkEnum("status", o.Status, OutcomeStatuses()),
		checkTime("timestamp", o.Timestamp),
	)
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
