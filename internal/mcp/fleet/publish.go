package fleet

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/leat-io/leat/internal/mcp/catalog"
	"github.com/leat-io/leat/internal/mcp/directory"
	"github.com/leat-io/leat/pkg/events"
)

// How news goes out: at once after a quiet time, then at most so often. That a
// server is used, or not, is no news in a hurry.
const (
	reportLeast = time.Second
	reportUsed  = 10 * time.Second
	sweepEvery  = time.Minute
)

// publish says how the servers are, when that changed, until ctx ends.
func (f *Fleet) publish(ctx context.Context) {
	look := time.NewTicker(reportUsed)
	defer look.Stop()
	var swept time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.dirty:
		case <-look.C:
		}
		if f.directory.Ready() != nil {
			continue
		}
		report := f.report(time.Now())
		if time.Since(swept) > sweepEvery {
			swept = time.Now()
			f.sweep(&report)
		}
		if err := f.publisher.Publish(ctx, report); err != nil && ctx.Err() == nil {
			f.config.Logger.LogAttrs(ctx, slog.LevelWarn, "health of mcp servers could not be written", slog.Any("error", err))
			f.unsaid(&report)
		}
		pause(ctx, reportLeast)
	}
}

// pause waits, and reports whether ctx goes on.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

// report is what is new since the last one.
func (f *Fleet) report(now time.Time) (r directory.Report) {
	f.mu.Lock()
	servers := maps.Clone(f.servers)
	for s := range f.leaving { // it is seen to shut down
		if id := s.id(); servers[id] == nil {
			servers[id] = s
		}
	}
	ended := f.ended
	f.mu.Unlock()
	if ended {
		return r
	}
	for _, id := range slices.Sorted(maps.Keys(servers)) {
		h, tools, fresh := servers[id].report(f.config.NodeID, now)
		f.directory.View(func(c *catalog.Catalog) {
			for _, t := range tools {
				if _, known := c.Tool(id, t.Pin); !known {
					r.Tools = append(r.Tools, t)
				}
			}
		})
		if fresh {
			r.Health = append(r.Health, h)
		}
	}
	r.Gone = f.said(servers)
	return r
}

// report is the health record of the server, all that it lists, and whether the
// record is news.
func (s *server) report(node string, now time.Time) (h events.MCPHealth, tools []events.MCPTool, fresh bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := s.monitor.State(now)
	h = events.MCPHealth{
		SubsystemID: s.record.SubsystemID, NodeID: node, Lifecycle: state.Lifecycle, Connection: state.Connection, Health: state.Health,
		Breaker: state.Breaker, Reason: state.Reason, Message: state.Message, Since: events.Instant(state.Since),
		Protocol: events.Cut(events.Show(s.server.Revision), events.MaxMCPText), ServerName: events.Cut(events.Show(s.server.Name), events.MaxMCPText),
		ServerVersion: events.Cut(events.Show(s.server.Version), events.MaxMCPText), KeyHash: s.keyHash, Tools: s.listed, Refused: s.refused,
		ResponseTime: s.took.Truncate(time.Millisecond), CheckedAt: events.Instant(s.checked), UpdatedAt: events.Instant(now),
		ValidUntil: events.Instant(now.Add(events.MCPHealthValid)),
	}
	for _, t := range s.offers {
		tools = append(tools, t.record)
	}
	if fresh = s.isNews(&h, now); fresh {
		s.fleet.config.Metrics.Health(h.SubsystemID, string(h.Health))
		s.reported = h
	}
	return h, tools, fresh
}

// isNews compares a record with the last one. The lock is held.
func (s *server) isNews(h *events.MCPHealth, now time.Time) bool {
	was := &s.reported
	age := now.Sub(was.UpdatedAt)
	return was.UpdatedAt.IsZero() || age >= events.MCPHealthEvery ||
		was.Connection != h.Connection || was.Health != h.Health || was.Breaker != h.Breaker || was.Reason != h.Reason || was.Message != h.Message ||
		was.KeyHash != h.KeyHash || was.Protocol != h.Protocol || !slices.Equal(was.Tools, h.Tools) || !slices.Equal(was.Refused, h.Refused) ||
		was.Lifecycle != h.Lifecycle && (age >= reportUsed || !inUse(was.Lifecycle) || !inUse(h.Lifecycle))
}

// inUse are the lifecycles that change with every call.
func inUse(l events.MCPLifecycleState) bool {
	return l == events.MCPActive || l == events.MCPIdle || l == events.MCPBusy
}

// unsaid notes that a report was not written: the next one says it again.
func (f *Fleet) unsaid(r *directory.Report) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, h := range r.Health {
		if s := f.servers[h.SubsystemID]; s != nil {
			s.mu.Lock()
			s.reported = events.MCPHealth{}
			s.mu.Unlock()
		}
	}
	tell(f.dirty)
}

// sweep takes away what nodes that went without a word left behind, and
// descriptions of tools that nobody lists any more.
func (f *Fleet) sweep(r *directory.Report) {
	now := time.Now()
	f.directory.View(func(c *catalog.Catalog) {
		r.Gone = append(r.Gone, c.Expired(now)...)
		for _, s := range c.Subsystems() {
			r.Unlisted = append(r.Unlisted, c.Superseded(s.SubsystemID, now)...)
		}
	})
}
