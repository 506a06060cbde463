package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/leat-io/leat/internal/mcp/header"
)

const (
	maxErrorBody = 64 << 10
	maxRedirects = 3
	defaultRetry = time.Second // before a stream is resumed, when the server names no time
	maxRetry     = 30 * time.Second
	maxResumes   = 5 // of a stream without anything new
)

// httpLink speaks Streamable HTTP: a request of MCP is a request of HTTP, with an
// answer of its own. What happens to one is seen by no other.
type httpLink struct {
	conn     *Conn
	url      string
	sessions *sessions

	greeting chan struct{} // holds one: who greets

	mu      sync.Mutex
	server  *Server
	era     Era // what is believed before the greeting
	changed func()
}

func newHTTPLink(c *Conn) *httpLink {
	h := &httpLink{conn: c, url: c.target.URL, era: c.opts.Era, greeting: make(chan struct{}, 1)}
	h.sessions = &sessions{link: h, open: make(map[string]*session)}
	return h
}

// ready greets the server when it is not known, or turned out to be another.
func (h *httpLink) ready(ctx context.Context) (*Server, *Failure) {
	if server, _ := h.believed(); server != nil {
		return server, nil
	}
	select {
	case h.greeting <- struct{}{}:
		defer func() { <-h.greeting }()
	case <-ctx.Done():
		return nil, ended(ctx, NotSent)
	}
	server, hint := h.believed()
	if server != nil {
		return server, nil
	}
	fresh := h.newSession("")
	g := greeting{conn: h.conn, ask: func(ctx context.Context, r *request) (message, *Failure) {
		return h.exchange(ctx, r, fresh, deaf{})
	}, tell: func(ctx context.Context, revision, method string) *Failure {
		fresh.revision = revision
		return h.tell(ctx, fresh, outgoing{Version: "2.0", Method: method})
	}}
	server, failure := g.greet(ctx, hint)
	if failure != nil {
		fresh.end()
		return nil, failure
	}
	h.believe(server, server.Era)
	if server.Era == EraLegacy {
		h.sessions.adopt(fresh, server)
	}
	return server, nil
}

func (h *httpLink) believed() (*Server, Era) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.server, h.era
}

func (h *httpLink) believe(server *Server, era Era) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.server, h.era = server, era
}

// forget makes the next request greet again.
func (h *httpLink) forget() { h.believe(nil, EraUnknown) }

// do sends r. Behind the two answers that prove that nothing ran and say what to
// do about it, it sends once more: a session that the server no longer knows is
// opened again.
func (h *httpLink) do(ctx context.Context, r *request, ear ear) (message, *Failure) {
	if r.revision == revisionModern {
		m, failure := h.exchange(ctx, r, &session{}, ear)
		if m.err != nil && m.err.Code == rpcUnsupported {
			h.forget()
		}
		return m, failure
	}
	for again := false; ; again = true {
		s, failure := h.sessions.get(ctx, r.session)
		if failure != nil {
			return message{}, failure
		}
		m, failure := h.inSession(ctx, r, s, ear)
		h.sessions.put(s)
		if failure == nil || failure.Status != http.StatusNotFound || s.id == "" {
			return m, failure
		}
		h.sessions.drop(s)
		if again {
			return m, failure
		}
	}
}

// inSession sends r when the stream is there on which the server asks questions.
func (h *httpLink) inSession(ctx context.Context, r *request, s *session, ear ear) (message, *Failure) {
	if r.method == "tools/call" {
		select {
		case <-s.opened:
		case <-ctx.Done():
			return message{}, ended(ctx, NotSent)
		}
		s.inFlight.enter(r.id, ear)
		defer s.inFlight.leave(r.id)
	}
	return h.exchange(ctx, r, s, ear)
}

// post sends body, with a new credential a second time when the first was refused.
func (h *httpLink) post(stream, ctx context.Context, body []byte, r *request, s *session) (*http.Response, Evidence, *Failure) {
	for again := false; ; again = true {
		req, sent, failure := h.newRequest(stream, http.MethodPost, body)
		if failure != nil {
			return nil, NotSent, failure
		}
		h.describe(req, r, s)
		resp, failure := h.send(ctx, req, sent)
		if failure != nil {
			return nil, failure.Evidence, failure
		}
		if again || resp.StatusCode != http.StatusUnauthorized && resp.StatusCode != http.StatusForbidden || h.conn.opts.Authorizer == nil {
			return resp, Unknown, nil
		}
		retry, err := h.conn.opts.Authorizer.Refused(ctx, req, resp)
		if !retry || err != nil {
			if err != nil {
				_ = resp.Body.Close()
				f := failed(CodeUnauthorized, Refused, "it answered %d, and there is no other credential: %v", resp.StatusCode, err).because(err)
				f.Status = resp.StatusCode
				return nil, Refused, f
			}
			return resp, Unknown, nil
		}
		_ = resp.Body.Close()
	}
}

// newRequest makes a request whose way out is watched.
func (h *httpLink) newRequest(ctx context.Context, method string, body []byte) (*http.Request, *way, *Failure) {
	sent := &way{left: bytes.NewReader(body)}
	req, err := http.NewRequestWithContext(sent.trace(ctx), method, h.url, nil)
	if err != nil {
		return nil, nil, failed(CodeUnavailable, NotSent, "no request can be made: %v", plain(err))
	}
	if body != nil {
		// Without GetBody net/http never sends it a second time by itself.
		req.Body, req.ContentLength, req.GetBody = sent, int64(len(body)), nil
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Accept", "application/json, text/event-stream")
	req.Header.Set("User-Agent", h.conn.opts.Name+"/"+h.conn.opts.Version)
	if h.conn.opts.Authorizer != nil {
		if err := h.conn.opts.Authorizer.Authorize(ctx, req); err != nil {
			return nil, nil, failed(CodeUnauthorized, NotSent, "there is no credential: %v", err).because(err)
		}
	}
	return req, sent, nil
}

// describe writes the headers that mirror the body.
func (h *httpLink) describe(req *http.Request, r *request, s *session) {
	set := func(name, value string) { req.Header[name] = []string{value} } // in this spelling
	if revision := s.revision; revision != "" {
		set("MCP-Protocol-Version", revision)
	} else if r.revision != "" {
		set("MCP-Protocol-Version", r.revision)
	}
	if s.id != "" {
		set("Mcp-Session-Id", s.id)
	}
	if r.revision != revisionModern {
		return
	}
	set("Mcp-Method", r.method)
	if r.name != "" {
		set("Mcp-Name", header.Safe(r.name))
	}
	for _, p := range r.header {
		set(p.Name, p.Text)
	}
}

// send sends req, and follows where the same server says that the endpoint is.
func (h *httpLink) send(ctx context.Context, req *http.Request, sent *way) (*http.Response, *Failure) {
	for range maxRedirects {
		resp, err := h.conn.opts.Transport.RoundTrip(req)
		if err != nil {
			if ctx.Err() != nil {
				return nil, ended(ctx, sent.evidence())
			}
			return nil, failed(CodeUnavailable, sent.evidence(), "%s: %v", h.place(), plain(err)).because(err)
		}
		to, ok := redirect(req, resp)
		if !ok {
			return resp, nil
		}
		_ = resp.Body.Close()
		next := req.Clone(req.Context())
		next.URL = to
		if next.Body != nil {
			sent.rewind()
			next.Body, next.GetBody = sent, nil
		}
		req = next
	}
	return nil, failed(CodeProtocol, Unknown, "%s: more than %d redirects", h.place(), maxRedirects)
}

// redirect is where a request is to be sent instead, unchanged and at the same
// origin: elsewhere a credential must not go.
func redirect(req *http.Request, resp *http.Response) (*url.URL, bool) {
	if resp.StatusCode != http.StatusTemporaryRedirect && resp.StatusCode != http.StatusPermanentRedirect {
		return nil, false
	}
	to, err := req.URL.Parse(resp.Header.Get("Location"))
	if err != nil || to.Scheme != req.URL.Scheme || to.Host != req.URL.Host {
		return nil, false
	}
	return to, true
}

// place is the URL without what may be secret in it.
func (h *httpLink) place() string {
	u, err := url.Parse(h.url)
	if err != nil {
		return "the URL"
	}
	return u.Scheme + "://" + u.Host + u.Path
}

// plain is err without the URL that net/http puts before it.
func plain(err error) error {
	if outer, ok := errors.AsType[*url.Error](err); ok {
		return outer.Err
	}
	return err
}

// tell sends what has no answer.
func (h *httpLink) tell(ctx context.Context, s *session, out outgoing) *Failure {
	body, err := encode(out)
	if err != nil {
		return failed(CodeProtocol, NotSent, "a message cannot be written: %v", err)
	}
	resp, _, failure := h.post(ctx, ctx, body, &request{method: out.Method, revision: s.revision}, s)
	if failure != nil {
		return failure
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= 300 {
		return h.status(resp, s, errorBody(resp))
	}
	_, _ = io.CopyN(io.Discard, resp.Body, maxErrorBody)
	return nil
}

// cancelled tells a legacy server that a call is not waited for any more. To a
// modern one the end of the stream says so.
func (h *httpLink) cancelled(ctx context.Context, r *request, s *session) {
	if ctx.Err() == nil || r.revision == revisionModern || r.method == "initialize" || r.method == "server/discover" {
		return
	}
	h.conn.work.Go(func() {
		bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeTime)
		defer cancel()
		_ = h.tell(bound, s, outgoing{
			Version: "2.0", Method: "notifications/cancelled", Params: cancelledParams{notation(r.id), "the caller does not wait any more"},
		})
	})
}

// status makes a failure of an answer that is none. Only some statuses prove that
// nothing ran.
func (h *httpLink) status(resp *http.Response, s *session, body []byte) *Failure {
	f := failed(CodeProtocol, Unknown, "%s answered %d %s%s", h.place(), resp.StatusCode, http.StatusText(resp.StatusCode), excerpt(body))
	f.Status = resp.StatusCode
	after := retryAfter(resp.Header.Get("Retry-After"), time.Now())
	f.RetryAfter = max(after, 0)
	switch {
	case f.Status == http.StatusUnauthorized || f.Status == http.StatusForbidden:
		f.Code, f.Evidence = CodeUnauthorized, Refused
	case f.Status == http.StatusRequestEntityTooLarge:
		f.Code, f.Evidence = CodeTooLarge, Refused
	case (f.Status == http.StatusTooManyRequests || f.Status == http.StatusServiceUnavailable) && after >= 0:
		f.Code, f.Evidence = CodeBusy, Refused
	case f.Status == http.StatusTooManyRequests:
		f.Code = CodeBusy
	case f.Status == http.StatusNotFound && s.id != "":
		f.Code, f.Evidence = CodeUnavailable, Refused
	case f.Status >= 500 || f.Status == http.StatusRequestTimeout || f.Status == http.StatusNotFound:
		f.Code = CodeUnavailable
	}
	return f
}

func errorBody(resp *http.Response) []byte {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody)) // what came says enough
	return body
}

// excerpt shows what a server says about an error: the text of its JSON-RPC error,
// or nothing. A page of HTML helps nobody.
func excerpt(body []byte) string {
	if m, err := decode(body); err == nil && m.err != nil {
		return fmt.Sprintf(": error %d: %s", m.err.Code, cut(m.err.Message, maxServerMessage))
	}
	return ""
}

// retryAfter reads the header Retry-After: seconds, or a date. What cannot be read
// is negative.
func retryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(header, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(at.Sub(now), 0)
	}
	return -1
}

func (h *httpLink) stop() { h.sessions.close() }
