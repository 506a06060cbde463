package wire

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"time"

	"github.com/leat-io/leat/internal/mcp/frame"
)

// exchange sends r in a session and reads what comes.
func (h *httpLink) exchange(ctx context.Context, r *request, s *session, ear ear) (message, *Failure) {
	body, err := r.encode()
	if err != nil {
		return message{}, failed(CodeArguments, NotSent, "the request cannot be written as JSON: %v", err)
	}
	x := &exchange{link: h, request: r, session: s, ear: ear}
	// The stream is given a moment to end behind its last event, so that its
	// connection can be used again: its context is not that of the call.
	stream, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, cancel)
	defer stop()
	resp, evidence, failure := h.post(stream, ctx, body, r, s)
	if failure != nil {
		cancel()
		if failure.Evidence == Unknown {
			h.cancelled(ctx, r, s)
		}
		return message{}, failure
	}
	m, failure := x.read(ctx, resp)
	if failure != nil && ctx.Err() != nil {
		failure = ended(ctx, evidence)
	}
	stop()
	if failure != nil {
		cancel()
		_ = resp.Body.Close()
		h.cancelled(ctx, r, s)
		return message{}, failure
	}
	h.conn.work.Go(func() { drain(resp.Body, cancel) })
	return m, nil
}

// drainTime is how long an answer may take to end behind its last byte of use.
const drainTime = 100 * time.Millisecond

func drain(body io.ReadCloser, cancel context.CancelFunc) {
	defer cancel()
	timer := time.AfterFunc(drainTime, cancel)
	defer timer.Stop()
	_, _ = io.CopyN(io.Discard, body, 64<<10)
	_ = body.Close()
}

// exchange is one request and what comes for it.
type exchange struct {
	link    *httpLink
	request *request
	session *session
	ear     ear
}

// read reads an answer, as JSON or as a stream.
func (x *exchange) read(ctx context.Context, resp *http.Response) (message, *Failure) {
	if id := resp.Header.Get("Mcp-Session-Id"); id != "" && x.request.method == "initialize" && visible(id) {
		x.session.id = id
	}
	if resp.StatusCode != http.StatusOK {
		return x.failed(resp)
	}
	switch kind := mediaType(resp); kind {
	case "application/json":
		return x.json(resp)
	case "text/event-stream":
		return x.stream(ctx, resp)
	default:
		return message{}, failed(CodeProtocol, Unknown, "%s answered with %.100q, which is neither JSON nor a stream of events", x.link.place(), kind)
	}
}

func mediaType(resp *http.Response) string {
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil {
		return resp.Header.Get("Content-Type")
	}
	return kind
}

// visible reports whether an id can be given back in a header.
func visible(id string) bool {
	return len(id) <= 1024 && !strings.ContainsFunc(id, func(r rune) bool { return r < 0x21 || r > 0x7e })
}

// failed reads an answer with another status. A JSON-RPC error in it is the
// server's answer to the request, unless the status itself proves that nothing ran.
func (x *exchange) failed(resp *http.Response) (message, *Failure) {
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return message{}, failed(CodeProtocol, Unknown, "%s answered %d to a request, without an answer", x.link.place(), resp.StatusCode)
	}
	body := errorBody(resp)
	f := x.link.status(resp, x.session, body)
	if m, err := decode(body); err == nil && m.err != nil && f.Evidence == Unknown && (m.id == nil || m.answers(x.request.id)) {
		return m, nil
	}
	return message{}, f
}

// json reads a single answer.
func (x *exchange) json(resp *http.Response) (message, *Failure) {
	if resp.ContentLength > int64(x.request.limit) {
		return message{}, tooLong(x.request.limit)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, int64(x.request.limit)+1))
	switch {
	case err != nil:
		return message{}, x.cutOff(err)
	case len(body) > x.request.limit:
		return message{}, tooLong(x.request.limit)
	}
	m, err := decode(body)
	if err != nil {
		return message{}, failed(CodeProtocol, Unknown, "its answer %v", err)
	}
	if m.answers(x.request.id) || m.err != nil && m.id == nil {
		return m, nil
	}
	x.link.conn.stats.strays.Add(1)
	return message{}, failed(CodeProtocol, Unknown, "its answer is for another request")
}

func (x *exchange) cutOff(err error) *Failure {
	return failed(CodeUnavailable, Unknown, "its answer was cut off: %v", plain(err)).because(err)
}

// stream reads events until the answer. A legacy server may end a stream in the
// middle, and let the client come back for the rest: that reads, and runs nothing.
func (x *exchange) stream(ctx context.Context, resp *http.Response) (message, *Failure) {
	last, retry := "", defaultRetry
	for tries := 0; ; {
		m, done, failure := x.events(resp.Body, &last, &retry, &tries)
		if done || failure != nil && !errors.Is(failure.Cause, errStreamEnded) {
			return m, failure
		}
		if x.request.revision == revisionModern || last == "" || tries >= maxResumes {
			return message{}, failure
		}
		tries++
		_ = resp.Body.Close()
		var stopped *Failure
		if resp, stopped = x.resume(ctx, last, retry); stopped != nil {
			failure.Message += "; to resume it: " + stopped.Message
			return message{}, failure
		}
		defer func() { _ = resp.Body.Close() }()
	}
}

var errStreamEnded = errors.New("the stream ended without an answer")

// events reads one stream.
func (x *exchange) events(body io.Reader, last *string, retry *time.Duration, tries *int) (message, bool, *Failure) {
	in := frame.NewEvents(body, x.request.limit)
	for {
		ev, err := in.Next()
		switch {
		case errors.Is(err, frame.ErrLong):
			return message{}, false, tooLong(x.request.limit)
		case err != nil:
			return message{}, false, failed(CodeUnavailable, Unknown, "its stream ended without an answer (%v)", plain(err)).because(errStreamEnded)
		}
		if ev.ID != "" {
			*last = ev.ID
		}
		if ev.Retry > 0 {
			*retry = min(ev.Retry, maxRetry)
		}
		if len(ev.Data) == 0 {
			continue
		}
		*tries = 0
		m, err := decode(ev.Data)
		if err != nil {
			x.link.conn.stats.noise.Add(1)
			continue
		}
		if m.answers(x.request.id) {
			return m, true, nil
		}
		x.hear(&m)
	}
}

// hear takes what is no answer to this request.
func (x *exchange) hear(m *message) {
	switch {
	case m.method == "":
		x.link.conn.stats.strays.Add(1)
	case m.id == nil:
		x.ear.notification(m)
	case x.request.revision == revisionModern:
		x.link.conn.stats.noise.Add(1) // such a server must not ask
	default:
		s := x.session
		x.ear.question(m, func(out outgoing) { x.link.reply(s, out) })
	}
}

// reply answers a question of the server's, in the background.
func (h *httpLink) reply(s *session, out outgoing) {
	h.conn.work.Go(func() {
		ctx, cancel := context.WithTimeout(h.conn.life, h.conn.opts.Limits.Idle)
		defer cancel()
		if f := h.tell(ctx, s, out); f != nil {
			h.conn.opts.Log.Warn("reply not taken", "subsystem", h.conn.target.ID, "reason", h.conn.clean(f.Message))
		}
	})
}

// resume comes back for the rest of a stream.
func (x *exchange) resume(ctx context.Context, last string, wait time.Duration) (*http.Response, *Failure) {
	select {
	case <-ctx.Done():
		return nil, ended(ctx, Unknown)
	case <-time.After(wait):
	}
	return x.link.get(ctx, x.session, last)
}

// get opens a stream that the server fills by itself.
func (h *httpLink) get(ctx context.Context, s *session, last string) (*http.Response, *Failure) {
	req, sent, failure := h.newRequest(ctx, http.MethodGet, nil)
	if failure != nil {
		return nil, failure
	}
	h.describe(req, &request{}, s)
	req.Header.Set("Accept", "text/event-stream")
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	resp, failure := h.send(ctx, req, sent)
	if failure != nil {
		return nil, failure
	}
	if resp.StatusCode != http.StatusOK || mediaType(resp) != "text/event-stream" {
		defer func() { _ = resp.Body.Close() }()
		return nil, h.status(resp, s, errorBody(resp))
	}
	return resp, nil
}

// way is the body of a request on its way out, and what is known about how far it
// came. A server cannot have run what it did not get whole.
type way struct {
	mu    sync.Mutex
	left  *bytes.Reader
	whole bool // net/http has taken the last byte
	lost  bool // and says that it did not write it
}

// Read implements io.Reader for net/http.
func (w *way) Read(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, err := w.left.Read(b)
	if w.left.Len() == 0 {
		w.whole = true
	}
	return n, err
}

// Close implements io.Closer for net/http.
func (w *way) Close() error { return nil }

// rewind is for a request that is sent to another place of the same server, which
// said that it does not run it here.
func (w *way) rewind() {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, _ = w.left.Seek(0, io.SeekStart)
	w.whole, w.lost = false, false
}

// trace lets net/http say what it wrote.
func (w *way) trace(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: func(info httptrace.WroteRequestInfo) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.lost = info.Err != nil
	}})
}

// evidence is what a request that failed without an answer proves.
func (w *way) evidence() Evidence {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.whole || w.lost {
		return NotSent
	}
	return Unknown
}
