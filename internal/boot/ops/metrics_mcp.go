package ops

import (
	"sync"
	"time"

	"github.com/leat-io/leat/internal/mcp/fleet"
)

// maxTools bounds the labels of metrics about MCP: what comes behind that many pairs
// of a subsystem and a tool is counted under the tool "other", and behind that many
// subsystems under the subsystem "other".
const maxTools = 1000

const other = "other"

// boundedMCP hands on what m is told, under a bounded number of names.
func boundedMCP(m fleet.Metrics) fleet.Metrics {
	names := &bounded{tools: make(map[[2]string]bool), servers: make(map[string]bool)}
	return fleet.Metrics{
		CallEnded: func(subsystem, tool, outcome string, d time.Duration) {
			subsystem, tool = names.tool(subsystem, tool)
			m.CallEnded(subsystem, tool, outcome, d)
		},
		InFlight: func(subsystem, tool string, by int) {
			subsystem, tool = names.tool(subsystem, tool)
			m.InFlight(subsystem, tool, by)
		},
		Unknown:    func(subsystem, tool string) { m.Unknown(names.tool(subsystem, tool)) },
		FailedOver: func(subsystem, tool string) { m.FailedOver(names.tool(subsystem, tool)) },
		Probed:     func(subsystem string, ok bool, d time.Duration) { m.Probed(names.server(subsystem), ok, d) },
		Health: func(subsystem, is string) {
			if subsystem = names.server(subsystem); subsystem != other { // of many there is no health
				m.Health(subsystem, is)
			}
		},
	}
}

// bounded keeps the first names that it sees; a name that it kept stays.
type bounded struct {
	mu      sync.Mutex
	tools   map[[2]string]bool
	servers map[string]bool
}

// tool names a tool of a server in a label.
func (b *bounded) tool(subsystem, tool string) (string, string) {
	subsystem = b.server(subsystem)
	b.mu.Lock()
	defer b.mu.Unlock()
	pair := [2]string{subsystem, tool}
	if !b.tools[pair] {
		if len(b.tools) >= maxTools {
			return subsystem, other
		}
		b.tools[pair] = true
	}
	return subsystem, tool
}

// server names a server in a label.
func (b *bounded) server(subsystem string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.servers[subsystem] {
		if len(b.servers) >= maxTools {
			return other
		}
		b.servers[subsystem] = true
	}
	return subsystem
}
