package wire

import (
	"context"
	"sync"
	"time"
)

const (
	restartLeast  = 100 * time.Millisecond
	restartMost   = 30 * time.Second
	restartSettle = 10 * time.Second // a process that lived so long did not die of its start
)

// pipeLink speaks to a process over its standard streams, and starts it again when
// it ended. What was in flight then is not sent again: nobody knows how far it came.
type pipeLink struct {
	conn     *Conn
	starting chan struct{} // holds one: who starts the process

	mu      sync.Mutex
	live    *program
	server  *Server
	era     Era // of the last process
	deaths  int // without a long life between
	last    string
	earlier time.Time // when it died last
	stopped bool
	changed func()
}

func newPipeLink(c *Conn) *pipeLink {
	return &pipeLink{conn: c, era: c.opts.Era, starting: make(chan struct{}, 1)}
}

// ready starts the process when there is none.
func (l *pipeLink) ready(ctx context.Context) (*Server, *Failure) {
	if _, server := l.current(); server != nil {
		return server, nil
	}
	select {
	case l.starting <- struct{}{}:
		defer func() { <-l.starting }()
	case <-ctx.Done():
		return nil, ended(ctx, NotSent)
	}
	if _, server := l.current(); server != nil {
		return server, nil
	}
	era, failure := l.mayStart()
	if failure != nil {
		return nil, failure
	}
	return l.start(ctx, era)
}

func (l *pipeLink) start(ctx context.Context, era Era) (*Server, *Failure) {
	p, err := startProgram(l)
	if err != nil {
		l.died(nil, err.Error())
		return nil, failed(CodeUnavailable, NotSent, "its command cannot be started: %v", err).because(err)
	}
	g := greeting{conn: l.conn, ask: func(ctx context.Context, r *request) (message, *Failure) {
		return p.do(ctx, r, deaf{})
	}, tell: func(ctx context.Context, _, method string) *Failure {
		return p.tell(ctx, outgoing{Version: "2.0", Method: method})
	}}
	server, failure := g.greet(ctx, era)
	if failure != nil {
		p.process.Stop()
		return nil, failure
	}
	l.mu.Lock()
	if l.stopped {
		l.mu.Unlock()
		p.process.Stop()
		return nil, failed(CodeUnavailable, NotSent, "the connection was closed").because(errClosed)
	}
	l.live, l.server, l.era = p, server, server.Era
	l.mu.Unlock()
	return server, nil
}

func (l *pipeLink) current() (*program, *Server) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.live == nil || l.live.dead() {
		return nil, nil
	}
	return l.live, l.server
}

// mayStart refuses to start what just died, for longer each time.
func (l *pipeLink) mayStart() (Era, *Failure) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		return 0, failed(CodeUnavailable, NotSent, "the connection was closed").because(errClosed)
	}
	if l.deaths == 0 {
		return l.era, nil
	}
	if wait := time.Until(l.earlier.Add(backoff(l.deaths-1, restartLeast, restartMost))); wait > 0 {
		f := failed(CodeUnavailable, NotSent, "its process ended %d times in a row, the next start is in %s: %s", l.deaths, wait.Round(time.Millisecond), l.last)
		f.RetryAfter = wait
		return 0, f
	}
	return l.era, nil
}

// died is told of the end of every process that was started.
func (l *pipeLink) died(p *program, why string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		return
	}
	if p != nil && time.Since(p.began) > restartSettle {
		l.deaths = 0
	}
	l.deaths++
	l.earlier, l.last = time.Now(), why
	l.conn.stats.restarts.Add(1)
	l.conn.opts.Log.Warn("process ended", "subsystem", l.conn.target.ID, "reason", l.conn.clean(why), "in_a_row", l.deaths)
}

// do sends a request to the process that lives now.
func (l *pipeLink) do(ctx context.Context, r *request, ear ear) (message, *Failure) {
	p, _ := l.current()
	if p == nil {
		return message{}, failed(CodeUnavailable, NotSent, "its process has ended: %s", l.reason())
	}
	return p.do(ctx, r, ear)
}

func (l *pipeLink) reason() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

// listen waits for changes: a legacy server tells them unasked.
func (l *pipeLink) listen(ctx context.Context, changed func()) *Failure {
	l.mu.Lock()
	l.changed = changed
	l.mu.Unlock()
	server, failure := l.ready(ctx)
	if failure != nil {
		return failure
	}
	if server.Era == EraModern {
		return l.conn.subscribe(ctx, changed)
	}
	p, _ := l.current()
	if p == nil {
		return failed(CodeUnavailable, NotSent, "its process has ended")
	}
	select {
	case <-p.process.Gone():
		return failed(CodeUnavailable, NotSent, "its process has ended")
	case <-ctx.Done():
		return ended(ctx, NotSent)
	}
}

// tellChanged hands on what a server tells unasked.
func (l *pipeLink) tellChanged() {
	l.mu.Lock()
	changed := l.changed
	l.mu.Unlock()
	if changed != nil {
		changed()
	}
}

func (l *pipeLink) stop() {
	l.mu.Lock()
	l.stopped = true
	p := l.live
	l.mu.Unlock()
	if p != nil {
		p.process.Stop()
	}
}
