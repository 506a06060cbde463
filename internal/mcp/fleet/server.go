package fleet

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/url"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/leat-io/leat/internal/mcp/health"
	"github.com/leat-io/leat/internal/mcp/wire"
	"github.com/leat-io/leat/pkg/events"
)

// server is one MCP server. Its goroutine, keep, connects, lists and probes; it
// ends when the server is told to leave.
type server struct {
	fleet *Fleet
	done  chan struct{} // closed when keep has ended
	wake  chan struct{} // holds one: look at the server now
	end   context.CancelFunc
	work  sync.WaitGroup // connections that are being closed

	mu       sync.Mutex
	record   events.MCPSubsystem
	monitor  *health.Monitor
	conn     *wire.Conn
	server   wire.Server
	offers   map[string]*tool
	listed   []events.MCPOffer
	refused  []events.MCPRefusal
	limiter  *rate.Limiter // nil: no limit
	keyHash  string
	took     time.Duration // the newest probe
	checked  time.Time
	used     time.Time // when a call succeeded last, which is as good as a probe
	relist   bool      // the list may have changed
	reset    bool      // another address or key: connect anew
	leaving  bool
	reason   events.MCPReason // why it leaves
	reported events.MCPHealth // what was published last
}

// tool is a tool that the server lists.
type tool struct {
	def     *wire.Tool
	record  events.MCPTool
	breaker *health.Breaker
}

func newServer(f *Fleet, record events.MCPSubsystem) *server {
	s := &server{
		fleet: f, done: make(chan struct{}), wake: make(chan struct{}, 1), record: record, offers: make(map[string]*tool),
	}
	config := f.config.Health
	config.InFlight = int(record.Limits.OrDefaults().InFlight)
	s.monitor = health.NewMonitor(config, time.Now())
	s.limiter = limiter(record.Limits)
	return s
}

func limiter(l events.MCPLimits) *rate.Limiter {
	if l.PerSecond == 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(l.PerSecond), max(1, int(l.PerSecond)/10))
}

// start begins to keep the server until it is told to leave.
func (s *server) start(ctx context.Context) {
	ctx, s.end = context.WithCancel(ctx)
	go func() {
		defer close(s.done)
		defer s.end()
		s.keep(ctx)
		s.fleet.gone(s)
	}()
}

// update takes a new record. Another way to the server needs another connection.
func (s *server) update(record events.MCPSubsystem) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if record.UpdatedAt.Equal(s.record.UpdatedAt) {
		return
	}
	was := s.record
	s.record = record
	if was.Limits != record.Limits {
		s.limiter = limiter(record.Limits)
		s.monitor.SetInFlight(int(record.Limits.OrDefaults().InFlight), time.Now())
	}
	if was.HTTP != record.HTTP || was.Stdio != record.Stdio || !sameKey(was.Key, record.Key) || was.Limits != record.Limits {
		s.reset = true
		tell(s.wake)
	}
}

func sameKey(a, b *events.MCPKey) bool { return a == b || a != nil && b != nil && *a == *b }

// leave tells the server to end.
func (s *server) leave(reason events.MCPReason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.leaving {
		return
	}
	s.leaving, s.reason = true, reason
	s.monitor.Stop(reason, time.Now())
	s.end()
}

// keep looks at the server whenever there is a reason to.
func (s *server) keep(ctx context.Context) {
	s.fleet.config.Metrics.Health(s.id(), string(events.HealthUnknown))
	var listedAt time.Time
	ttl := s.fleet.config.Refresh
	tries := 0
	for {
		age := time.Since(listedAt)
		ok, expires := s.look(ctx, age >= ttl || age >= leastChange && s.takeRelist())
		if expires > 0 {
			listedAt, ttl = time.Now(), jitter(expires)
		}
		wait := jitter(s.fleet.config.Probe)
		if ok {
			tries = 0
			wait = min(wait, max(ttl-time.Since(listedAt), leastChange))
		} else {
			wait = min(wait, jitter(firstRetry<<min(tries, 10)))
			tries++
		}
		s.settle()
		if s.wantsList() {
			wait = min(wait, max(leastChange-time.Since(listedAt), 0))
			if !pause(ctx, wait) {
				break
			}
			continue
		}
		if !s.pause(ctx, wait) {
			break
		}
	}
	s.close()
}

// wantsList reports whether the list may have changed; takeRelist also takes that in.
func (s *server) wantsList() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.relist
}

func (s *server) takeRelist() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.relist
	s.relist = false
	return was
}

// pause waits until there is something to do, and reports whether the server stays.
func (s *server) pause(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.wake:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

// jitter spreads what many servers do at the same interval, by a fifth both ways.
func jitter(d time.Duration) time.Duration {
	return d - d/5 + rand.N(2*d/5+1) //nolint:gosec // it spreads, and protects nothing
}

func (s *server) id() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.record.SubsystemID
}

// settle tells who waits that the server is known better.
func (s *server) settle() {
	s.fleet.mu.Lock()
	s.fleet.news()
	s.fleet.mu.Unlock()
	tell(s.fleet.dirty)
}

// look connects when there is no connection, lists the tools when that is due, and
// probes otherwise. ok is false when the server is to be looked at again soon;
// expires is how long a list that it took is believed, 0 without one.
func (s *server) look(ctx context.Context, due bool) (ok bool, expires time.Duration) {
	s.mu.Lock()
	old := s.conn
	if !s.reset {
		old = nil
	}
	if s.reset {
		s.conn, s.reset = nil, false
	}
	conn := s.conn
	s.mu.Unlock()
	if old != nil {
		s.closeLater(old)
	}
	if err := s.usable(); err != nil {
		return false, 0
	}
	if conn == nil {
		if conn = s.connect(ctx); conn == nil {
			return false, 0
		}
		due = true
	}
	if due {
		return s.list(ctx, conn)
	}
	return s.probe(ctx, conn), 0
}

// usable says whether the executor can use the server as it is registered.
func (s *server) usable() error {
	s.mu.Lock()
	record := s.record
	s.mu.Unlock()
	reason, err := s.fleet.check(&record)
	hash := ""
	if err == nil && record.Key != nil {
		var key string
		if key, err = s.fleet.config.ReadKey(record.Key); err != nil {
			reason = events.MCPReasonKeyMissing
		} else {
			hash = hashOf(key)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keyHash = hash
	now := time.Now()
	switch {
	case err != nil:
		s.monitor.Misconfigured(reason, err.Error(), now)
	case s.monitor.State(now).Health == events.HealthError: // no longer
		s.monitor.Connecting(now)
	}
	return err
}

// check says why a server may not be used here.
func (f *Fleet) check(record *events.MCPSubsystem) (events.MCPReason, error) {
	if record.Stdio != "" {
		if _, has := f.config.Commands[record.Stdio]; !has {
			return events.MCPReasonNoCommand, errors.New("the executor has no command " + record.Stdio + " (--mcp-command)")
		}
		return "", nil
	}
	u, err := url.Parse(record.HTTP)
	if err != nil {
		return events.MCPReasonNotAllowed, errors.New("its URL cannot be read")
	}
	if f.config.Allowed != nil {
		if err := f.config.Allowed(u); err != nil {
			return events.MCPReasonNotAllowed, err
		}
	}
	return "", nil
}

// close closes the connection when the server has left.
func (s *server) close() {
	s.mu.Lock()
	conn, call := s.conn, s.record.Limits.OrDefaults().Call
	s.mu.Unlock()
	if conn != nil {
		closing, cancel := context.WithTimeout(s.fleet.patience, call)
		_ = conn.Close(closing) // what did not end is of unknown outcome, and whoever called says so
		cancel()
	}
	s.work.Wait()
	s.mu.Lock()
	s.conn = nil
	s.monitor.Stopped(time.Now())
	s.mu.Unlock()
	s.fleet.config.Metrics.Health(s.id(), "")
}

// closeLater closes a connection that others may still use.
func (s *server) closeLater(conn *wire.Conn) {
	s.mu.Lock()
	call := s.record.Limits.OrDefaults().Call
	s.mu.Unlock()
	s.work.Go(func() {
		closing, cancel := context.WithTimeout(s.fleet.patience, call)
		defer cancel()
		_ = conn.Close(closing)
	})
}
