package client

import (
	"cmp"
	"crypto/rand"
	"errors"
	"time"

	"github.com/leat-io/leat/pkg/events"
)

// Request is what can be asked of an instance: a [StartRequest], a
// [SignalRequest], a [LifeRequest], a [ResetRequest], a [TaskRequest] or a [MigrateRequest].
type Request interface {
	// command is what the router gets.
	command(source string, now time.Time) (*events.Command, error)
	// call is what a projector gets that writes the command in the client's place.
	// The error says what of it needs Brokers.
	call(*events.Command) (apiCall, error)
}

// StartRequest begins an instance. Only Type is required; give a Key, or an
// IdempotencyKey, to make it safe to ask again.
type StartRequest struct {
	Type           string
	Key            string      // business key: there is one instance for each
	InstanceID     events.UUID // default: derived from Key, else from IdempotencyKey, else new
	Version        int32       // of the definition; 0 for the newest
	Input          any         // what the definition calls input: what encodes to JSON, json.RawMessage as it is; nil for none
	IdempotencyKey string      // the same request again is a duplicate
	CorrelationID  events.UUID // default: the command id
	CommandID      events.UUID // default: new, or derived from IdempotencyKey
	// ExpectedSequence 0 refuses the start as a conflict when there is an instance;
	// nil makes it a duplicate.
	ExpectedSequence *int64
	Priority         events.TaskPriority // default normal
	Metadata         map[string]events.ContextValue
}

// SignalRequest tells an instance that something happened. Type, Event and one
// of Key and InstanceID are required.
type SignalRequest struct {
	Type           string
	Key            string // business key of the instance, or
	InstanceID     events.UUID
	Event          string      // name of the signal
	Data           any         // what the definition calls event data: what encodes to JSON, json.RawMessage as it is; nil for none
	IdempotencyKey string      // the same request again is a duplicate
	CorrelationID  events.UUID // default: the instance's own
	CommandID      events.UUID // default: new, or derived from IdempotencyKey
	// ExpectedSequence refuses the signal as a conflict unless the instance's
	// newest event has this sequence; nil does not care.
	ExpectedSequence *int64
	Metadata         map[string]events.ContextValue
}

// Receipt says that a command is durable, and where. It is not decided yet.
type Receipt struct {
	CommandID  events.UUID `json:"command_id"`
	InstanceID events.UUID `json:"instance_id"`
	Type       string      `json:"type"`
	Topic      string      `json:"topic"`
	Partition  int32       `json:"partition"`
	Offset     int64       `json:"offset"`
	At         time.Time   `json:"at,omitzero"` // when it was written, by the client's clock
}

func (r StartRequest) command(source string, now time.Time) (*events.Command, error) {
	input, err := encodeValue("Input", r.Input)
	if err != nil {
		return nil, err
	}
	c := &events.Command{
		Command: events.CommandStart, WorkflowType: r.Type, Key: r.Key, InstanceID: r.InstanceID, Version: r.Version,
		Payload: input, IdempotencyKey: r.IdempotencyKey, CorrelationID: r.CorrelationID, CommandID: r.CommandID,
		ExpectedSequence: r.ExpectedSequence, Priority: r.Priority, Metadata: r.Metadata,
	}
	switch {
	case !r.InstanceID.IsNil() || r.Key != "":
	case r.IdempotencyKey != "":
		// Without this a repeated start would name another instance each time.
		c.InstanceID = events.DeriveUUID(events.Namespace, "start/"+r.Type+"/"+r.IdempotencyKey)
	default:
		c.InstanceID = newID(now)
	}
	return complete(c, source, now)
}

func (r SignalRequest) command(source string, now time.Time) (*events.Command, error) {
	if r.Key == "" && r.InstanceID.IsNil() {
		return nil, errors.New("a signal needs a Key or an InstanceID to say which instance is meant")
	}
	data, err := encodeValue("Data", r.Data)
	if err != nil {
		return nil, err
	}
	return complete(&events.Command{
		Command: events.CommandSignal, WorkflowType: r.Type, Key: r.Key, InstanceID: r.InstanceID, Event: r.Event,
		Payload: data, IdempotencyKey: r.IdempotencyKey, CorrelationID: r.CorrelationID, CommandID: r.CommandID,
		ExpectedSequence: r.ExpectedSequence, Metadata: r.Metadata,
	}, source, now)
}

// complete fills in what the request left out, and checks the whole.
func complete(c *events.Command, source string, now time.Time) (*events.Command, error) {
	c.Source, c.Timestamp = source, events.Instant(now)
	c.Resolve(events.Nil) // the instance, before the command id is derived from it
	if c.CommandID.IsNil() && c.IdempotencyKey != "" {
		c.CommandID = events.DeriveUUID(c.InstanceID, "command/"+string(c.Command)+"/"+c.IdempotencyKey)
	}
	if c.CommandID.IsNil() {
		c.CommandID = newID(now)
	}
	return c, cmp.Or(c.Validate(), c.CheckNamed())
}

func newID(now time.Time) events.UUID {
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails
	return events.TimeUUID(now, random)
}
