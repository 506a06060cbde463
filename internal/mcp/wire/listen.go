package wire

import (
	"context"
	"math/rand/v2"
	"net/http"
	"time"
)

// How long to wait before listening again.
const (
	listenLeast = time.Second
	listenMost  = 5 * time.Minute
)

// keepListening listens for changes for as long as the connection lives. Behind a
// gap it says that something may have changed.
func (c *Conn) keepListening() {
	for tries := 0; c.life.Err() == nil; tries++ {
		if tries > 0 {
			wait := backoff(tries-1, listenLeast, listenMost)
			wait += time.Duration(rand.Int64N(int64(wait/2) + 1)) //nolint:gosec // so that not all come back at once
			select {
			case <-c.life.Done():
				return
			case <-time.After(wait):
			}
		}
		began := time.Now()
		failure := c.link.listen(c.life, c.opts.Changed)
		if failure == nil {
			return // there is nothing to listen to
		}
		c.opts.Log.Debug("listening ended", "subsystem", c.target.ID, "reason", failure.Message)
		if c.life.Err() == nil && time.Since(began) > listenLeast {
			tries = 0
			c.opts.Changed()
		}
	}
}

// changes hears that the tools changed.
type changes struct {
	deaf

	changed func()
}

func (e changes) notification(m *message) {
	if m.method == "notifications/tools/list_changed" {
		e.changed()
	}
}

// subscribe asks a modern server to tell of changes; it ends with the server's answer.
func (c *Conn) subscribe(ctx context.Context, changed func()) *Failure {
	m, failure := c.link.do(ctx, &request{
		id: c.ids.Add(1), method: "subscriptions/listen", revision: revisionModern, limit: defaultResult,
		params: listenParams{listenTo{Tools: true}, c.me.of(revisionModern)},
	}, changes{changed: changed})
	switch {
	case failure != nil:
		return failure
	case m.err != nil && m.err.Code == rpcMethodNotFound:
		return nil
	case m.err != nil:
		return c.refused(m.err)
	}
	return failed(CodeUnavailable, Unknown, "the server ended the subscription")
}

// openTime is how long a call waits for the stream of its session to be there.
const openTime = 2 * time.Second

// listen waits for changes. A legacy server tells them on the stream of the
// connection's own session, which is kept for as long as that lives.
func (h *httpLink) listen(ctx context.Context, changed func()) *Failure {
	h.mu.Lock()
	h.changed = changed
	h.mu.Unlock()
	server, failure := h.ready(ctx)
	if failure != nil {
		return failure
	}
	if server.Era == EraModern {
		return h.conn.subscribe(ctx, changed)
	}
	return nil
}

func (h *httpLink) tellChanged() {
	h.mu.Lock()
	changed := h.changed
	h.mu.Unlock()
	if changed != nil {
		changed()
	}
}

// wanted reports whether a session needs the stream that the server fills by
// itself: for questions of a server with state, and for changes of the tools.
func (h *httpLink) wanted(s *session) bool {
	server, _ := h.believed()
	changes := s.key == "" && h.conn.opts.Changed != nil && server != nil && server.ToolsChange
	return changes || s.id != "" && h.conn.me.offersPeople
}

// keepStream opens that stream, and opens it again when it ends.
func (h *httpLink) keepStream(s *session) {
	s.opened = make(chan struct{})
	if !h.wanted(s) {
		close(s.opened)
		return
	}
	late := time.AfterFunc(openTime, func() { h.opened(s) })
	h.conn.work.Go(func() {
		defer late.Stop()
		defer h.opened(s)
		for tries := 0; s.life.Err() == nil; tries++ {
			began := time.Now()
			if !h.readStream(s) {
				return
			}
			if time.Since(began) > listenLeast {
				tries = 0
			}
			select {
			case <-s.life.Done():
				return
			case <-time.After(backoff(tries, listenLeast, listenMost)):
			}
			if s.key == "" {
				h.tellChanged() // that may have been missed
			}
		}
	})
}

func (h *httpLink) opened(s *session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	select {
	case <-s.opened:
	default:
		close(s.opened)
	}
}

// readStream reads the stream to its end, and reports whether to come back.
func (h *httpLink) readStream(s *session) bool {
	ctx, cancel := context.WithCancel(s.life)
	defer cancel()
	resp, failure := h.get(ctx, s, "")
	h.opened(s)
	if failure != nil {
		return failure.Status == 0 || failure.Status >= 500 || failure.Status == http.StatusTooManyRequests
	}
	defer func() { _ = resp.Body.Close() }()
	x := &exchange{link: h, request: &request{limit: defaultResult}, session: s, ear: &sessionEar{h, s}}
	var last string
	var retry time.Duration
	var tries int
	_, _, _ = x.events(resp.Body, &last, &retry, &tries)
	return true
}

// sessionEar hears what comes on the stream of a session.
type sessionEar struct {
	link    *httpLink
	session *session
}

func (e *sessionEar) notification(m *message) {
	if m.method == "notifications/tools/list_changed" && e.session.key == "" {
		e.link.tellChanged()
	}
}

func (e *sessionEar) question(m *message, reply func(outgoing)) {
	e.session.inFlight.ask(m, e.link.conn.ids.Load(), reply)
}
