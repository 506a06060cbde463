package router

import (
	"time"

	"github.com/leat-io/leat/internal/nodes"
	"github.com/leat-io/leat/internal/shard"
	"github.com/leat-io/leat/pkg/events"
)

// Metrics observes a router. Nil funcs are skipped; all may be called at once.
type Metrics struct {
	Shard shard.Metrics
	Nodes nodes.Metrics

	Committed    func(commands, timers, records int, took time.Duration) // one transaction
	Aborted      func(stale bool)                                        // stale: the group had moved on
	Outcome      func(events.OutcomeStatus)
	Forged       func() // a report did not carry the token of its attempt
	DeadLettered func()
	Incident     func(code string)        // an instance was parked
	Rested       func(time.Duration)      // a large instance lets others go first
	Moved        func()                   // a command was sent to its instance's partition
	TimerFired   func(late time.Duration) // after its due time
	Restored     func(records int, took time.Duration)
	Mended       func() // a transaction that the broker forgot to end was ended: an alarm
	Disagreed    func() // the group's offset and the checkpoint differ: an alarm
}

func (m Metrics) committed(commands, timers, records int, took time.Duration) {
	if m.Committed != nil {
		m.Committed(commands, timers, records, took)
	}
}

func (m Metrics) rested(d time.Duration) {
	if m.Rested != nil {
		m.Rested(d)
	}
}

func (m Metrics) aborted(stale bool) {
	if m.Aborted != nil {
		m.Aborted(stale)
	}
}

func (m Metrics) outcome(status events.OutcomeStatus) {
	if m.Outcome != nil {
		m.Outcome(status)
	}
}

func (m Metrics) forged() {
	if m.Forged != nil {
		m.Forged()
	}
}

func (m Metrics) deadLettered() {
	if m.DeadLettered != nil {
		m.DeadLettered()
	}
}

func (m Metrics) incident(before, after *events.Snapshot) {
	if m.Incident != nil && after.Incident != nil && (before == nil || before.Incident == nil) {
		m.Incident(after.Incident.Code)
	}
}

func (m Metrics) moved() {
	if m.Moved != nil {
		m.Moved()
	}
}

func (m Metrics) timerFired(late time.Duration) {
	if m.TimerFired != nil {
		m.TimerFired(late)
	}
}

func (m Metrics) restored(records int, took time.Duration) {
	if m.Restored != nil {
		m.Restored(records, took)
	}
}

func (m Metrics) disagreed() {
	if m.Disagreed != nil {
		m.Disagreed()
	}
}

func (m Metrics) mended() {
	if m.Mended != nil {
		m.Mended()
	}
}
