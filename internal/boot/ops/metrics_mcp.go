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

// MCP is what an executor counts of the MCP servers that it calls.
func (s *Metrics) MCP() fleet.Metrics {
	return once(s, "mcp", func(m Meters) fleet.Metrics {
		ended := m.counter("leat_mcp_calls_total", "Calls of tools that ended: ok, tool_error, cancelled, or the code of the failure", "subsystem", "tool", "outcome")
		took := m.seconds("leat_mcp_call_seconds", "How long calls of tools took", "subsystem", "tool")
		inFlight := m.gauge("leat_mcp_calls_in_flight", "Calls of tools that are under way", "subsystem", "tool")
		unknown := m.counter("leat_mcp_unknown_outcomes_total", "Calls of which nobody knows whether they took effect", "subsystem", "tool")
		moved := m.counter("leat_mcp_failovers_total", "Calls that went on to another server", "subsystem", "tool")
		probed := m.seconds("leat_mcp_probe_seconds", "How long servers took to say that they are there", "subsystem")
		silent := m.counter("leat_mcp_probe_failures_total", "Probes that a server did not answer", "subsystem")
		health := m.gauge("leat_mcp_server_health", "1 for how this executor finds a server", "subsystem", "health")
		names := &bounded{tools: make(map[[2]string]bool), servers: make(map[string]bool)}
		return fleet.Metrics{
			CallEnded: func(subsystem, tool, outcome string, d time.Duration) {
				subsystem, tool = names.tool(subsystem, tool)
				ended.WithLabelValues(subsystem, tool, outcome).Inc()
				took.WithLabelValues(subsystem, tool).Observe(d.Seconds())
			},
			InFlight: func(subsystem, tool string, by int) {
				subsystem, tool = names.tool(subsystem, tool)
				inFlight.WithLabelValues(subsystem, tool).Add(float64(by))
			},
			Unknown:    func(subsystem, tool string) { unknown.WithLabelValues(names.labels(subsystem, tool)...).Inc() },
			FailedOver: func(subsystem, tool string) { moved.WithLabelValues(names.labels(subsystem, tool)...).Inc() },
			Probed: func(subsystem string, ok bool, d time.Duration) {
				subsystem = names.server(subsystem)
				if !ok {
					silent.WithLabelValues(subsystem).Inc()
					return
				}
				probed.WithLabelValues(subsystem).Observe(d.Seconds())
			},
			Health: func(subsystem, now string) {
				if subsystem = names.server(subsystem); subsystem == other {
					return // it is many
				}
				health.DeletePartialMatch(map[string]string{"subsystem": subsystem})
				if now != "" {
					health.WithLabelValues(subsystem, now).Set(1)
				}
			},
		}
	})
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

func (b *bounded) labels(subsystem, tool string) []string {
	subsystem, tool = b.tool(subsystem, tool)
	return []string{subsystem, tool}
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
