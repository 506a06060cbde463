package ops

import (
	"time"

	"github.com/leat-io/leat/internal/executor"
	"github.com/leat-io/leat/internal/gateway"
	"github.com/leat-io/leat/internal/mcp/fleet"
	"github.com/leat-io/leat/internal/nodes"
	"github.com/leat-io/leat/internal/projector"
	"github.com/leat-io/leat/internal/shard"
	"github.com/leat-io/leat/pkg/events"
)

// Metrics makes each worker's metrics once, although a worker may be made
// anew.
type Metrics struct {
	meters Meters
	made   map[string]any
}

// NewMetrics makes the metrics of one process.
func NewMetrics(m Meters) *Metrics { return &Metrics{m, make(map[string]any)} }

// once keeps what make made under a name.
func once[T any](s *Metrics, name string, build func(Meters) T) T {
	v, ok := s.made[name].(T)
	if !ok {
		v = build(s.meters)
		s.made[name] = v
	}
	return v
}

// Projector is what a projector counts.
func (s *Metrics) Projector() projector.Metrics {
	return once(s, "projector", func(m Meters) projector.Metrics {
		folded := m.counter("leat_projector_records_total", "Records folded into the views, and those that were there already", "result")
		took := m.seconds("leat_projector_fold_seconds", "Time to fold one batch")
		skipped := m.counter("leat_projector_skipped_total", "Records on workflow topics that no router wrote")
		rebuilt := m.counter("leat_projector_rebuilt_total", "Times that the local copy was thrown away")
		followers := m.gauge("leat_projector_followers", "Open live streams")
		waits := m.gauge("leat_projector_waits", "Requests that wait for an instance to finish")
		return projector.Metrics{
			Waits: func(change int) { waits.WithLabelValues().Add(float64(change)) },
			Folded: func(records, stale int, d time.Duration) {
				folded.WithLabelValues("folded").Add(float64(records - stale))
				folded.WithLabelValues("stale").Add(float64(stale))
				took.WithLabelValues().Observe(d.Seconds())
			},
			Skipped:   func(string) { skipped.WithLabelValues().Inc() },
			Rebuilt:   func() { rebuilt.WithLabelValues().Inc() },
			Followers: func(change int) { followers.WithLabelValues().Add(float64(change)) },
			Shard:     shardMetrics(m, "leat_projector"),
		}
	})
}

func shardMetrics(m Meters, prefix string) shard.Metrics {
	partitions := m.gauge(prefix+"_partitions", "Partitions that are served")
	opened := m.seconds(prefix+"_open_seconds", "Time to open a partition, restore included")
	processed := m.seconds(prefix+"_batch_seconds", "Time to process one batch")
	size := m.sizes(prefix+"_batch_records", "Records in one batch")
	retried := m.counter(prefix+"_batch_retries_total", "Batches that had to be processed again", "kind")
	gone := m.counter(prefix+"_offset_gone_total", "Partitions whose log lacks the offset to go on from: an alarm")
	return shard.Metrics{
		Opened: func(_ shard.Partition, took time.Duration) {
			partitions.WithLabelValues().Inc()
			opened.WithLabelValues().Observe(took.Seconds())
		},
		Closed: func(shard.Partition) { partitions.WithLabelValues().Dec() },
		Processed: func(records int, took time.Duration) {
			processed.WithLabelValues().Observe(took.Seconds())
			size.WithLabelValues().Observe(float64(records))
		},
		Retried: func(reopened bool) {
			kind := "retry"
			if reopened {
				kind = "reopen"
			}
			retried.WithLabelValues(kind).Inc()
		},
		OffsetGone: func(shard.Partition) { gone.WithLabelValues().Inc() },
	}
}

// Executor is what an executor counts.
func (s *Metrics) Executor() executor.Metrics {
	return once(s, "executor", func(m Meters) executor.Metrics {
		waited := m.seconds("leat_executor_schedule_to_start_seconds", "Time from the issue of a task to its start", "queue")
		ran := m.seconds("leat_executor_task_seconds", "How long handlers ran", "queue", "state")
		claimed := m.counter("leat_executor_claims_total", "Tasks that were claimed because they take long", "queue")
		failed := m.counter("leat_executor_report_failures_total", "Reports that could not be written and were tried again", "queue")
		dead := m.counter("leat_executor_dead_letters_total", "Task records that could not be read", "queue")
		slots := m.gauge("leat_executor_slots", "Tasks that run, and that may run at once", "kind")
		return executor.Metrics{
			TaskStarted: func(queue string, d time.Duration) { waited.WithLabelValues(queue).Observe(d.Seconds()) },
			TaskFinished: func(queue string, state events.TaskState, d time.Duration) {
				ran.WithLabelValues(queue, string(state)).Observe(d.Seconds())
			},
			TaskClaimed:  func(queue string) { claimed.WithLabelValues(queue).Inc() },
			ReportFailed: func(queue string) { failed.WithLabelValues(queue).Inc() },
			DeadLettered: func(queue string) { dead.WithLabelValues(queue).Inc() },
			SlotsUsed: func(used, of int) {
				slots.WithLabelValues("used").Set(float64(used))
				slots.WithLabelValues("all").Set(float64(of))
			},
		}
	})
}

// LentTasks is Executor for tasks that workers elsewhere run. There are no slots
// of this process then.
func (s *Metrics) LentTasks() executor.Metrics {
	m := s.Executor()
	m.SlotsUsed = nil
	return m
}

// Gateway is what a gateway counts.
func (s *Metrics) Gateway() gateway.Metrics {
	return once(s, "gateway", func(m Meters) gateway.Metrics {
		polls := m.gauge("leat_gateway_polls", "Polls of workers that wait")
		leases := m.gauge("leat_gateway_leases", "Tasks that workers have")
		queues := m.gauge("leat_gateway_queues", "Queues that are read for workers")
		expired := m.counter("leat_gateway_expired_total", "Leases that ended without their worker: silent, overdue or drained", "why")
		refused := m.counter("leat_gateway_refused_total", "Requests that were answered with a problem", "code")
		return gateway.Metrics{
			Polls:   func(change int) { polls.WithLabelValues().Add(float64(change)) },
			Leases:  func(change int) { leases.WithLabelValues().Add(float64(change)) },
			Queues:  func(change int) { queues.WithLabelValues().Add(float64(change)) },
			Expired: func(why string) { expired.WithLabelValues(why).Inc() },
			Refused: func(code string) { refused.WithLabelValues(code).Inc() },
		}
	})
}

// MCP is what is counted of the calls of MCP servers.
func (s *Metrics) MCP() fleet.Metrics {
	return once(s, "mcp", func(m Meters) fleet.Metrics {
		calls := m.seconds("leat_mcp_call_seconds", "How long calls of tools took", "subsystem", "tool", "outcome")
		running := m.gauge("leat_mcp_calls_in_flight", "Calls of tools that are under way", "subsystem", "tool")
		unknown := m.counter("leat_mcp_outcome_unknown_total", "Calls of which nobody knows whether they took effect", "subsystem", "tool")
		over := m.counter("leat_mcp_failovers_total", "Calls that went on to another subsystem", "subsystem", "tool")
		probes := m.seconds("leat_mcp_probe_seconds", "How long MCP servers took to answer a probe", "subsystem")
		failed := m.counter("leat_mcp_probe_failures_total", "Probes that were not answered", "subsystem")
		health := m.gauge("leat_mcp_health", "1 for the health that an MCP server has here", "subsystem", "health")
		return boundedMCP(fleet.Metrics{
			CallEnded: func(subsystem, tool, outcome string, d time.Duration) {
				calls.WithLabelValues(subsystem, tool, outcome).Observe(d.Seconds())
			},
			InFlight:   func(subsystem, tool string, by int) { running.WithLabelValues(subsystem, tool).Add(float64(by)) },
			Unknown:    func(subsystem, tool string) { unknown.WithLabelValues(subsystem, tool).Inc() },
			FailedOver: func(subsystem, tool string) { over.WithLabelValues(subsystem, tool).Inc() },
			Probed: func(subsystem string, ok bool, d time.Duration) {
				if ok {
					probes.WithLabelValues(subsystem).Observe(d.Seconds())
				} else {
					failed.WithLabelValues(subsystem).Inc()
				}
			},
			Health: func(subsystem, is string) {
				for _, h := range events.HealthStatuses() {
					health.DeleteLabelValues(subsystem, string(h))
				}
				if is != "" {
					health.WithLabelValues(subsystem, is).Set(1)
				}
			},
		})
	})
}

// Nodes is what a process knows of the nodes of the cluster.
func (s *Metrics) Nodes() nodes.Metrics {
	return once(s, "nodes", func(m Meters) nodes.Metrics {
		known := m.gauge("leat_nodes", "Workers of the cluster that are not expired", "health")
		expired := m.counter("leat_nodes_expired_total", "Nodes that were silent for too long and given up by this process")
		unread := m.counter("leat_nodes_unreadable_total", "Records on the topic of nodes that are none")
		return nodes.Metrics{
			Known: func(healthy, unhealthy int) {
				known.WithLabelValues("healthy").Set(float64(healthy))
				known.WithLabelValues("unhealthy").Set(float64(unhealthy))
			},
			Expired: func() { expired.WithLabelValues().Inc() },
			Unread:  func() { unread.WithLabelValues().Inc() },
		}
	})
}
