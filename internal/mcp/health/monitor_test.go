package health

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/leat-io/leat/pkg/events"
)

// ready is the monitor of a server that was discovered.
func ready(t *testing.T) *Monitor {
	t.Helper()
	m := NewMonitor(Config{InFlight: 2}, noon)
	m.Connecting(noon)
	m.Connected(noon)
	m.Probed(noon)
	m.Discovered(0, noon)
	wantState(t, m, noon, events.MCPIdle, events.HealthAvailable, events.MCPReasonNone)
	if !m.Routable(noon) {
		t.Fatal("it is not routable")
	}
	return m
}

func wantState(t *testing.T, m *Monitor, now time.Time, l events.MCPLifecycleState, h events.HealthStatus, r events.MCPReason) {
	t.Helper()
	if s := m.State(now); s.Lifecycle != l || s.Health != h || s.Reason != r {
		t.Errorf("got %s, %s, %s (%s), want %s, %s, %s", s.Lifecycle, s.Health, s.Reason, s.Message, l, h, r)
	}
}

func call(t *testing.T, m *Monitor, o Outcome, now time.Time) {
	t.Helper()
	p, a, _ := m.Begin(now)
	if a != Admitted {
		t.Fatalf("a call is not admitted: %d", a)
	}
	m.End(p, o, events.MCPReasonCallsFailed, "500", now)
}

func TestCallsMakeItHealthy(t *testing.T) {
	m := ready(t)
	call(t, m, Success, noon)
	wantState(t, m, noon, events.MCPActive, events.HealthHealthy, events.MCPReasonNone)
	wantState(t, m, noon.Add(time.Minute), events.MCPIdle, events.HealthHealthy, events.MCPReasonNone)
}

func TestBusy(t *testing.T) {
	m := ready(t)
	p, _, _ := m.Begin(noon)
	wantState(t, m, noon, events.MCPActive, events.HealthAvailable, events.MCPReasonNone)
	_, _, _ = m.Begin(noon)
	wantState(t, m, noon, events.MCPBusy, events.HealthAvailable, events.MCPReasonNone)
	if _, a, _ := m.Begin(noon); a != Full {
		t.Errorf("a third of two: %d", a)
	}
	m.End(p, Success, "", "", noon)
	wantState(t, m, noon, events.MCPActive, events.HealthHealthy, events.MCPReasonNone)
}

// One failure is a warning, not an outage.
func TestOneTimeoutIsNoOutage(t *testing.T) {
	m := ready(t)
	call(t, m, Failure, noon)
	wantState(t, m, noon, events.MCPActive, events.HealthWarning, events.MCPReasonCallsFailed)
	if !m.Routable(noon) {
		t.Error("after one failure nothing goes there")
	}
	call(t, m, Success, noon)
	call(t, m, Success, noon)
	wantState(t, m, noon, events.MCPActive, events.HealthHealthy, events.MCPReasonNone)
}

// A server that answers probes and fails every call is not healthy.
func TestProbesDoNotHideCallsThatFail(t *testing.T) {
	m := ready(t)
	for range 3 {
		call(t, m, Failure, noon)
		m.Probed(noon)
	}
	for range 10 {
		m.Probed(noon)
	}
	wantState(t, m, noon, events.MCPDegraded, events.HealthUnhealthy, events.MCPReasonBreakerOpen)
	if m.Routable(noon) {
		t.Error("calls go there")
	}
	later := noon.Add(time.Second)
	wantState(t, m, later, events.MCPDegraded, events.HealthDegraded, events.MCPReasonTrial)
	p, a, _ := m.Begin(later)
	if a != Admitted || !p.Trial || m.Routable(later) {
		t.Fatalf("the trial: %d, %+v", a, p)
	}
	if _, a, again := m.Begin(later); a != Broken || !again.After(later) {
		t.Errorf("a second trial: %d, again %s", a, again)
	}
	m.End(p, Success, "", "", later)
	m.Probed(later)
	wantState(t, m, later, events.MCPActive, events.HealthHealthy, events.MCPReasonNone)
}

// It is used again when it answers again, also when it was never there before.
func TestEarlyFailureHeals(t *testing.T) {
	m := NewMonitor(Config{}, noon)
	m.Connecting(noon)
	m.Lost(noon)
	m.ProbeFailed(events.MCPReasonUnreachable, "connection refused", noon)
	wantState(t, m, noon, events.MCPDegraded, events.HealthUnreachable, events.MCPReasonUnreachable)
	m.Connecting(noon)
	m.Connected(noon)
	m.Discovered(1, noon)
	m.Probed(noon)
	wantState(t, m, noon, events.MCPDegraded, events.HealthDegraded, events.MCPReasonRecovering)
	m.Probed(noon)
	wantState(t, m, noon, events.MCPIdle, events.HealthAvailable, events.MCPReasonToolsRefused)
}

func TestUnauthenticatedIsNotUnhealthy(t *testing.T) {
	m := ready(t)
	for range 10 {
		m.Unauthenticated("401", noon)
	}
	wantState(t, m, noon, events.MCPDegraded, events.HealthUnavailable, events.MCPReasonUnauthenticated)
	if s := m.State(noon); s.Breaker != events.BreakerClosed || m.Routable(noon) {
		t.Errorf("%+v", s)
	}
	m.Probed(noon) // with a new key
	wantState(t, m, noon, events.MCPIdle, events.HealthAvailable, events.MCPReasonNone)
}

func TestAnswerOfAServerThatWasAwayBringsTheTrialForward(t *testing.T) {
	m := ready(t)
	for range 3 {
		p, _, _ := m.Begin(noon)
		m.End(p, Failure, events.MCPReasonUnreachable, "refused", noon)
	}
	wantState(t, m, noon, events.MCPDegraded, events.HealthUnreachable, events.MCPReasonUnreachable)
	m.Probed(noon)
	if !m.Routable(noon) {
		t.Errorf("it answers, and nothing goes there: %+v", m.State(noon))
	}
}

func TestMisconfigured(t *testing.T) {
	m := ready(t)
	m.Misconfigured(events.MCPReasonKeyMissing, "no variable X", noon)
	wantState(t, m, noon, events.MCPDegraded, events.HealthError, events.MCPReasonKeyMissing)
	m.Probed(noon)
	wantState(t, m, noon, events.MCPDegraded, events.HealthError, events.MCPReasonKeyMissing)
	m.Connecting(noon)
	m.Connected(noon)
	m.Probed(noon)
	wantState(t, m, noon, events.MCPIdle, events.HealthAvailable, events.MCPReasonNone)
}

func TestStop(t *testing.T) {
	m := ready(t)
	p, _, _ := m.Begin(noon)
	m.Stop(events.MCPReasonStopping, noon)
	wantState(t, m, noon, events.MCPShuttingDown, events.HealthDisposing, events.MCPReasonStopping)
	if _, a, _ := m.Begin(noon); a != Closing {
		t.Errorf("a call begins: %d", a)
	}
	m.End(p, Success, "", "", noon)
	m.Stopped(noon)
	wantState(t, m, noon, events.MCPTerminated, events.HealthDisposing, events.MCPReasonStopping)
	if m.State(noon).Connection != events.MCPDisconnected {
		t.Error("it is still connected")
	}
}

// Whatever happens in whatever order, each change is a legal move, a breaker that
// is open takes no calls, and the reason of what is not well is not none.
func TestOnlyLegalMoves(t *testing.T) {
	reasons := []events.MCPReason{events.MCPReasonUnreachable, events.MCPReasonProbeFailed, events.MCPReasonCallsFailed, events.MCPReasonProtocol}
	rapid.Check(t, func(t *rapid.T) {
		now := noon
		m := NewMonitor(Config{InFlight: rapid.IntRange(1, 3).Draw(t, "in flight")}, now)
		was := m.State(now)
		var held []Pass
		steps := map[string]func(){
			"connecting":      func() { m.Connecting(now) },
			"connected":       func() { m.Connected(now) },
			"disconnected":    func() { m.Disconnected(now) },
			"lost":            func() { m.Lost(now) },
			"discovered":      func() { m.Discovered(rapid.IntRange(0, 1).Draw(t, "refused"), now) },
			"misconfigured":   func() { m.Misconfigured(events.MCPReasonNoCommand, "", now) },
			"unauthenticated": func() { m.Unauthenticated("", now) },
			"probed":          func() { m.Probed(now) },
			"probe failed":    func() { m.ProbeFailed(rapid.SampledFrom(reasons).Draw(t, "reason"), "", now) },
			"begin": func() {
				open := m.State(now).Breaker == events.BreakerOpen
				if p, a, _ := m.Begin(now); a == Admitted {
					held = append(held, p)
					if open {
						t.Fatal("an open breaker lets a call through")
					}
				}
			},
			"end": func() {
				if len(held) > 0 {
					m.End(held[0], Outcome(rapid.IntRange(0, 2).Draw(t, "outcome")), rapid.SampledFrom(reasons).Draw(t, "reason"), "", now)
					held = held[1:]
				}
			},
			"time": func() { now = now.Add(time.Duration(rapid.IntRange(0, 90_000).Draw(t, "ms")) * time.Millisecond) },
			"stop": func() {
				if rapid.IntRange(0, 9).Draw(t, "really") == 0 {
					m.Stop(events.MCPReasonStopping, now)
				}
			},
			"stopped": func() {
				if rapid.IntRange(0, 9).Draw(t, "really") == 0 {
					m.Stop(events.MCPReasonStopping, now)
					m.Stopped(now)
				}
			},
		}
		names := []string{"connecting", "connected", "disconnected", "lost", "discovered", "misconfigured", "unauthenticated", "probed", "probe failed", "begin", "begin", "end", "end", "time", "stop", "stopped"}
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			step := rapid.SampledFrom(names).Draw(t, "step")
			before := m.state
			steps[step]()
			is := m.State(now)
			if !reaches(before, is) {
				t.Fatalf("%s: from %+v to %+v", step, before, is)
			}
			well := is.Health == events.HealthHealthy || is.Health == events.HealthAvailable
			if !well && is.Reason == events.MCPReasonNone {
				t.Fatalf("%s: %+v has no reason", step, is)
			}
			if is.Since.Before(was.Since) {
				t.Fatalf("%s: since %s, was %s", step, is.Since, was.Since)
			}
			was = is
		}
	})
}

// reaches follows at most two moves, as one finding may make: unknown becomes
// initializing, and what the finding says of it.
func reaches(from, to State) bool {
	two := func(legal func(int) bool, n int) bool {
		for i := range n {
			if legal(i) {
				return true
			}
		}
		return false
	}
	l, c, h := events.MCPLifecycleStates(), events.MCPConnectionStatuses(), events.HealthStatuses()
	return two(func(i int) bool { return LegalLifecycle(from.Lifecycle, l[i]) && LegalLifecycle(l[i], to.Lifecycle) }, len(l)) &&
		two(func(i int) bool {
			return LegalConnection(from.Connection, c[i]) && LegalConnection(c[i], to.Connection)
		}, len(c)) &&
		two(func(i int) bool { return LegalHealth(from.Health, h[i]) && LegalHealth(h[i], to.Health) }, len(h))
}
