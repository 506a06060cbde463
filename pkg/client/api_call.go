package client

import (
	"errors"
	"fmt"

	"github.com/leat-io/leat/pkg/events"
)

// apiCall is where a projector takes a request, behind the type's instances, and
// in what form.
type apiCall struct {
	path string
	body map[string]any
}

func (call *apiCall) set(name string, value any, given bool) {
	if given {
		call.body[name] = value
	}
}

// callOf is a call about the instance of a command.
func callOf(c *events.Command, what string) apiCall {
	return apiCall{path: "/" + events.Ref{ID: c.InstanceID}.String() + "/" + what, body: map[string]any{}}
}

func (r StartRequest) call(c *events.Command) (apiCall, error) {
	if r.ExpectedSequence != nil || len(r.Metadata) > 0 || r.Priority != "" || !r.CorrelationID.IsNil() || !r.CommandID.IsNil() {
		return apiCall{}, errors.New("a start with ExpectedSequence, Metadata, Priority, CorrelationID or CommandID needs Brokers")
	}
	call := apiCall{body: map[string]any{}}
	call.set("key", r.Key, r.Key != "")
	call.set("instance_id", r.InstanceID, !r.InstanceID.IsNil())
	call.set("version", r.Version, r.Version != 0)
	call.set("input", c.Payload, c.Payload != nil)
	return call, nil
}

func (r SignalRequest) call(c *events.Command) (apiCall, error) {
	if len(r.Metadata) > 0 || !r.CorrelationID.IsNil() || !r.CommandID.IsNil() {
		return apiCall{}, errors.New("a signal with Metadata, CorrelationID or CommandID needs Brokers")
	}
	call := callOf(c, "signals")
	call.body["event"] = r.Event
	call.set("data", c.Payload, c.Payload != nil)
	call.set("expected_sequence", r.ExpectedSequence, r.ExpectedSequence != nil)
	return call, nil
}

func (r LifeRequest) call(c *events.Command) (apiCall, error) {
	if len(r.Metadata) > 0 || !r.CommandID.IsNil() {
		return apiCall{}, errors.New("a change with Metadata or CommandID needs Brokers")
	}
	call := callOf(c, string(r.Command))
	call.set("reason", r.Reason, r.Reason != "")
	call.set("skip", r.Skip, r.Skip)
	call.set("expected_sequence", r.ExpectedSequence, r.ExpectedSequence != nil)
	return call, nil
}

func (ResetRequest) call(c *events.Command) (apiCall, error)   { return needsBrokers(c) }
func (MigrateRequest) call(c *events.Command) (apiCall, error) { return needsBrokers(c) }
func (TaskRequest) call(c *events.Command) (apiCall, error)    { return needsBrokers(c) }

func needsBrokers(c *events.Command) (apiCall, error) {
	return apiCall{}, fmt.Errorf("a %s needs Brokers", c.Command)
}
