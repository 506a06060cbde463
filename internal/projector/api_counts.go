package projector

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/leat-io/leat/internal/projector/views"
	"github.com/leat-io/leat/internal/store"
	"github.com/leat-io/leat/pkg/events"
)

// TypePath names a workflow type in a path.
type TypePath struct {
	Type string `path:"type" doc:"Workflow type."`
}

type countsInput struct {
	TypePath
	Where []string `query:"where,explode" doc:"Count only instances whose data satisfy this, as in the list of instances. Events are not counted then."`
}

type countsOutput struct {
	Body struct {
		views.Counts
		Partial bool      `json:"partial,omitempty" doc:"There are more instances than where is checked on: only some of them are counted."`
		AsOf    time.Time `json:"as_of,omitzero" doc:"When the newest record that is counted was written."`
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
		Summary: "Count the instances of a type by state", Errors: []int{http.StatusBadRequest},
	}, p.counts)
	huma.Register(api, huma.Operation{
		OperationID: "list-definitions", Method: http.MethodGet, Path: "/api/v1/definitions",
		Summary: "List every deployed version of every definition",
	}, p.definitions)
}

func (p *Projector) counts(_ context.Context, in *countsInput) (*countsOutput, error) {
	if err := checkType(in.Type); err != nil {
		return nil, err
	}
	conditions, err := p.conditions(in.Type, in.Where)
	if err != nil {
		return nil, err
	}
	out := &countsOutput{}
	out.Body.AsOf = p.asOf(in.Type)
	err = p.read(func(db *store.DB) (err error) {
		if len(conditions) > 0 {
			out.Body.Counts, out.Body.Partial, err = views.CountWhere(db, in.Type, conditions, views.MaxCounted)
			return err
		}
		out.Body.Counts, err = views.CountsOf(db, in.Type)
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
