package projector

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/pkg/spi/node"
)

type nodesOutput struct {
	Body struct {
		Items []node.Node `json:"items" doc:"By id. Nodes that are expired are left out."`
	}
}

func (p *Projector) routeNodes(api huma.API) {
	huma.Register(api, huma.Operation{
		OperationID: "list-nodes", Method: http.MethodGet, Path: "/api/v1/nodes",
		Summary: "List the workers of the cluster, and what each can do",
	}, p.listNodes)
}

func (p *Projector) listNodes(context.Context, *struct{}) (*nodesOutput, error) {
	out := &nodesOutput{}
	list, revision := p.nodes.Known()
	if revision == 0 {
		return nil, newProblem(http.StatusServiceUnavailable, problem.ProjectorAway, "The projector cannot answer yet", "which nodes there are is not read yet", "try again in a moment")
	}
	out.Body.Items = append([]node.Node{}, list...)
	return out, nil
}
