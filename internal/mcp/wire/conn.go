package wire

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Conn is a connection to one subsystem. It mends itself: a process is started
// again, a session is opened again, the era is found out again when the subsystem
// changed it. Safe for concurrent use.
type Conn struct {
	target Target
	opts   Options
	me     identity
	link   link
	ids    atomic.Int64
	held   held
	stats  stats
	known  knownTools

	life context.Context //nolint:containedctx // the connection's own: it ends when Close gives up waiting
	end  context.CancelCauseFunc
	work sync.WaitGroup // all that runs

	mu      sync.Mutex
	closing bool
	running int
	idle    chan struct{} // closed when nothing runs any more
}

// link carries requests.
type link interface {
	// ready makes sure that a request can be sent, and says for whom it is written.
	ready(ctx context.Context) (*Server, *Failure)
	// do sends a request once and returns its answer. What else comes for it is
	// heard, by one goroutine, before do returns.
	do(ctx context.Context, r *request, ear ear) (message, *Failure)
	// listen waits for changes of the tools until ctx ends, or the server ends it.
	listen(ctx context.Context, changed func()) *Failure
	// stop ends everything at once.
	stop()
}

// ear hears what comes for a request besides its answer.
type ear interface {
	notification(m *message)
	// question is a request of the server's. reply may be called later, once, from any
	// goroutine.
	question(m *message, reply func(outgoing))
}

// deaf hears nothing and refuses every question.
type deaf struct{}

func (deaf) notification(*message) {}
func (deaf) question(m *message, reply func(outgoing)) {
	reply(refuseQuestion(m))
}

// refuseQuestion answers what every client answers, and refuses the rest.
func refuseQuestion(m *message) outgoing {
	if m.method == "ping" {
		return outgoing{Version: "2.0", ID: m.id, Result: struct{}{}}
	}
	return outgoing{Version: "2.0", ID: m.id, Error: &outgoingError{rpcMethodNotFound, "this client does not offer " + cut(m.method, 100)}}
}

// errClosed is why what runs ends when the connection is closed.
var errClosed = errors.New("the connection was closed")

// Open connects: it finds out the era of the subsystem with server/discover, within
// 2 s, and else by initialize. It calls no tool. The error is a [*Failure].
func Open(ctx context.Context, target Target, opts Options) (*Conn, error) {
	if (target.URL == "") == (len(target.Command) == 0) {
		return nil, failed(CodeUnavailable, NotSent, "subsystem %s has neither a URL nor a command, or both", target.ID)
	}
	if target.URL != "" && opts.Transport == nil {
		return nil, failed(CodeUnavailable, NotSent, "subsystem %s: there is no transport for %s", target.ID, target.URL)
	}
	opts = opts.withDefaults()
	c := &Conn{target: target, opts: opts, me: newIdentity(&opts), idle: make(chan struct{})}
	c.life, c.end = context.WithCancelCause(context.Background())
	if target.URL != "" {
		c.link = newHTTPLink(c)
	} else {
		c.link = newPipeLink(c)
	}
	server, failure := c.link.ready(ctx)
	if failure != nil {
		c.end(errClosed)
		c.link.stop()
		c.work.Wait()
		return nil, c.tell(failure)
	}
	if opts.Changed != nil && server.ToolsChange {
		c.work.Go(c.keepListening)
	}
	return c, nil
}

func (o Options) withDefaults() Options {
	if o.Name == "" {
		o.Name = "leat"
	}
	if o.Version == "" {
		o.Version = "0"
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Limits = o.Limits.or(Limits{Idle: defaultIdle, Call: defaultCall, ResultBytes: defaultResult})
	return o
}

// Server is what the subsystem said of itself last; nil while it is not reached.
func (c *Conn) Server(ctx context.Context) (*Server, error) {
	s, failure := c.link.ready(ctx)
	if failure != nil {
		return nil, c.tell(failure.before())
	}
	return s, nil
}

// Ping reports whether the subsystem answers. It proves no more: a gateway may
// answer in its place.
func (c *Conn) Ping(ctx context.Context) error {
	server, failure := c.link.ready(ctx)
	if failure != nil {
		return c.tell(failure.before())
	}
	method := "ping"
	if server.Era == EraModern {
		method = "server/discover"
	}
	_, err := c.ask(ctx, server, method, "", metaParams{c.me.of(server.Revision)})
	return err
}

// ask makes a request that is no call: bounded by the limits of the connection, and
// without questions.
func (c *Conn) ask(ctx context.Context, server *Server, method, name string, params any) (message, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.opts.Limits.Idle, errIdle)
	defer cancel()
	leave, failure := c.enter(cancel)
	if failure != nil {
		return message{}, failure
	}
	defer leave()
	limit := maxListBytes
	if name != "" { // a task carries the result of a call
		limit = c.opts.Limits.ResultBytes + envelope
	}
	m, failure := c.link.do(ctx, &request{
		id: c.ids.Add(1), method: method, name: name, params: params, revision: server.Revision, limit: limit,
	}, deaf{})
	if failure == nil && m.err != nil {
		failure = c.refused(m.err)
	}
	if failure != nil {
		return message{}, c.tell(failure)
	}
	return m, nil
}

// enter counts what runs; the connection ends it when it has waited long enough.
func (c *Conn) enter(cancel context.CancelFunc) (leave func(), failure *Failure) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return nil, failed(CodeUnavailable, NotSent, "subsystem %s: the connection is being closed", c.target.ID)
	}
	c.running++
	c.work.Add(1)
	stop := context.AfterFunc(c.life, cancel)
	return func() {
		stop()
		defer c.work.Done()
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.running--; c.running == 0 && c.closing {
			close(c.idle)
		}
	}, nil
}

// Close admits no more calls, waits for those that run until ctx ends, and ends the
// rest: their outcome is unknown then. It closes sessions and ends the process.
func (c *Conn) Close(ctx context.Context) error {
	c.mu.Lock()
	if c.closing {
		c.mu.Unlock()
		return nil
	}
	c.closing = true
	if c.running == 0 {
		close(c.idle)
	}
	c.mu.Unlock()
	c.held.abandon()
	var err error
	select {
	case <-c.idle:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	c.end(errClosed)
	c.link.stop()
	c.work.Wait()
	return err
}

// tell takes secrets out of a failure, and names the subsystem.
func (c *Conn) tell(f *Failure) *Failure {
	f.Message = c.clean(f.Message)
	if !strings.Contains(f.Message, c.target.ID) {
		f.Message = "subsystem " + c.target.ID + ": " + f.Message
	}
	return f
}

// minSecret is how long a value of the environment is that counts as a secret: to
// take out what is shorter would make errors unreadable.
const minSecret = 6

// clean takes secrets out of a text.
func (c *Conn) clean(text string) string {
	if c.opts.Authorizer != nil {
		for _, secret := range c.opts.Authorizer.Secrets() {
			if secret != "" {
				text = strings.ReplaceAll(text, secret, "***")
			}
		}
	}
	for _, entry := range c.target.Env {
		if _, value, _ := strings.Cut(entry, "="); len(value) >= minSecret && !strings.HasPrefix(entry, "PATH=") {
			text = strings.ReplaceAll(text, value, "***")
		}
	}
	return text
}

// Stats counts what came that nobody waited for.
type Stats struct {
	Noise    int64 // lines of standard output, and events, that are no messages
	Strays   int64 // answers that came late, twice or for nobody
	Restarts int64 // of the process
	Running  int   // calls and other requests now
	Held     int   // calls that wait for an answer of a person now
}

type stats struct{ noise, strays, restarts atomic.Int64 }

// Stats are as of now.
func (c *Conn) Stats() Stats {
	c.mu.Lock()
	running := c.running
	c.mu.Unlock()
	return Stats{c.stats.noise.Load(), c.stats.strays.Load(), c.stats.restarts.Load(), running, c.held.count()}
}

// cut bounds a text of a stranger's.
func cut(text string, most int) string {
	if len(text) <= most {
		return strings.ToValidUTF8(text, "�")
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// backoff is how long to wait before try n, from 0.
func backoff(n int, least, most time.Duration) time.Duration {
	d := least << min(n, 16)
	return min(d, most)
}
