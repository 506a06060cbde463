package wire

import (
	"crypto/rand"
	"strconv"
	"sync"
)

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
