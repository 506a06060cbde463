package client

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/leat-io/leat/internal/apicall"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/nodes"
	"github.com/leat-io/leat/pkg/spi/node"
)

// Nodes lists the workers of the cluster that are not expired, by id: what each can
// do, how much of it is free, and when it was heard of. [node.Capable] and
// [node.WhyNone] answer which of them can run a task. The error is [ErrUnavailable] or
// [ErrProjector].
func (c *Client) Nodes(ctx context.Context) ([]node.Node, error) {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	if c.config.API != "" {
		var found struct{ Items []node.Node }
		err := c.call(ctx, apicall.Request{Method: http.MethodGet, Path: "/api/v1/nodes"}, &found)
		for i := range found.Items {
			found.Items[i].Silent = max(0, time.Since(found.Items[i].LastBeat))
		}
		return found.Items, err
	}
	var records []*kafka.Record
	err := c.whole(ctx, c.names.Nodes(), func(r *kafka.Record) error {
		records = append(records, r)
		return nil
	})
	return nodes.Of(records, time.Now()), err
}

// NodeRegistry is the contracts of pkg/spi/node on Kafka, for a program that is a
// node itself, or that gives work of its own to nodes. It follows the cluster's nodes
// until it is closed.
type NodeRegistry struct {
	node.Registrar
	node.Discovery
	node.Assigner
	close func() error
	once  sync.Once
}

// Close stops to follow the nodes. What was registered stays until it is silent for
// too long, or is deregistered before. It may be called twice.
func (r *NodeRegistry) Close() (err error) {
	r.once.Do(func() { err = r.close() })
	return err
}

// OpenNodes begins to follow the nodes. by is the strategy of AssignTaskToNode, "" for
// [node.LeastLoaded]. It needs Brokers, and makes the topic of nodes when it is
// missing.
func (c *Client) OpenNodes(by node.Strategy) (*NodeRegistry, error) {
	if len(c.config.Brokers) == 0 {
		return nil, invalid(errors.New("following nodes needs Brokers"))
	}
	n := nodes.New(nodes.Config{Kafka: c.kafka, Names: c.names, Strategy: by, Logger: c.config.Logger})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }() // Close waits for its end
	return &NodeRegistry{Registrar: n, Discovery: n, Assigner: n, close: func() error {
		cancel()
		return <-ended
	}}, nil
}
