package wire

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leat-io/leat/internal/mcp/stdio"
)

const (
	leastLine  = 1 << 20          // what a line may always have: not every message answers a call
	noiseShown = 120              // bytes of a line that is no message, in the log
	noiseEvery = 10 * time.Second // how often one is logged
)

// program is one process that speaks MCP, from its start to its end. It implements
// [stdio.Listener].
type program struct {
	link    *pipeLink
	process *stdio.Process
	began   time.Time
	calls   placement
	noisy   time.Time // when noise was logged

	mu      sync.Mutex
	waiting map[int64]*waiter
	ended   bool
	why     string
}

// waiter is a request that waits for its answer.
type waiter struct {
	ear    ear
	limit  int
	answer chan answered // holds one
	given  atomic.Bool
	line   *stdio.Line
}

type answered struct {
	m       message
	failure *Failure
}

// give hands over the answer; a second one is dropped.
func (w *waiter) give(a answered) bool {
	if w.given.Swap(true) {
		return false
	}
	w.answer <- a
	return true
}

// startProgram starts the command of a subsystem.
func startProgram(l *pipeLink) (*program, error) {
	target := &l.conn.target
	p := &program{link: l, began: time.Now(), waiting: make(map[int64]*waiter), calls: placement{offered: l.conn.me.offersPeople}}
	_, err := stdio.Start(stdio.Program{Argv: target.Command, Env: target.Env, Dir: target.Dir}, func(process *stdio.Process) stdio.Listener {
		p.process = process
		return p
	})
	return p, err
}

// Ended implements [stdio.Listener]: whoever waits is told.
func (p *program) Ended(why string) {
	p.mu.Lock()
	p.ended, p.why = true, why
	waiting := p.waiting
	p.waiting = nil
	p.mu.Unlock()
	p.link.died(p, why)
	for _, w := range waiting {
		evidence := Unknown
		if w.line.Drop() {
			evidence = NotSent
		}
		w.give(answered{failure: failed(CodeUnavailable, evidence, "its process ended: %s", why)})
	}
}

func (p *program) dead() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended
}

// do sends a request and waits for its answer.
func (p *program) do(ctx context.Context, r *request, ear ear) (message, *Failure) {
	text, err := r.encode()
	if err != nil {
		return message{}, failed(CodeArguments, NotSent, "the request cannot be written as JSON: %v", err)
	}
	w := &waiter{ear: ear, limit: r.limit, answer: make(chan answered, 1), line: stdio.NewLine(text)}
	if why, ok := p.enlist(r.id, w); !ok {
		return message{}, failed(CodeUnavailable, NotSent, "its process ended: %s", why)
	}
	defer p.dismiss(r.id)
	if r.method == "tools/call" {
		p.calls.enter(r.id, ear)
		defer p.calls.leave(r.id)
	}
	if p.process.Send(ctx, w.line) != nil {
		return message{}, ended(ctx, NotSent)
	}
	select {
	case a := <-w.answer:
		return a.m, a.failure
	case <-ctx.Done():
		if w.line.Drop() {
			return message{}, ended(ctx, NotSent)
		}
		p.cancelled(r)
		return message{}, ended(ctx, Unknown)
	}
}

// cancelled tells the server that nobody waits any more.
func (p *program) cancelled(r *request) {
	if r.method == "initialize" || r.method == "server/discover" {
		return
	}
	p.post(outgoing{
		Version: "2.0", Method: "notifications/cancelled", Params: cancelledParams{notation(r.id), "the caller does not wait any more"},
	})
}

// post sends what nobody waits for, when there is room.
func (p *program) post(out outgoing) {
	if text, err := encode(out); err != nil || !p.process.Post(stdio.NewLine(text)) {
		p.link.conn.opts.Log.Warn("message dropped: the process does not read", "subsystem", p.link.conn.target.ID, "method", out.Method)
	}
}

// tell sends what has no answer.
func (p *program) tell(ctx context.Context, out outgoing) *Failure {
	text, err := encode(out)
	if err != nil {
		return failed(CodeProtocol, NotSent, "a message cannot be written: %v", err)
	}
	if p.process.Send(ctx, stdio.NewLine(text)) != nil {
		return ended(ctx, NotSent)
	}
	return nil
}

func (p *program) enlist(id int64, w *waiter) (why string, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return p.why, false
	}
	p.waiting[id] = w
	return "", true
}

func (p *program) dismiss(id int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.waiting, id)
}

func (p *program) waiter(id int64) *waiter {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.waiting[id]
}

// Limit implements [stdio.Listener]: a line may be as long as the longest answer
// that somebody waits for.
func (p *program) Limit() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	limit := leastLine
	for _, w := range p.waiting {
		limit = max(limit, w.limit)
	}
	return limit
}

// TooLong implements [stdio.Listener]: it ends the one request whose answer was
// thrown away.
func (p *program) TooLong(id string) {
	n, err := strconv.ParseInt(id, 10, 64)
	w := p.waiter(n)
	if err != nil || w == nil || !w.give(answered{failure: tooLong(w.limit)}) {
		p.link.conn.stats.strays.Add(1)
	}
}

// Line implements [stdio.Listener].
func (p *program) Line(line []byte) {
	m, err := decode(line)
	if err != nil {
		p.noise(line)
		return
	}
	switch {
	case m.method == "":
		p.answered(&m, len(line))
	case m.id == nil:
		p.notified(&m)
	default:
		p.calls.ask(&m, p.link.conn.ids.Load(), p.post)
	}
}

// noise counts a line that is no message: some servers log to standard output.
func (p *program) noise(line []byte) {
	if len(strings.TrimSpace(string(line))) == 0 {
		return
	}
	p.link.conn.stats.noise.Add(1)
	if now := time.Now(); now.Sub(p.noisy) > noiseEvery {
		p.noisy = now
		p.link.conn.opts.Log.Warn("standard output holds what is no message", "subsystem", p.link.conn.target.ID,
			"line", p.link.conn.clean(cut(string(line), noiseShown)))
	}
}

func (p *program) answered(m *message, length int) {
	id, err := strconv.ParseInt(string(m.id), 10, 64)
	w := p.waiter(id)
	if err != nil || w == nil {
		p.link.conn.stats.strays.Add(1)
		return
	}
	a := answered{m: *m}
	if length > w.limit {
		a = answered{failure: tooLong(w.limit)}
	}
	if !w.give(a) {
		p.link.conn.stats.strays.Add(1)
	}
}

// notified hands a notification to the request that it is for.
func (p *program) notified(m *message) {
	switch m.method {
	case "notifications/progress":
		if w := p.named(m); w != nil {
			w.ear.notification(m)
		}
	case "notifications/tools/list_changed":
		p.link.tellChanged()
	case "notifications/message":
		if call := p.calls.only(); call != nil { // else nobody can say whose it is
			call.notification(m)
		}
	}
}

// named finds the request whose token a notification names.
func (p *program) named(m *message) *waiter {
	f, err := fields(m.params)
	if err != nil {
		return nil
	}
	id, err := strconv.ParseInt(string(f["progressToken"]), 10, 64)
	if err != nil {
		return nil
	}
	return p.waiter(id)
}
