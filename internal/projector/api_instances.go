package projector

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/leat-io/leat/internal/projector/views"
	"github.com/leat-io/leat/internal/store"
	"github.com/leat-io/leat/pkg/events"
)

// InstancePath names one instance in a path.
type InstancePath struct {
	Type string `path:"type" doc:"Workflow type."`
	ID   string `path:"id" doc:"Business key, or an instance id as id:UUID."`
}

func (i InstancePath) ref() (ref, error) { return ref{i.Type, i.ID}, checkType(i.Type) }

type listInput struct {
	Type     string   `query:"type" doc:"Workflow type; all types, one after the other, when absent."`
	Workflow string   `query:"workflow_state" doc:"Only instances in this workflow state."`
	State    string   `query:"state" doc:"Only instances whose chart is in this state."`
	Key      string   `query:"key" maxLength:"512" doc:"Only instances whose business key begins with this; in the order of keys."`
	Where    []string `query:"where,explode" doc:"Only instances whose data satisfy this: NAME, one of = < <= > >= ^= (begins with), and a value, such as amount > 100. The definition declares the name under search. May be repeated; type is required then. Unless one of them is an equality, the list is in the order of the first one's values."`
	Order    string   `query:"order" enum:"newest,oldest" default:"newest" doc:"By time of creation."`
	Limit    int      `query:"limit" minimum:"1" maximum:"1000" default:"100"`
	Cursor   string   `query:"cursor" maxLength:"4096" doc:"next_cursor of the page before."`
}

type listOutput struct {
	Body struct {
		Items      []*events.Snapshot `json:"items"`
		NextCursor string             `json:"next_cursor" doc:"Empty on the last page. A page may hold fewer items than limit."`
	}
}

type getInput struct {
	InstancePath
	MinSequence int64  `query:"min_sequence" minimum:"0" doc:"Answer only with this sequence or a newer one: read your writes."`
	Wait        string `query:"wait" doc:"Without min_sequence: wait for the instance to be finished, for at most this long; the answer is its state then, finished or not, and 404 if there is none. With min_sequence: how long to wait for that, 10s when absent. A duration such as 500ms or 30s, at most 60s."`
}

type getOutput struct {
	Sequence int64 `header:"Leat-Sequence"`
	Body     *events.Snapshot
}

func (p *Projector) routeInstances(api huma.API) {
	huma.Register(api, huma.Operation{
		OperationID: "list-instances", Method: http.MethodGet, Path: "/api/v1/instances", Summary: "List instances",
		Errors: []int{http.StatusBadRequest},
	}, p.list)
	huma.Register(api, huma.Operation{
		OperationID: "get-instance", Method: http.MethodGet, Path: "/api/v1/instances/{type}/{id}", Summary: "Get the state of an instance",
		Errors: []int{http.StatusBadRequest, http.StatusNotFound, http.StatusGatewayTimeout, http.StatusServiceUnavailable},
	}, p.get)
}

func (p *Projector) list(_ context.Context, in *listInput) (*listOutput, error) {
	filter := views.Filter{
		Type: in.Type, Workflow: events.WorkflowState(in.Workflow), State: in.State, KeyPrefix: in.Key,
		Oldest: in.Order == "oldest", Limit: in.Limit, Cursor: in.Cursor,
	}
	if in.Type != "" {
		if err := checkType(in.Type); err != nil {
			return nil, err
		}
	}
	var err error
	if filter.Where, err = p.conditions(in.Type, in.Where); err != nil {
		return nil, err
	}
	out := &listOutput{}
	out.Body.Items = make([]*events.Snapshot, 0)
	err = p.read(func(db *store.DB) error {
		page, next, err := views.List(db, filter)
		if errors.Is(err, views.ErrCursor) {
			return badRequest("The page cannot be found", err)
		}
		if err != nil {
			return err
		}
		out.Body.NextCursor = next
		for _, i := range page {
			s, err := i.Snapshot()
			if err != nil {
				return err
			}
			out.Body.Items = append(out.Body.Items, s)
		}
		return nil
	})
	return out, err
}

func (p *Projector) get(ctx context.Context, in *getInput) (*getOutput, error) {
	r, err := in.ref()
	if err != nil {
		return nil, err
	}
	found, err := p.find(ctx, r, in)
	if err != nil {
		return nil, err
	}
	if found == nil {
		return nil, missing(r)
	}
	s, err := found.Snapshot()
	return &getOutput{Sequence: found.Sequence, Body: s}, p.judge(err)
}

// find gives the instance as in asks for it, nil when it is not there.
func (p *Projector) find(ctx context.Context, r ref, in *getInput) (found *views.Instance, err error) {
	if in.MinSequence == 0 && in.Wait != "" {
		return p.finished(ctx, r, in.Wait)
	}
	err = p.await(ctx, r, Freshness{in.MinSequence, in.Wait}, func(_ *store.DB, _ events.UUID, i *views.Instance) (sequence, known int64, err error) {
		if found = i; found != nil {
			sequence = found.Sequence
		}
		return sequence, 0, nil
	})
	return found, err
}
