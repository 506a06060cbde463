// Package events is the vocabulary of Leat: the records on its topics.
//
// A [Command] is a request, an [Event] records what was decided, a [Task] is work to
// do, a [TaskResult] is its result, a [Snapshot] is the state of an instance, and
// an [Outcome] answers a command that led to no event. Names, fields and enum
// values are those of the ONEX SPI where it has them (docs/reference/onex-spi.md).
//
// The package holds data and its validation only. It imports the standard
// library alone, does no I/O, reads no clock and starts no goroutine; how the
// records become bytes is the business of internal/avro. Every type is safe
// for concurrent reading and none for concurrent writing.
package events

import (
	"encoding/json"
	"strconv"
	"time"
)

// MaxCausalDepth bounds [Event.CorrelationChain], so that the size of an event
// does not grow with the history. A chain that would grow past it starts again
// with the newest event; that event has a chain of its own, which leads on, so
// the whole of it can still be followed. A true root has no causation.
const MaxCausalDepth = 128

// Metadata keys that the router sets. Other keys are the producer's own.
const (
	MetadataCommandID   = "command_id"   // the command that was decided; without one a timer was
	MetadataCommand     = "command"      // its type, when it is a command of operators; with their
	MetadataReason      = "reason"       // reason
	MetadataSkip        = "skip"         // a retry that drops what led to the incident
	MetadataRequestedBy = "requested_by" // and name
	MetadataTimer       = "timer"        // the timer that fired: its ordinal in the instance
	MetadataTimerDue    = "timer_due"    // when it was due
	MetadataDomainEvent = "domain_event" // name of a signal or of an `emit` action
	MetadataVersion     = "version"      // definition version that decided
)

// Event is one fact in the history of one instance, on topic workflow.<type>.
// Only the router writes events.
type Event struct {
	EventID        UUID      `json:"event_id"`
	EventType      EventType `json:"event_type"`
	WorkflowType   string    `json:"workflow_type"`
	InstanceID     UUID      `json:"instance_id"`
	CorrelationID  UUID      `json:"correlation_id"`  // constant from the first command down to the last child
	SequenceNumber int64     `json:"sequence_number"` // 1, 2, 3, … within the instance, without gaps
	Timestamp      time.Time `json:"timestamp"`       // the router's clock when it decided; UTC, microseconds
	Source         string    `json:"source"`          // the router slot that decided
	IdempotencyKey string    `json:"idempotency_key"` // "<type>-<instance>-<sequence>"

	Data     map[string]ContextValue `json:"data,omitempty"`     // the fact's own fields
	Metadata map[string]ContextValue `json:"metadata,omitempty"` // about the fact; see the Metadata constants
	Payload  json.RawMessage         `json:"payload,omitempty"`  // start payload, signal data, task result or output

	CausationID      UUID   `json:"causation_id,omitzero"`       // the event that led to this one; Nil for a root
	CorrelationChain []UUID `json:"correlation_chain,omitempty"` // root first, direct parent last; empty for a root
}

// EventID names the event with this sequence number of an instance. It is
// derived, so that deciding again gives the same identifier.
func EventID(workflowType string, instance UUID, sequence int64) UUID {
	return DeriveUUID(instance, "event/"+workflowType+"/"+strconv.FormatInt(sequence, 10))
}

// Validate checks every field. The error is a [FieldError].
func (e *Event) Validate() error {
	return firstError(
		checkID("event_id", e.EventID),
		checkEnum("event_type", e.EventType, eventTypes),
		CheckWorkflowType("workflow_type", e.WorkflowType),
		checkID("instance_id", e.InstanceID),
		checkID("correlation_id", e.CorrelationID),
		checkSequence(e.SequenceNumber),
		checkTime("timestamp", e.Timestamp),
		validateValues("data", e.Data),
		validateValues("metadata", e.Metadata),
		checkPayload("payload", e.Payload),
		e.checkChain(),
	)
}

func checkSequence(n int64) error {
	if n < 1 {
		return fieldErrorf("sequence_number", "%d is not a sequence number: they begin at 1", n)
	}
	return nil
}

// checkChain checks that the last of the chain is the causation, and that a root
// has neither.
func (e *Event) checkChain() error {
	if len(e.CorrelationChain) == 0 && !e.CausationID.IsNil() {
		return fieldErrorf("correlation_chain", "is empty although causation_id is %s", e.CausationID)
	}
	return checkChainEnd(e.CorrelationChain, e.CausationID)
}

// checkChainEnd refuses a chain that is broken or too long.
func checkChainEnd(chain []UUID, causation UUID) error {
	n := len(chain)
	switch {
	case n > 0 && chain[n-1] != causation:
		return fieldErrorf("correlation_chain", "ends in %s and not in causation_id %s", chain[n-1], causation)
	case n > MaxCausalDepth:
		return fieldErrorf("correlation_chain", "has %d ids, at most %d", n, MaxCausalDepth)
	}
	return nil
}

// AuditEvent says which operation was requested, by whom, on what, and its
// outcome, on topic audit. It is written in the transaction that decided, for
// every command of operators, accepted or not.
type AuditEvent struct {
	EventID   UUID                    `json:"event_id"`
	EventType string                  `json:"event_type"` // "workflow.command"
	Actor     string                  `json:"actor"`      // who requested it, as the command says; "" for unknown
	Action    string                  `json:"action"`     // the command
	Resource  string                  `json:"resource"`   // "type/instance id"; also the record key
	Outcome   string                  `json:"outcome"`    // accepted, or the status of the command's outcome
	Timestamp time.Time               `json:"timestamp"`  // the router's clock
	Metadata  map[string]ContextValue `json:"metadata,omitempty"`
}

// AuditCommand is the type of an audit event about a command.
const AuditCommand = "workflow.command"

// AuditAccepted is the outcome of a command that led to events.
const AuditAccepted = "accepted"

// Keys in the metadata of an audit event.
const (
	AuditCommandID = "command_id" // of the command
	AuditReason    = "reason"     // as the command gives it
	AuditFrom      = "from"       // workflow state before
	AuditTo        = "to"         // workflow state after
	AuditSequence  = "sequence"   // of the first event that it led to, else the instance's newest
	AuditCode      = "code"       // why it was refused
	AuditMessage   = "message"    // the same for people
)

// Validate checks every field.
func (a *AuditEvent) Validate() error {
	return firstError(
		checkID("event_id", a.EventID),
		checkName("event_type", a.EventType),
		checkName("action", a.Action),
		checkName("resource", a.Resource),
		checkName("outcome", a.Outcome),
		checkTime("timestamp", a.Timestamp),
		validateValues("metadata", a.Metadata),
	)
}
