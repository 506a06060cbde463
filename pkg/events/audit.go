package events

import "time"

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
