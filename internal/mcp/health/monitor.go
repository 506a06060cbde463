package health

import (
	"cmp"
	"time"

	"github.com/leat-io/leat/pkg/events"
)

// Config says when a monitor changes its mind. The zero value is a good one.
type Config struct {
	Failures  int           // findings in a row, that make a server unhealthy; at least 2, default 3
	Successes int           // findings in a row, that make it healthy again; default 2
	IdleAfter time.Duration // without a call; default 1 min
	InFlight  int           // calls at once; as many are busy
	Breaker   BreakerConfig
}

// State is what a monitor says of a server.
type State struct {
	Lifecycle  events.MCPLifecycleState
	Connection events.MCPConnectionStatus
	Health     events.HealthStatus
	Breaker    events.CircuitBreakerState
	Reason     events.MCPReason
	Message    string
	Since      time.Time // of the newest change of Lifecycle, Connection, Health, Breaker or Reason
}

// Monitor keeps the state of one server. It is made by [NewMonitor].
type Monitor struct {
	config     Config
	breaker    *Breaker
	state      State
	discovered bool
	called     bool // a call has succeeded since the server was seen first
	refused    int  // tools
	good, bad  int  // findings in a row
	inFlight   int
	used       time.Time // when a call began or ended last
	stopping   bool
	ended      bool
}

// NewMonitor makes the monitor of a server of which nothing is known.
func NewMonitor(c Config, now time.Time) *Monitor {
	c.Failures, c.Successes = max(cmp.Or(c.Failures, 3), 2), cmp.Or(c.Successes, 2)
	c.IdleAfter, c.InFlight = cmp.Or(c.IdleAfter, time.Minute), max(c.InFlight, 1)
	// As many calls open the breaker as make the server unhealthy: otherwise probes,
	// which show that it is there and no more, would make it healthy again.
	c.Breaker.Failures = cmp.Or(c.Breaker.Failures, c.Failures)
	return &Monitor{config: c, breaker: NewBreaker(c.Breaker), state: State{
		Lifecycle: events.MCPInitializing, Connection: events.MCPDisconnected, Health: events.HealthUnknown, Breaker: events.BreakerClosed,
		Reason: events.MCPReasonStarting, Since: now,
	}}
}

// State is how the server is now.
func (m *Monitor) State(now time.Time) State {
	m.settle(now)
	return m.state
}

// InFlight is how many calls are under way.
func (m *Monitor) InFlight() int { return m.inFlight }

// Routable reports whether a call may go there now.
func (m *Monitor) Routable(now time.Time) bool {
	m.settle(now)
	return m.discovered && m.state.Health.Routable() && m.breaker.Ready(now) && !m.stopping
}

// SetInFlight changes how many calls at once are busy.
func (m *Monitor) SetInFlight(n int, now time.Time) {
	m.config.InFlight = max(n, 1)
	m.settle(now)
}

// Connecting says that a connection is being made.
func (m *Monitor) Connecting(now time.Time) {
	if m.state.Connection == events.MCPConnected {
		m.connection(events.MCPDisconnected, now)
	}
	m.connection(events.MCPConnecting, now)
	if m.state.Health == events.HealthUnknown || m.state.Health == events.HealthError {
		m.move(events.HealthInitializing, events.MCPReasonStarting, "", now)
	}
	m.settle(now)
}

// Connected says that the connection is there.
func (m *Monitor) Connected(now time.Time) {
	if m.state.Connection != events.MCPConnected {
		m.connection(events.MCPConnecting, now)
	}
	m.connection(events.MCPConnected, now)
	m.settle(now)
}

// Disconnected says that the connection is gone, for no fault.
func (m *Monitor) Disconnected(now time.Time) {
	m.connection(events.MCPDisconnected, now)
	m.settle(now)
}

// Lost says that the connection broke, or could not be made.
func (m *Monitor) Lost(now time.Time) {
	if m.state.Connection == events.MCPDisconnected {
		return
	}
	m.connection(events.MCPConnError, now)
	m.settle(now)
}

// Discovered says that the tools of the server are known, and how many of them
// cannot be used.
func (m *Monitor) Discovered(refused int, now time.Time) {
	m.discovered, m.refused = true, refused
	if h := m.state.Health; h == events.HealthAvailable || h == events.HealthHealthy {
		m.move(h, events.MCPReasonNone, "", now)
	}
	m.settle(now)
}

// Misconfigured says that the executor cannot use the server as it is registered.
func (m *Monitor) Misconfigured(reason events.MCPReason, message string, now time.Time) {
	m.good, m.bad = 0, 0
	m.move(events.HealthError, reason, message, now)
	m.settle(now)
}

// Unauthenticated says that the server refuses the key. That is no failure of the
// server, and opens no breaker.
func (m *Monitor) Unauthenticated(message string, now time.Time) {
	m.good, m.bad = 0, 0
	m.move(events.HealthUnavailable, events.MCPReasonUnauthenticated, message, now)
	m.settle(now)
}

// Probed says that a probe was answered.
func (m *Monitor) Probed(now time.Time) {
	if m.state.Reason == events.MCPReasonUnreachable || m.state.Health == events.HealthUnreachable {
		m.breaker.Reachable(now)
	}
	if m.breaker.State(now) != events.BreakerOpen { // else calls fail, whatever a probe says
		m.worked(now)
	}
	m.settle(now)
}

// ProbeFailed says that a probe was not answered, or not well.
func (m *Monitor) ProbeFailed(reason events.MCPReason, message string, now time.Time) {
	m.failed(reason, message, now)
	m.settle(now)
}

// Answer is what a monitor says to a call that wants to begin.
type Answer int

// The answers.
const (
	Admitted Answer = iota
	Full            // as many calls are under way as may be
	Broken          // the breaker is open, or its trial is under way
	Closing         // nothing begins any more
)

// Begin admits a call, which has then to be ended, or says why not and, of a
// Broken server, when to ask again.
func (m *Monitor) Begin(now time.Time) (pass Pass, a Answer, again time.Time) {
	switch {
	case m.stopping:
		return Pass{}, Closing, now
	case m.inFlight >= m.config.InFlight:
		return Pass{}, Full, now
	}
	pass, ok, again := m.breaker.Allow(now)
	if !ok {
		return Pass{}, Broken, again
	}
	m.inFlight, m.used = m.inFlight+1, now
	m.settle(now)
	return pass, Admitted, again
}

// End says how a call ended. reason and message are those of a Failure.
func (m *Monitor) End(p Pass, o Outcome, reason events.MCPReason, message string, now time.Time) {
	m.inFlight, m.used = max(m.inFlight-1, 0), now
	m.breaker.Report(p, o, now)
	switch o {
	case Success:
		m.called = true
		m.worked(now)
	case Failure:
		m.failed(reason, message, now)
	case Neutral:
	}
	m.settle(now)
}

// Stop says that nothing new begins; Stopped, that all has ended.
func (m *Monitor) Stop(reason events.MCPReason, now time.Time) {
	m.stopping = true
	m.move(events.HealthDisposing, reason, "", now)
	m.settle(now)
}

// Stopped ends the monitor: nothing changes any more.
func (m *Monitor) Stopped(now time.Time) {
	m.Stop(m.state.Reason, now)
	m.connection(events.MCPDisconnected, now)
	m.ended = true
	m.settle(now)
}

// worked counts what went well.
func (m *Monitor) worked(now time.Time) {
	m.good, m.bad = m.good+1, 0
	well := events.HealthAvailable
	if m.called {
		well = events.HealthHealthy
	}
	switch m.state.Health {
	case events.HealthUnknown:
		m.move(events.HealthInitializing, events.MCPReasonStarting, "", now)
		m.move(well, events.MCPReasonNone, "", now)
	case events.HealthInitializing, events.HealthAvailable, events.HealthUnavailable:
		m.move(well, events.MCPReasonNone, "", now)
	case events.HealthUnhealthy, events.HealthUnreachable, events.HealthCritical:
		m.good = 1
		m.move(events.HealthDegraded, events.MCPReasonRecovering, "", now)
	case events.HealthWarning, events.HealthDegraded:
		if m.good >= m.config.Successes && m.breaker.State(now) == events.BreakerClosed {
			m.move(well, events.MCPReasonNone, "", now)
		}
	case events.HealthHealthy, events.HealthError, events.HealthDisposing:
	}
}

// failed counts what went wrong.
func (m *Monitor) failed(reason events.MCPReason, message string, now time.Time) {
	m.good, m.bad = 0, m.bad+1
	worst := fallen(reason)
	switch m.state.Health {
	case events.HealthUnknown:
		m.move(events.HealthInitializing, events.MCPReasonStarting, "", now)
		m.move(worst, reason, message, now)
	case events.HealthInitializing, events.HealthUnhealthy, events.HealthUnreachable, events.HealthCritical:
		m.move(worst, reason, message, now)
	case events.HealthAvailable, events.HealthHealthy, events.HealthWarning:
		if m.bad >= m.config.Failures {
			m.move(worst, reason, message, now)
		} else {
			m.move(events.HealthWarning, reason, message, now)
		}
	case events.HealthDegraded: // it was about to recover, and did not
		m.move(worst, reason, message, now)
	case events.HealthUnavailable:
		if reason == events.MCPReasonUnreachable {
			m.move(worst, reason, message, now)
		}
	case events.HealthError, events.HealthDisposing:
	}
}

// fallen is the health of a server that fails for a reason.
func fallen(reason events.MCPReason) events.HealthStatus {
	switch reason {
	case events.MCPReasonUnreachable:
		return events.HealthUnreachable
	case events.MCPReasonProtocol:
		return events.HealthCritical
	default:
		return events.HealthUnhealthy
	}
}

// settle lets follow what follows from the rest: the breaker's state, and with it
// the health, and the lifecycle.
func (m *Monitor) settle(now time.Time) {
	if b := m.breaker.State(now); b != m.state.Breaker {
		m.state.Breaker, m.state.Since = b, now
		m.broke(b, now)
	}
	if to := m.lifecycle(now); to != m.state.Lifecycle && LegalLifecycle(m.state.Lifecycle, to) {
		m.state.Lifecycle, m.state.Since = to, now
	}
}

func (m *Monitor) broke(b events.CircuitBreakerState, now time.Time) {
	switch {
	case b == events.BreakerOpen && m.state.Health.Routable():
		m.move(events.HealthUnhealthy, events.MCPReasonBreakerOpen, m.state.Message, now)
	case b == events.BreakerHalfOpen && (m.state.Health == events.HealthUnhealthy || m.state.Health == events.HealthUnreachable || m.state.Health == events.HealthCritical):
		m.move(events.HealthDegraded, events.MCPReasonTrial, m.state.Message, now)
	}
}

func (m *Monitor) lifecycle(now time.Time) events.MCPLifecycleState {
	is, well := m.state.Lifecycle, m.state.Health.Routable() && m.state.Health != events.HealthDegraded && m.state.Breaker == events.BreakerClosed
	switch {
	case m.ended && is == events.MCPShuttingDown:
		return events.MCPTerminated
	case m.stopping:
		return events.MCPShuttingDown
	case m.state.Health == events.HealthUnknown || m.state.Health == events.HealthInitializing:
		return is
	case !well:
		return events.MCPDegraded
	case !m.discovered:
		return is
	}
	return m.use(now)
}

// use says how much a server that is well is used.
func (m *Monitor) use(now time.Time) events.MCPLifecycleState {
	switch recent := !m.used.IsZero() && now.Sub(m.used) < m.config.IdleAfter; {
	case m.state.Lifecycle == events.MCPInitializing:
		return events.MCPIdle
	case m.inFlight >= m.config.InFlight:
		return events.MCPBusy
	case m.inFlight > 0 || recent || m.state.Lifecycle == events.MCPBusy: // from busy it is active first
		return events.MCPActive
	}
	return events.MCPIdle
}

func (m *Monitor) connection(to events.MCPConnectionStatus, now time.Time) {
	if to != m.state.Connection && LegalConnection(m.state.Connection, to) && !m.ended {
		m.state.Connection, m.state.Since = to, now
	}
}

// move changes the health, if that is a legal move, and says why it is so.
func (m *Monitor) move(to events.HealthStatus, reason events.MCPReason, message string, now time.Time) {
	if m.ended || !LegalHealth(m.state.Health, to) {
		return
	}
	if reason == events.MCPReasonNone && m.refused > 0 {
		reason = events.MCPReasonToolsRefused
	}
	if to != m.state.Health || reason != m.state.Reason {
		m.state.Since = now
	}
	m.state.Health, m.state.Reason, m.state.Message = to, reason, events.Cut(message, events.MaxMessageLength)
}
