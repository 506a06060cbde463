package projector

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/internal/store"
	"github.com/leat-io/leat/pkg/events"
)

type startInput struct {
	TypePath
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"512" doc:"Repeating the request with the same key changes nothing."`
	Body           struct {
		Key        *events.KeyText `json:"key,omitempty" maxLength:"512" doc:"Business key: there is one instance for each. Text without control characters; not empty."`
		InstanceID string          `json:"instance_id,omitempty" doc:"UUID; derived from the key, or new, when absent. With a key, that of the key."`
		CommandID  string          `json:"command_id,omitempty" doc:"UUID of the command, for who listens to outcomes; derived from the Idempotency-Key, or new, when absent."`
		Version    int32           `json:"version,omitempty" minimum:"0" doc:"Of the definition; the newest when absent."`
		Input      json.RawMessage `json:"input,omitempty" doc:"Any JSON."`
	}
}

type signalInput struct {
	InstancePath
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"512" doc:"Repeating the request with the same key changes nothing."`
	Body           struct {
		Event            string          `json:"event" minLength:"1" maxLength:"256" doc:"Name of the signal."`
		Data             json.RawMessage `json:"data,omitempty" doc:"Any JSON."`
		ExpectedSequence *int64          `json:"expected_sequence,omitempty" minimum:"0" doc:"A conflict unless this is the sequence of the newest event of the instance."`
	}
}

// Accepted says where a command is: durable, and not decided yet.
type Accepted struct {
	CommandID  events.UUID `json:"command_id"`
	InstanceID events.UUID `json:"instance_id"`
	Topic      string      `json:"topic"`
	Partition  int32       `json:"partition"`
	Offset     int64       `json:"offset"`
}

type acceptedOutput struct {
	Body Accepted
}

func (p *Projector) routeCommands(api huma.API) {
	refused := []int{http.StatusBadRequest, http.StatusNotFound, http.StatusUnprocessableEntity, http.StatusServiceUnavailable}
	huma.Register(api, huma.Operation{
		OperationID: "start-instance", Method: http.MethodPost, Path: "/api/v1/instances/{type}", Summary: "Start an instance",
		DefaultStatus: http.StatusAccepted, MaxBodyBytes: maxBody, Errors: refused,
	}, p.startInstance)
	huma.Register(api, huma.Operation{
		OperationID: "signal-instance", Method: http.MethodPost, Path: "/api/v1/instances/{type}/{id}/signals",
		Summary: "Send an event to an instance", DefaultStatus: http.StatusAccepted, MaxBodyBytes: maxBody, Errors: refused,
	}, p.signal)
	p.routeLife(api, refused)
}

func (p *Projector) startInstance(ctx context.Context, in *startInput) (*acceptedOutput, error) {
	c := events.Command{
		Command: events.CommandStart, WorkflowType: in.Type, Version: in.Body.Version,
		Payload: in.Body.Input, IdempotencyKey: in.IdempotencyKey,
	}
	if key := in.Body.Key; key != nil {
		if c.Key = string(*key); c.Key == "" {
			return nil, invalidCommand(events.CheckKey("key", ""))
		}
	}
	switch {
	case in.Body.InstanceID != "":
		id, err := events.ParseUUID(strings.TrimPrefix(in.Body.InstanceID, "id:"))
		if err != nil {
			return nil, badRequest("instance_id is not one", err)
		}
		c.InstanceID = id
	case c.Key != "":
		c.InstanceID = events.InstanceIDForKey(in.Type, c.Key)
	case in.IdempotencyKey != "":
		// Without this a repeated start would name another instance each time.
		c.InstanceID = events.DeriveUUID(events.Namespace, "start/"+in.Type+"/"+in.IdempotencyKey)
	default:
		c.InstanceID = newID(p.config.Clock())
	}
	if in.Body.CommandID != "" {
		id, err := events.ParseUUID(in.Body.CommandID)
		if err != nil {
			return nil, badRequest("command_id is not one", err)
		}
		c.CommandID = id
	}
	return p.send(ctx, &c)
}

func (p *Projector) signal(ctx context.Context, in *signalInput) (*acceptedOutput, error) {
	r, err := in.ref()
	if err != nil {
		return nil, err
	}
	c := events.Command{
		Command: events.CommandSignal, WorkflowType: in.Type, Event: in.Body.Event, Payload: in.Body.Data,
		IdempotencyKey: in.IdempotencyKey, ExpectedSequence: in.Body.ExpectedSequence,
	}
	if c.InstanceID, err = p.receiver(r); err != nil {
		return nil, err
	}
	return p.send(ctx, &c)
}

// receiver is the instance that a command is for. The view may not have it yet;
// its id is known all the same, but not that of a name that no instance can have:
// what is sent to it would be lost.
func (p *Projector) receiver(r ref) (id events.UUID, err error) {
	if named := events.ParseRef(r.text); named.ID.IsNil() {
		if err := events.CheckKey("key", named.Key); err != nil {
			return id, invalidCommand(err)
		}
	}
	err = p.read(func(db *store.DB) (err error) {
		id, _, err = r.resolve(db)
		return err
	})
	return id, err
}

// send makes a command durable.
func (p *Projector) send(ctx context.Context, c *events.Command) (*acceptedOutput, error) {
	now := p.config.Clock()
	c.Timestamp, c.Source = events.Instant(now), "api"
	id := newID(now)
	if c.IdempotencyKey != "" {
		// The same request gets the same answer.
		id = events.DeriveUUID(c.InstanceID, "command/"+string(c.Command)+"/"+c.IdempotencyKey)
	}
	c.Resolve(id)
	if err := cmp.Or(c.Validate(), c.CheckNamed()); err != nil {
		return nil, invalidCommand(err)
	}
	if p.registry.Partitions(c.WorkflowType) == 0 {
		return nil, unknownType(c.WorkflowType)
	}
	value, err := avro.EncodeCommand(c)
	if err != nil {
		return nil, invalidCommand(err)
	}
	record := kafka.NewRecord(p.config.Names.Commands(c.WorkflowType), []byte(c.InstanceID.String()), value)
	record.Headers = []kafka.Header{{Key: "content-type", Value: []byte(avro.ContentType)}}
	if err := p.produce(ctx, record); err != nil {
		return nil, err
	}
	return &acceptedOutput{Body: Accepted{
		CommandID: c.CommandID, InstanceID: c.InstanceID, Topic: record.Topic, Partition: record.Partition, Offset: record.Offset,
	}}, nil
}

func invalidCommand(why error) error {
	return newProblem(http.StatusUnprocessableEntity, problem.CommandInvalid, "The command cannot be sent as it is", why.Error(), "")
}

func (p *Projector) produce(ctx context.Context, record *kafka.Record) error {
	p.live.RLock()
	defer p.live.RUnlock()
	if p.live.db == nil {
		return p.away()
	}
	err := p.live.producer.Send(ctx, record)
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	return newProblem(http.StatusServiceUnavailable, problem.KafkaAway, "The command may not have been accepted", err.Error(),
		"repeat the request with the same Idempotency-Key")
}

func newID(now time.Time) events.UUID {
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails
	return events.TimeUUID(now, random)
}
