package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/leat-io/leat/internal/mcp/health"
	"github.com/leat-io/leat/internal/mcp/wire"
	"github.com/leat-io/leat/pkg/events"
)

// connect makes a connection, nil when it cannot be made.
func (s *server) connect(ctx context.Context) *wire.Conn {
	s.mu.Lock()
	record := s.record
	s.monitor.Connecting(time.Now())
	s.mu.Unlock()
	dialing, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	conn, err := wire.Open(dialing, s.target(&record), s.options(&record))
	if err != nil {
		s.findings(ctx, err)
		return nil
	}
	s.mu.Lock()
	s.conn = conn
	s.monitor.Connected(time.Now())
	s.mu.Unlock()
	return conn
}

func (s *server) target(record *events.MCPSubsystem) wire.Target {
	t := wire.Target{ID: record.SubsystemID, URL: record.HTTP}
	if record.Stdio != "" {
		command := s.fleet.config.Commands[record.Stdio]
		t.Command, t.Env = command.Argv, command.Env
	}
	return t
}

func (s *server) options(record *events.MCPSubsystem) wire.Options {
	o := s.fleet.config.Wire
	o.Limits = limitsOf(record)
	o.Changed = func() {
		s.mu.Lock()
		s.relist = true
		s.mu.Unlock()
		tell(s.wake)
	}
	if record.HTTP != "" {
		o.Transport = s.fleet.config.Transport
	}
	if record.Key != nil {
		key := *record.Key
		o.Authorizer = &wire.Key{Header: key.Header, Read: func() (string, error) { return s.fleet.config.ReadKey(&key) }}
	}
	return o
}

// limitsOf is what every call of a server keeps.
func limitsOf(record *events.MCPSubsystem) wire.Limits {
	l := record.Limits.OrDefaults()
	return wire.Limits{Idle: l.Idle, Call: l.Call, ResultBytes: int(l.ResultBytes)}
}

// list takes the tools of the server in.
func (s *server) list(ctx context.Context, conn *wire.Conn) (ok bool, expires time.Duration) {
	began := time.Now()
	listing, cancel := context.WithTimeout(ctx, listTime)
	defer cancel()
	found, err := conn.Tools(listing)
	if err != nil {
		s.findings(ctx, err)
		return false, 0
	}
	said, err := conn.Server(listing)
	if err != nil {
		s.findings(ctx, err)
		return false, 0
	}
	s.take(ctx, found, said)
	s.answered(began)
	if found.TTL == 0 {
		return true, s.fleet.config.Refresh
	}
	return true, min(max(found.TTL, leastTTL), mostTTL)
}

// take makes offers of a list.
func (s *server) take(ctx context.Context, found *wire.Listing, said *wire.Server) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := events.Instant(time.Now())
	offers, refused := make(map[string]*tool), []events.MCPRefusal{}
	for _, def := range found.Tools {
		record, err := s.describe(def, now)
		if err == nil && len(offers) >= events.MaxMCPTools {
			err = fmt.Errorf("the server has more than %d tools", events.MaxMCPTools)
		}
		if err != nil {
			refused = append(refused, events.MCPRefusal{Name: def.Name, Message: err.Error()})
			s.fleet.config.Logger.LogAttrs(ctx, slog.LevelWarn, "tool refused", slog.String("subsystem", s.record.SubsystemID),
				slog.String("tool", events.Show(def.Name)), slog.String("reason", err.Error()))
			continue
		}
		offer := &tool{def: def, record: record, breaker: health.NewBreaker(s.fleet.config.Health.Breaker)}
		if before := s.offers[def.Name]; before != nil && before.record.Pin == record.Pin {
			offer.breaker, offer.record = before.breaker, before.record
		}
		offers[def.Name] = offer
	}
	for _, r := range found.Refused {
		refused = append(refused, events.MCPRefusal{Name: r.Name, Message: r.Why})
	}
	for i := range refused {
		refused[i].Name, refused[i].Message = events.Cut(events.Show(refused[i].Name), events.MaxNameLength), events.Cut(events.Show(refused[i].Message), events.MaxMessageLength)
	}
	slices.SortFunc(refused, func(a, b events.MCPRefusal) int { return cmp.Compare(a.Name, b.Name) })
	s.offers, s.refused, s.server = offers, refused[:min(len(refused), events.MaxMCPRefused)], *said
	s.listed = nil
	for name, t := range offers {
		s.listed = append(s.listed, events.MCPOffer{Name: name, Pin: t.record.Pin})
	}
	slices.SortFunc(s.listed, func(a, b events.MCPOffer) int { return cmp.Compare(a.Name, b.Name) })
	s.monitor.Discovered(len(refused), time.Now())
}

// describe is the record of a tool.
func (s *server) describe(def *wire.Tool, now time.Time) (events.MCPTool, error) {
	t := events.MCPTool{
		SubsystemID: s.record.SubsystemID, Name: def.Name, Description: def.Description, InputSchema: def.Input, OutputSchema: def.Output,
		Annotations: def.Annotations, SeenAt: now, SeenBy: s.fleet.config.NodeID,
	}
	var err error
	if t.Pin, err = t.ComputePin(); err == nil {
		err = t.Validate()
	}
	return t, err
}

// probe asks whether the server is there, unless a call showed it just now.
func (s *server) probe(ctx context.Context, conn *wire.Conn) (ok bool) {
	s.mu.Lock()
	state := s.monitor.State(time.Now())
	fresh := time.Since(s.used) < s.fleet.config.Probe && state.Health == events.HealthHealthy
	s.mu.Unlock()
	if fresh {
		return true
	}
	began := time.Now()
	probing, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	if err := conn.Ping(probing); err != nil {
		s.findings(ctx, err)
		return false
	}
	s.answered(began)
	return true
}

// answered notes that the server answered what was no call.
func (s *server) answered(began time.Time) {
	now := time.Now()
	s.mu.Lock()
	s.took, s.checked = now.Sub(began), now
	s.monitor.Connected(now)
	s.monitor.Probed(now)
	id := s.record.SubsystemID
	s.mu.Unlock()
	s.fleet.config.Metrics.Probed(id, true, now.Sub(began))
}

// findings notes why the server did not answer what was no call.
func (s *server) findings(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return // it was told to leave
	}
	now := time.Now()
	reason, message := reasonOf(err, events.MCPReasonProbeFailed)
	s.mu.Lock()
	s.checked = now
	if reason == events.MCPReasonUnauthenticated {
		s.monitor.Unauthenticated(message, now)
	} else {
		if reason == events.MCPReasonUnreachable {
			s.monitor.Lost(now) // the next look, or call, connects again
		}
		s.monitor.ProbeFailed(reason, message, now)
	}
	id := s.record.SubsystemID
	s.mu.Unlock()
	s.fleet.config.Metrics.Probed(id, false, 0)
	s.fleet.config.Logger.LogAttrs(ctx, slog.LevelDebug, "mcp server does not answer", slog.String("subsystem", id), slog.String("reason", string(reason)), slog.String("message", message))
}

// reasonOf is why something failed; other is for what says nothing of its own.
func reasonOf(err error, other events.MCPReason) (events.MCPReason, string) {
	failure, ok := errors.AsType[*wire.Failure](err)
	if !ok {
		return other, err.Error()
	}
	switch {
	case failure.Code == wire.CodeUnauthorized || failure.Status == http.StatusUnauthorized || failure.Status == http.StatusForbidden:
		return events.MCPReasonUnauthenticated, failure.Message
	case failure.Code == wire.CodeProtocol || failure.Code == wire.CodeInvalid || failure.Code == wire.CodeTooLarge:
		return events.MCPReasonProtocol, failure.Message
	case failure.Code == wire.CodeBusy:
		return events.MCPReasonBusy, failure.Message
	case failure.Code == wire.CodeUnavailable && failure.Status == 0:
		return events.MCPReasonUnreachable, failure.Message
	}
	return other, failure.Message
}
