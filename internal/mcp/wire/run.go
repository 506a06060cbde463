package wire

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/leat-io/leat/internal/mcp/header"
)

// run is a call that is being made. It outlives the wait for it when it asks
// something (legacy): then it is held.
type run struct {
	conn   *Conn
	call   *Call
	id     int64
	limits Limits
	ctx    context.Context //nolint:containedctx // a call outlives the wait for it
	cancel context.CancelCauseFunc
	over   chan struct{} // closed when outcome and failure are set
	asking chan struct{} // there is a question

	outcome Answer
	failure *Failure

	mu       sync.Mutex // of what follows
	deaf     bool       // nobody waits: progress is told to nobody
	progress float64
	idle     *time.Timer
	total    *time.Timer
	began    time.Time
	used     time.Duration // of limits.Call, before the last question
	open     map[string]openQuestion
	asked    int
}

// openQuestion is a question that the server waits for.
type openQuestion struct {
	Question

	id    json.RawMessage
	reply func(outgoing)
}

func newRun(c *Conn, call *Call) *run {
	r := &run{
		conn: c, call: call, id: c.ids.Add(1), limits: call.Limits.or(c.opts.Limits),
		over: make(chan struct{}), asking: make(chan struct{}, 1), open: make(map[string]openQuestion), progress: math.Inf(-1),
	}
	r.ctx, r.cancel = context.WithCancelCause(context.Background())
	r.start()
	return r
}

// start lets time count.
func (r *run) start() {
	r.began = time.Now()
	r.idle = time.AfterFunc(r.limits.Idle, func() { r.cancel(errIdle) })
	r.total = time.AfterFunc(r.limits.Call-r.used, func() { r.cancel(errTotal) })
}

// pause stops that while a person is asked.
func (r *run) pause() {
	r.idle.Stop()
	r.total.Stop()
	r.used += time.Since(r.began)
}

// perform makes the call and keeps what it comes to.
func (r *run) perform() {
	defer close(r.over)
	outcome, failure := r.exchange()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.idle.Stop()
	r.total.Stop()
	r.cancel(nil)
	if failure != nil {
		r.failure = r.conn.tell(failure)
		return
	}
	r.outcome = outcome
}

func (r *run) exchange() (Answer, *Failure) {
	server, failure := r.conn.link.ready(r.ctx)
	if failure != nil {
		return nil, failure.before()
	}
	if server.Era == EraLegacy && (r.call.State != nil || r.call.Replies != nil) {
		return nil, failed(CodeProtocol, NotSent, "the subsystem asked in a revision that it speaks no more; now it speaks %s", server.Revision)
	}
	arguments := r.call.Arguments
	if len(arguments) == 0 {
		arguments = json.RawMessage("{}")
	}
	m, failure := r.conn.link.do(r.ctx, &request{
		id: r.id, method: "tools/call", name: r.call.Tool.Name, revision: server.Revision, session: r.call.Session,
		params: callParams{
			Name: r.call.Tool.Name, Arguments: arguments, Replies: r.call.Replies, State: r.call.State,
			Meta: r.conn.me.ofCall(server.Revision, r.call, r.id),
		},
		header: header.Values(r.call.Tool.headers, arguments),
		limit:  r.limits.ResultBytes + envelope,
	}, r)
	switch {
	case failure != nil:
		return nil, failure
	case m.err != nil:
		return nil, r.conn.refused(m.err)
	case len(m.result) > r.limits.ResultBytes:
		return nil, tooLong(r.limits.ResultBytes)
	}
	return r.conn.answer(m.result, server.Era)
}

// await waits for the end of the call, for a question, or for the end of ctx.
func (r *run) await(ctx context.Context) (Answer, error) {
	defer r.hush()
	gone := ctx.Done()
	for {
		select {
		case <-r.over:
			if r.failure != nil {
				return nil, r.failure
			}
			return r.outcome, nil
		case <-r.asking:
			if q := r.hold(); q != nil {
				return q, nil
			}
		case <-gone:
			r.cancel(context.Cause(ctx))
			gone = nil // the link returns at once when the context of the run ends
		}
	}
}

// hush makes sure that nothing more is told, and that nothing is being told.
func (r *run) hush() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.deaf = true
}

// notification hears progress and logging.
func (r *run) notification(m *message) {
	switch m.method {
	case "notifications/progress":
		r.advance(m.params)
	case "notifications/message":
		r.mu.Lock()
		defer r.mu.Unlock()
		if !r.deaf && r.call.Logged != nil && len(m.params) <= maxLogged {
			r.call.Logged(m.params)
		}
	}
}

// advance takes progress: only what rises shows that the call lives.
func (r *run) advance(params json.RawMessage) {
	var said struct {
		Token   json.RawMessage `json:"progressToken"`
		Done    *float64        `json:"progress"`
		Total   float64         `json:"total"`
		Message string          `json:"message"`
	}
	if json.Unmarshal(params, &said) != nil || said.Done == nil || string(said.Token) != strconv.FormatInt(r.id, 10) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if *said.Done <= r.progress || r.deaf {
		return
	}
	r.progress = *said.Done
	r.idle.Reset(r.limits.Idle)
	if r.call.Progress != nil {
		r.call.Progress(Progress{*said.Done, said.Total, cut(said.Message, maxServerMessage)})
	}
}

// maxHeld bounds how many calls wait for people at the same time: each holds a
// stream or a place at its server.
const maxHeld = 1024

// held are the calls that wait for the answer of a person.
type held struct {
	mu   sync.Mutex
	runs map[string]*run
}

func (h *held) put(r *run) (token string, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.runs == nil {
		h.runs = make(map[string]*run)
	}
	if len(h.runs) >= maxHeld {
		return "", false
	}
	token = rand.Text()
	h.runs[token] = r
	return token, true
}

func (h *held) take(token string) *run {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.runs[token]
	delete(h.runs, token)
	return r
}

func (h *held) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.runs)
}

// abandon ends all of them.
func (h *held) abandon() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range h.runs {
		r.cancel(errClosed)
	}
	h.runs = nil
}

// question hears that the server wants to know something while the call runs.
func (r *run) question(m *message, reply func(outgoing)) {
	if m.method != "elicitation/create" || !r.conn.me.offersPeople {
		reply(refuseQuestion(m))
		return
	}
	q, err := readQuestion(m.params)
	if err != nil {
		reply(outgoing{Version: "2.0", ID: m.id, Error: &outgoingError{rpcInvalidParams, err.Error()}})
		return
	}
	r.mu.Lock()
	r.asked++
	r.open[strconv.Itoa(r.asked)] = openQuestion{q, m.id, reply}
	r.mu.Unlock()
	select {
	case r.asking <- struct{}{}:
	default: // it is known already
	}
}

// hold puts the call aside; nil when it asks nothing any more, or there is no room:
// then the questions are cancelled.
func (r *run) hold() *Questions {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.open) == 0 {
		return nil
	}
	token, ok := r.conn.held.put(r)
	if !ok {
		for name, q := range r.open {
			delete(r.open, name)
			q.reply(outgoing{Version: "2.0", ID: q.id, Result: Reply{Action: "cancel"}})
		}
		return nil
	}
	r.pause()
	out := &Questions{Asked: make(map[string]Question, len(r.open)), Held: token}
	for name, q := range r.open {
		out.Asked[name] = q.Question
	}
	return out
}

// resume gives the replies and lets time count again. A question without a reply
// is cancelled.
func (r *run) resume(call *Call, replies map[string]Reply) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.deaf = false
	if call != nil {
		next := *r.call
		next.Progress, next.Logged = call.Progress, call.Logged
		r.call = &next
		r.limits = Limits{Idle: call.Limits.Idle}.or(r.limits)
	}
	r.start()
	for name, q := range r.open {
		delete(r.open, name)
		reply, ok := replies[name]
		if !ok {
			reply = Reply{Action: "cancel"}
		}
		q.reply(outgoing{Version: "2.0", ID: q.id, Result: reply})
	}
}
