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
	Reason           string `json:"reason,omitempty" maxLength:"1024" doc:"The reason, for the history and the audit."`
	ExpectedSequence *int64 `json:"expected_sequence,omitempty" minimum:"0" doc:"A conflict unless this is the sequence of the newest event of the instance."`
	Skip             bool   `json:"skip,omitempty" doc:"Only of retry: drop the input that led to the incident instead of deciding it again."`
}

// routeLife registers one operation for each command of operators.
func (p *Projector) routeLife(api huma.API, refused []int) {
	for _, c := range []struct {
		command events.CommandType
		summary string
	}{
		{events.CommandPause, "Pause an instance"},
		{events.CommandResume, "Resume a paused instance"},
		{events.CommandCancel, "Cancel an instance, with its exit actions and compensation"},
		{events.CommandTerminate, "Terminate an instance at once, without either"},
		{events.CommandRetry, "Retry what failed, or an incident"},
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
