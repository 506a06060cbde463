package projector

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/leat-io/leat/internal/projector/views"
	"github.com/leat-io/leat/internal/store"
	"github.com/leat-io/leat/pkg/events"
)

type historyInput struct {
	InstancePath
	Freshness
	From  int64 `query:"from" minimum:"1" default:"1" doc:"First sequence to show."`
	Limit int   `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

type historyOutput struct {
	Sequence int64 `header:"Leat-Sequence"`
	Body     struct {
		Items    []views.Fact `json:"items"`
		Next     int64        `json:"next" doc:"from of the next page, 0 when this one ends with the newest event."`
		Sequence int64        `json:"sequence_number" doc:"Of the newest event in the view."`
	}
}

func (p *Projector) routeHistory(api huma.API) {
	huma.Register(api, huma.Operation{
		OperationID: "get-history", Method: http.MethodGet, Path: "/api/v1/instances/{type}/{id}/history",
		Summary: "List the events of an instance",
		Errors:  []int{http.StatusBadRequest, http.StatusNotFound, http.StatusGatewayTimeout},
	}, p.history)
}

func (p *Projector) history(ctx context.Context, in *historyInput) (*historyOutput, error) {
	r, err := in.ref()
	if err != nil {
		return nil, err
	}
	out := &historyOutput{}
	err = p.await(ctx, r, in.Freshness, func(db *store.DB, id events.UUID, found *views.Instance) (head, known int64, err error) {
		if found != nil {
			known = found.Sequence // a caller may have seen it, and expects to read how it came to it
		}
		if head, err = views.HeadOf(db, r.workflowType, id); err != nil {
			return 0, 0, err
		}
		out.Sequence, out.Body.Sequence = head, head
		out.Body.Items, err = views.HistoryOf(db, r.workflowType, id, in.From, in.Limit)
		return head, known, err
	})
	if err != nil {
		return nil, err
	}
	if out.Sequence == 0 {
		return nil, missing(r)
	}
	if out.Body.Items == nil {
		out.Body.Items = []views.Fact{}
	} else if last := out.Body.Items[len(out.Body.Items)-1].SequenceNumber; last < out.Sequence {
		out.Body.Next = last + 1
	}
	return out, nil
}
