package projector

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/leat-io/leat/internal/store"
	"github.com/leat-io/leat/pkg/events"
)

// TypePath names a workflow type in a path.
type TypePath struct {
	Type string `path:"type" doc:"Workflow type."`
}

type countsOutput struct {
	Body struct {
		Counts
		AsOf time.Time `json:"as_of,omitzero" doc:"When the newest record that is counted was written."`
	}
}

type definitionsOutput struct {
	Body struct {
		Items []events.DefinitionRecord `json:"items"`
	}
}

func (p *Projector) routeCounts(api huma.API) {
	huma.Register(api, huma.Operation{
		OperationID: "get-counts", Method: http.MethodGet, Path: "/api/v1/types/{type}/counts",
		Summary: "How many instances of a type stand where", Errors: []int{http.StatusBadRequest},
	}, p.counts)
	huma.Register(api, huma.Operation{
		OperationID: "list-definitions", Method: http.MethodGet, Path: "/api/v1/definitions",
		Summary: "Every deployed version of every definition",
	}, p.definitions)
}

func (p *Projector) counts(_ context.Context, in *TypePath) (*countsOutput, error) {
	if err := checkType(in.Type); err != nil {
		return nil, err
	}
	out := &countsOutput{}
	out.Body.AsOf = p.asOf(in.Type)
	err := p.read(func(db *store.DB) (err error) {
		out.Body.Counts, err = countsOf(db, in.Type)
		return err
	})
	return out, err
}

func (p *Projector) definitions(context.Context, *struct{}) (*definitionsOutput, error) {
	out := &definitionsOutput{}
	out.Body.Items = p.registry.Records()
	if out.Body.Items == nil {
		out.Body.Items = []events.DefinitionRecord{}
	}
	return out, nil
}
