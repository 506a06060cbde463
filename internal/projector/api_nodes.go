package projector

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"

	"github.com/danielgtaylor/huma/v2"

	"github.com/leat-io/leat/internal/nodes"
	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/spi/node"
)

// newNode makes the record of the projector among the nodes.
func (p *Projector) newNode() (err error) {
	c := p.config
	if c.NodeID == "" {
		host, err := os.Hostname()
		if err != nil {
			host = "unknown"
		}
		c.NodeID = fmt.Sprintf("projector-%s-%d", host, os.Getpid())
	}
	p.nodes = nodes.New(nodes.Config{Kafka: c.Kafka, Names: c.Names, Logger: c.Logger})
	p.agent, err = nodes.NewAgent(p.nodes, events.NodeRecord{
		NodeID: nodes.Name(c.NodeID), Types: []events.NodeType{events.NodeReducer}, Version: c.Version, Endpoint: c.Endpoint,
	}, nil)
	return err
}

// beNode follows the nodes and is one of them, until ctx ends. Of two projectors
// under one id both go on: what they keep is their own.
func (p *Projector) beNode(ctx context.Context) {
	if err := nodes.Run(ctx, p.nodes, p.agent); err != nil {
		p.config.Logger.LogAttrs(ctx, slog.LevelError, "projector is no node any more", slog.Any("error", err))
	}
}

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
