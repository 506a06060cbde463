package wire

import (
	"context"
	"net/http"
	"sync"
	"time"
)

const (
	maxSessions = 256             // of one server at the same time, when calls allow it
	sessionIdle = 5 * time.Minute // after that a session is given back
)

// session is one at a legacy server. Its zero value is that of a modern one, or of
// one that has not begun.
type session struct {
	key      string
	id       string // "" for a server without state
	revision string

	calls int
	used  time.Time

	inFlight placement
	opened   chan struct{}   // closed when its stream is there, or there is none
	life     context.Context //nolint:containedctx // of its stream
	end      context.CancelFunc
}

// newSession is one that begins.
func (h *httpLink) newSession(key string) *session {
	s := &session{key: key, used: time.Now(), inFlight: placement{offered: h.conn.me.offersPeople}}
	s.life, s.end = context.WithCancel(h.conn.life)
	return s
}

// sessions are those of one legacy server. A server that keeps state gets one for
// each who shares state; one that keeps none has one for all.
type sessions struct {
	link *httpLink

	mu        sync.Mutex
	open      map[string]*session
	opening   map[string]chan struct{}
	stateless *session
}

// adopt keeps the session that the greeting opened.
func (t *sessions) adopt(s *session, server *Server) {
	s.revision = server.Revision
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stateless = nil
	t.keep(s)
}

// keep makes a session that was opened one that can be used.
func (t *sessions) keep(s *session) {
	if s.id == "" {
		t.stateless = s
	} else {
		t.open[s.key] = s
	}
	t.link.keepStream(s)
}

// get is the session for a key, opened when there is none. Who asks for the same
// one waits. put gives it back.
func (t *sessions) get(ctx context.Context, key string) (*session, *Failure) {
	for {
		t.mu.Lock()
		if t.stateless != nil {
			s := t.stateless
			s.calls++
			t.mu.Unlock()
			return s, nil
		}
		if s := t.open[key]; s != nil {
			s.calls++
			t.mu.Unlock()
			return s, nil
		}
		wait, busy := t.opening[key]
		if !busy {
			if t.opening == nil {
				t.opening = make(map[string]chan struct{})
			}
			wait = make(chan struct{})
			t.opening[key] = wait
		}
		t.mu.Unlock()
		if !busy {
			return t.begin(ctx, key, wait)
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, ended(ctx, NotSent)
		}
	}
}

// begin opens a session. What fails while it is opened is no failure of the call:
// that was not sent.
func (t *sessions) begin(ctx context.Context, key string, wait chan struct{}) (*session, *Failure) {
	s := t.link.newSession(key)
	s.calls = 1
	g := greeting{conn: t.link.conn, ask: func(ctx context.Context, r *request) (message, *Failure) {
		return t.link.exchange(ctx, r, s, deaf{})
	}, tell: func(ctx context.Context, revision, method string) *Failure {
		s.revision = revision
		return t.link.tell(ctx, s, outgoing{Version: "2.0", Method: method})
	}}
	_, failure := g.initialize(ctx)
	t.mu.Lock()
	delete(t.opening, key)
	close(wait)
	if failure == nil {
		t.keep(s)
	}
	t.mu.Unlock()
	if failure != nil {
		s.end()
		failure = failure.before()
		if failure.RPC != 0 || failure.Code == CodeProtocol {
			t.link.forget() // it may speak another revision by now
		}
		return nil, failure
	}
	t.evict()
	return s, nil
}

func (t *sessions) put(s *session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s.calls--
	s.used = time.Now()
}

// drop forgets a session that the server does not know any more.
func (t *sessions) drop(s *session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open[s.key] == s {
		delete(t.open, s.key)
	}
	if t.stateless == s {
		t.stateless = nil
	}
	s.end()
}

// evict gives back what was not used for a while, and the oldest when there are
// too many. A session with a running call stays.
func (t *sessions) evict() {
	now := time.Now()
	t.mu.Lock()
	var gone []*session
	for key, s := range t.open {
		if key != "" && s.calls == 0 && now.Sub(s.used) > sessionIdle {
			delete(t.open, key)
			gone = append(gone, s)
		}
	}
	for len(t.open) > maxSessions {
		oldest := t.oldest()
		if oldest == nil {
			break
		}
		delete(t.open, oldest.key)
		gone = append(gone, oldest)
	}
	t.mu.Unlock()
	for _, s := range gone {
		t.link.conn.work.Go(func() { t.end(s) })
	}
}

func (t *sessions) oldest() (oldest *session) {
	for key, s := range t.open {
		if key != "" && s.calls == 0 && (oldest == nil || s.used.Before(oldest.used)) {
			oldest = s
		}
	}
	return oldest
}

// end tells the server that a session is over.
func (t *sessions) end(s *session) {
	s.end()
	ctx, cancel := context.WithTimeout(context.Background(), probeTime)
	defer cancel()
	req, sent, failure := t.link.newRequest(ctx, http.MethodDelete, nil)
	if failure != nil {
		return
	}
	t.link.describe(req, &request{}, s)
	if resp, failure := t.link.send(ctx, req, sent); failure == nil {
		_ = resp.Body.Close()
	}
}

// close ends all sessions.
func (t *sessions) close() {
	t.mu.Lock()
	all := t.open
	t.open = make(map[string]*session)
	if t.stateless != nil {
		t.stateless.end()
	}
	t.mu.Unlock()
	var work sync.WaitGroup
	for _, s := range all {
		work.Go(func() { t.end(s) })
	}
	work.Wait()
}
