package client

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/leat-io/leat/internal/facts"
	"github.com/leat-io/leat/pkg/events"
)

// LifeRequest changes the workflow state of an instance. Type, Command and
// one of Key and InstanceID are required.
type LifeRequest struct {
	Type       string
	Key        string // business key of the instance, or
	InstanceID events.UUID
	// Command is pause, resume, cancel, terminate or retry.
	Command        events.CommandType
	Reason         string      // why, for the history and the audit
	Skip           bool        // retry of an incident: drop what led to it instead of deciding it again
	IdempotencyKey string      // the same request again is a duplicate
	CommandID      events.UUID // default: new, or derived from IdempotencyKey
	// ExpectedSequence refuses the request as a conflict unless the instance's
	// newest event has this sequence; nil does not care.
	ExpectedSequence *int64
	Metadata         map[string]events.ContextValue
}

// LifeCommands lists what a [LifeRequest] can ask.
func LifeCommands() []events.CommandType {
	return []events.CommandType{
		events.CommandPause, events.CommandResume, events.CommandCancel, events.CommandTerminate, events.CommandRetry,
	}
}

func (r LifeRequest) command(source string, now time.Time) (*events.Command, error) {
	switch {
	case !slices.Contains(LifeCommands(), r.Command):
		return nil, fmt.Errorf("%q is none of %v", r.Command, LifeCommands())
	case r.Key == "" && r.InstanceID.IsNil():
		return nil, errors.New("a Key or an InstanceID has to say which instance is meant")
	case r.Skip && r.Command != events.CommandRetry:
		return nil, fmt.Errorf("the field Skip is for retry, not for %s", r.Command)
	}
	return complete(&events.Command{
		Command: r.Command, WorkflowType: r.Type, Key: r.Key, InstanceID: r.InstanceID, Reason: r.Reason, Skip: r.Skip,
		IdempotencyKey: r.IdempotencyKey, CommandID: r.CommandID, ExpectedSequence: r.ExpectedSequence, Metadata: r.Metadata,
	}, source, now)
}

// ResetRequest returns an instance to the state that it was in after an earlier event:
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
	// States says which state of the new version replaces a state of the old one;
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

// TaskRequest is what a person says of a task that waits for one: that it is
// theirs now, or how it ended. Type, one of Key and InstanceID, TaskID, Attempt
// and By are required. Only one end of an attempt is accepted.
type TaskRequest struct {
	Type       string
	Key        string // business key of the instance, or
	InstanceID events.UUID
	TaskID     events.UUID
	Attempt    int32
	By         string        // who says so
	Claim      bool          // the task is theirs now; nobody else can end it
	Result     any           // of a task that is done: what encodes to JSON, json.RawMessage as it is
	Error      *events.Error // of one that failed
	CommandID  events.UUID   // default: new
}

func (r TaskRequest) command(source string, now time.Time) (*events.Command, error) {
	switch {
	case r.Key == "" && r.InstanceID.IsNil():
		return nil, errors.New("a task needs a Key or an InstanceID to say which instance is meant")
	case r.By == "":
		return nil, errors.New("the field By has to say who it is")
	}
	result, err := encodeValue("Result", r.Result)
	if err != nil {
		return nil, err
	}
	c := &events.Command{
		Command: events.CommandResult, WorkflowType: r.Type, Key: r.Key, InstanceID: r.InstanceID, CommandID: r.CommandID, Payload: result,
		Result: &events.TaskResult{TaskID: r.TaskID, Attempt: r.Attempt, NodeID: r.By, State: events.TaskCompleted},
	}
	switch {
	case r.Claim:
		c.Command, c.Payload, c.Result.State = events.CommandClaim, nil, ""
	case r.Error != nil:
		c.Payload, c.Result.State, c.Result.Error = nil, events.TaskFailed, r.Error
	}
	return complete(c, source, now)
}
