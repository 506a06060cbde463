package projector

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/leat-io/leat/pkg/events"
)

// lifeInput asks for another state of life.
type lifeInput struct {
	InstancePath
	IdempotencyKey string    `header:"Idempotency-Key" maxLength:"512" doc:"Repeating the request with the same key changes nothing."`
	Body           *lifeBody `required:"false"`
}

type lifeBody struct {
	Reason           string `json:"reason,omitempty" maxLength:"1024" doc:"Why, for the history and the audit."`
	ExpectedSequence *int64 `json:"expected_sequence,omitempty" minimum:"0" doc:"Refuse the request if the instance has moved on."`
	Skip             bool   `json:"skip,omitempty" doc:"Only of retry: drop the input that led to the incident instead of deciding it again."`
}

// routeLife registers one operation for each command of those who look after
// instances.
func (p *Projector) routeLife(api huma.API, refused []int) {
	for _, c := range []struct {
		command events.CommandType
		summary string
	}{
		{events.CommandPause, "Hold an instance where it is"},
		{events.CommandResume, "Let a paused instance go on"},
		{events.CommandCancel, "End an instance in good order: exit actions, compensation"},
		{events.CommandTerminate, "End an instance at once: neither"},
		{events.CommandRetry, "Try again what failed, or what is an incident"},
	} {
		huma.Register(api, huma.Operation{
			OperationID: string(c.command) + "-instance", Method: http.MethodPost,
			Path: "/api/v1/instances/{type}/{id}/" + string(c.command), Summary: c.summary,
			DefaultStatus: http.StatusAccepted, MaxBodyBytes: maxBody, Errors: refused,
		}, func(ctx context.Context, in *lifeInput) (*acceptedOutput, error) { return p.change(ctx, c.command, in) })
	}
}

func (p *Projector) change(ctx context.Context, command events.CommandType, in *lifeInput) (*acceptedOutput, error) {
	r, err := in.ref()
	if err != nil {
		return nil, err
	}
	c := events.Command{Command: command, WorkflowType: in.Type, IdempotencyKey: in.IdempotencyKey}
	if b := in.Body; b != nil {
		c.Reason, c.Skip, c.ExpectedSequence = b.Reason, b.Skip, b.ExpectedSequence
	}
	if c.InstanceID, err = p.receiver(r); err != nil {
		return nil, err
	}
	return p.send(ctx, &c)
}
