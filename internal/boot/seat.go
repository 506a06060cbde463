package boot

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/leat-io/leat/internal/boot/ops"
	"github.com/leat-io/leat/internal/executor/seat"
	"github.com/leat-io/leat/internal/problem"
)

// seat is the place that an executor has among the nodes.
func (p *process) seat() (*seat.Seat, error) {
	capacity, err := capacities(p.settings.List("capacity"))
	if err != nil {
		return nil, err
	}
	return newSeat(seat.Config{
		Kafka: p.kafka, Names: p.settings.Names(), NodeID: p.settings.Text("node-id"), Capabilities: mcpCapabilities(p.settings.List("capability"), p.settings.MCP()), Capacity: capacity,
		Version: ops.Build().Version, Endpoint: p.servers[0].URL(), Logger: p.logger, Metrics: p.metrics.Nodes(),
	})
}

// newSeat gives a node without an id the name of its process.
func newSeat(c seat.Config) (*seat.Seat, error) {
	if c.NodeID == "" {
		host, err := os.Hostname()
		if err != nil {
			host = "executor"
		}
		c.NodeID = fmt.Sprintf("%s-%d", host, os.Getpid())
	}
	place, err := seat.New(c)
	if err != nil {
		return nil, problem.New(problem.BadSetting, "the node cannot be described", err.Error(), "--capability gpu --capacity gpu=1,memory_mb=8192")
	}
	return place, nil
}

// capacities reads name=amount.
func capacities(specs []string) (map[string]int64, error) {
	all := make(map[string]int64)
	for _, spec := range specs {
		name, amount, ok := strings.Cut(spec, "=")
		n, err := strconv.ParseInt(strings.TrimSpace(amount), 10, 64)
		name = strings.TrimSpace(name)
		_, twice := all[name]
		switch {
		case !ok || err != nil:
			return nil, problem.New(problem.Usage, fmt.Sprintf("--capacity %q cannot be read", spec), "want name=amount, a whole number", "--capacity gpu=1,memory_mb=8192")
		case twice:
			return nil, problem.New(problem.Usage, fmt.Sprintf("--capacity names %s twice", name), "", "--capacity gpu=1,memory_mb=8192")
		}
		all[name] = n
	}
	return all, nil
}
