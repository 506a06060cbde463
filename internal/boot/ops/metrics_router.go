package ops

import (
	"time"

	"github.com/leat-io/leat/internal/router"
	"github.com/leat-io/leat/pkg/events"
)

// Router is what a router counts.
func (s *Metrics) Router() router.Metrics {
	return once(s, "router", func(m Meters) router.Metrics {
		committed := m.counter("leat_router_decided_total", "Commands and timers decided and committed", "kind")
		records := m.counter("leat_router_records_total", "Records written in committed transactions")
		took := m.seconds("leat_router_commit_seconds", "Time of one transaction, from the batch to its end")
		aborted := m.counter("leat_router_aborts_total", "Transactions that were aborted", "reason")
		outcomes := m.counter("leat_router_outcomes_total", "Commands that led to no event", "status")
		forged := m.counter("leat_router_forged_reports_total", "Claims, heartbeats and results without the token of their attempt")
		dead := m.counter("leat_router_dead_letters_total", "Records that could not be decided")
		incidents := m.counter("leat_router_incidents_total", "Instances that were parked and wait for an operator", "code")
		rested := m.counter("leat_router_rest_seconds_total", "Time for which large instances rested so that others go first")
		moved := m.counter("leat_router_moved_total", "Commands sent to the partition of their instance")
		late := m.seconds("leat_router_timer_late_seconds", "How long after its due time a timer fired")
		restored := m.counter("leat_router_restored_total", "Records read to restore partitions")
		restore := m.seconds("leat_router_restore_seconds", "Time to restore a partition")
		disagreed := m.counter("leat_router_checkpoint_disagreements_total", "Partitions whose group offset and checkpoint differ: an alarm")
		mended := m.counter("leat_router_mended_total", "Transactions that kafka forgot to end and the router ended: an alarm")
		return router.Metrics{
			Shard: shardMetrics(m, "leat_router"),
			Nodes: s.Nodes(),
			Committed: func(commands, timers, n int, d time.Duration) {
				committed.WithLabelValues("command").Add(float64(commands))
				committed.WithLabelValues("timer").Add(float64(timers))
				records.WithLabelValues().Add(float64(n))
				took.WithLabelValues().Observe(d.Seconds())
			},
			Aborted: func(stale bool) {
				reason := "error"
				if stale {
					reason = "stale"
				}
				aborted.WithLabelValues(reason).Inc()
			},
			Outcome:      func(status events.OutcomeStatus) { outcomes.WithLabelValues(string(status)).Inc() },
			Forged:       func() { forged.WithLabelValues().Inc() },
			DeadLettered: func() { dead.WithLabelValues().Inc() },
			Incident:     func(code string) { incidents.WithLabelValues(code).Inc() },
			Rested:       func(d time.Duration) { rested.WithLabelValues().Add(d.Seconds()) },
			Moved:        func() { moved.WithLabelValues().Inc() },
			TimerFired:   func(d time.Duration) { late.WithLabelValues().Observe(d.Seconds()) },
			Restored: func(n int, d time.Duration) {
				restored.WithLabelValues().Add(float64(n))
				restore.WithLabelValues().Observe(d.Seconds())
			},
			Mended:    func() { mended.WithLabelValues().Inc() },
			Disagreed: func() { disagreed.WithLabelValues().Inc() },
		}
	})
}
