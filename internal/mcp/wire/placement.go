package wire

import (
	"math"
	"sync"
)

// placement finds out which call a question of a legacy server belongs to, when it
// comes on a way that several calls share and does not say.
//
// It is placed at once when one call is in flight. When there are several it waits:
// a call that asks does not end, so that the others end before it, and one is left.
// When only calls that ask are left, nobody can say who asked what; then the server
// is told so, rather than that one person's answer goes to the run of another.
type placement struct {
	offered bool // people can be asked at all

	mu        sync.Mutex
	calls     map[int64]ear
	questions []*sharedQuestion
}

// sharedQuestion is a question that has no place yet.
type sharedQuestion struct {
	m     message
	upTo  int64 // calls after this one cannot have asked
	reply func(outgoing)
}

// maxQuestions bounds the questions that have no place.
const maxQuestions = 64

func (p *placement) enter(id int64, call ear) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.calls == nil {
		p.calls = make(map[int64]ear)
	}
	p.calls[id] = call
}

func (p *placement) leave(id int64) {
	p.mu.Lock()
	delete(p.calls, id)
	p.mu.Unlock()
	p.place()
}

// only is the call in flight when there is just one.
func (p *placement) only() ear {
	p.mu.Lock()
	defer p.mu.Unlock()
	if calls := p.upTo(math.MaxInt64); len(calls) == 1 {
		return calls[0]
	}
	return nil
}

func (p *placement) upTo(id int64) (out []ear) {
	for n, call := range p.calls {
		if n <= id {
			out = append(out, call)
		}
	}
	return out
}

// ask takes a request of the server's. newest is the id of the newest request that
// was sent.
func (p *placement) ask(m *message, newest int64, reply func(outgoing)) {
	if m.method != "elicitation/create" || !p.offered {
		reply(refuseQuestion(m))
		return
	}
	p.mu.Lock()
	full := len(p.questions) >= maxQuestions
	if !full {
		p.questions = append(p.questions, &sharedQuestion{*m, newest, reply})
	}
	p.mu.Unlock()
	if full {
		reply(outgoing{Version: "2.0", ID: m.id, Error: &outgoingError{rpcInternal, "too many questions at the same time"}})
		return
	}
	p.place()
}

// place hands out what can be placed.
func (p *placement) place() {
	p.mu.Lock()
	open := p.questions
	p.questions = nil
	owners := make([]ear, len(open)) // nil: nobody
	placed := open[:0:0]
	for _, q := range open {
		switch calls := p.upTo(q.upTo); {
		case len(calls) == 1:
			owners[len(placed)] = calls[0]
			placed = append(placed, q)
		case len(calls) <= len(open): // none is left, or all that are left ask
			placed = append(placed, q)
		default:
			p.questions = append(p.questions, q)
		}
	}
	p.mu.Unlock()
	for i, q := range placed {
		if owners[i] == nil {
			q.reply(outgoing{Version: "2.0", ID: q.m.id, Error: &outgoingError{rpcInternal, "this client cannot tell which call asks"}})
			continue
		}
		owners[i].question(&q.m, q.reply)
	}
}
