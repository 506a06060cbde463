package client

import (
	"errors"
	"fmt"
	"time"

	"github.com/leat-io/leat/internal/facts"
	"github.com/leat-io/leat/pkg/events"
)

// ResetRequest takes an instance back to where it stood after an earlier event:
// what had ended by then stays done, what was open begins anew. Type, To, History
// and one of Key and InstanceID are required. It needs Brokers.
type ResetRequest struct {
	Type       string
	Key        string // business key of the instance, or
	InstanceID events.UUID
	To         int64 // the last sequence that counts
	// History is the instance's, whole: what [Client.History] gives.
	History          []events.Event
	Reason           string      // why, for the history and the audit
	IdempotencyKey   string      // the same request again is a duplicate
	CommandID        events.UUID // default: new, or derived from IdempotencyKey
	ExpectedSequence *int64      // refuse unless the instance's newest event has this sequence
}

func (r ResetRequest) command(source string, now time.Time) (*events.Command, error) {
	p, err := facts.ForReset(r.History, r.To)
	if err != nil {
		return nil, err
	}
	payload, err := events.EncodeJSON(p)
	if err != nil {
		return nil, fmt.Errorf("write the facts: %w", err)
	}
	return complete(&events.Command{
		Command: events.CommandReset, WorkflowType: r.Type, Key: r.Key, InstanceID: r.InstanceID, Payload: payload, Reason: r.Reason,
		IdempotencyKey: r.IdempotencyKey, CommandID: r.CommandID, ExpectedSequence: r.ExpectedSequence,
	}, source, now)
}

// MigrateRequest moves an instance to another version of its definition. Type,
// Version and one of Key and InstanceID are required. It needs Brokers.
type MigrateRequest struct {
	Type       string
	Key        string // business key of the instance, or
	InstanceID events.UUID
	Version    int32 // under which it goes on
	// States says which state of the new version stands for a state of the old one;
	// those that it does not name keep their id.
	States           map[string]string
	Reason           string      // why, for the history and the audit
	IdempotencyKey   string      // the same request again is a duplicate
	CommandID        events.UUID // default: new, or derived from IdempotencyKey
	ExpectedSequence *int64      // refuse unless the instance's newest event has this sequence
}

func (r MigrateRequest) command(source string, now time.Time) (*events.Command, error) {
	if r.Key == "" && r.InstanceID.IsNil() {
		return nil, errors.New("a Key or an InstanceID has to say which instance is meant")
	}
	payload, err := events.EncodeJSON(facts.MigratePayload{States: r.States})
	if err != nil {
		return nil, fmt.Errorf("write the mapping: %w", err)
	}
	return complete(&events.Command{
		Command: events.CommandMigrate, WorkflowType: r.Type, Key: r.Key, InstanceID: r.InstanceID, Version: r.Version, Payload: payload,
		Reason: r.Reason, IdempotencyKey: r.IdempotencyKey, CommandID: r.CommandID, ExpectedSequence: r.ExpectedSequence,
	}, source, now)
}
