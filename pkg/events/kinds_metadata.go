package events

import "time"

// EventMetadata is what the metadata of every event say: which input it follows
// from. All events of one decision say the same but for DomainEvent.
type EventMetadata struct {
	Version     int32       `data:"version"`                // version of the definition that decided
	CommandID   UUID        `data:"command_id,omitempty"`   // the command that was decided; absent when a timer was
	Command     CommandType `data:"command,omitempty"`      // type of an operator's command
	Skip        bool        `data:"skip,omitempty"`         // true of a retry that skips what led to the incident
	Reason      string      `data:"reason,omitempty"`       // reason of an operator's command, when it gives one
	RequestedBy string      `data:"requested_by,omitempty"` // source of an operator's command, when it gives one
	Timer       *FiredTimer `data:",inline"`                // when a timer was decided
	DomainEvent string      `data:"domain_event,omitempty"` // of state.transitioned: name of the signal or of the `emit` action's event
}

// FiredTimer is the timer that an event follows from.
type FiredTimer struct {
	ID  int64     `data:"timer"`     // number of the timer in its instance
	Due time.Time `data:"timer_due"` // when it was due
}
