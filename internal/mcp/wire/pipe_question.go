package wire

// pipeQuestion is a question of a legacy server on a pipe. It does not say which
// call asks.
type pipeQuestion struct {
	m    message
	upTo int64 // calls after this one cannot have asked
}

// question takes a request of the server's. It is placed at once when one call
// is in flight. When there are several it waits: a call that asks does not end, so
// that the others end before it, and one is left. When only calls that ask are
// left, nobody can say who asked what; then they are told so, rather than that one
// person's answer goes to the run of another.
func (p *program) question(m *message) {
	if m.method != "elicitation/create" {
		p.post(refuseQuestion(m))
		return
	}
	p.mu.Lock()
	full := len(p.questions) >= maxQuestion
	if !full {
		p.questions = append(p.questions, &pipeQuestion{m: *m, upTo: p.link.conn.ids.Load()})
	}
	p.mu.Unlock()
	if full {
		p.post(outgoing{Version: "2.0", ID: m.id, Error: &outgoingError{rpcInternal, "too many questions at the same time"}})
		return
	}
	p.place()
}

// place finds out who asked, as far as that can be known.
func (p *program) place() {
	p.mu.Lock()
	if len(p.questions) == 0 {
		p.mu.Unlock()
		return
	}
	open := p.questions
	p.questions = nil
	type placed struct {
		q *pipeQuestion
		w *waiter // nil: nobody
	}
	var now []placed
	for _, q := range open {
		switch calls := p.callsLocked(q.upTo); {
		case len(calls) == 1:
			now = append(now, placed{q, calls[0]})
		case len(calls) <= len(open): // none is left, or all that are left ask
			now = append(now, placed{q, nil})
		default:
			p.questions = append(p.questions, q)
		}
	}
	p.mu.Unlock()
	for _, one := range now {
		if one.w == nil {
			p.post(outgoing{Version: "2.0", ID: one.q.m.id, Error: &outgoingError{rpcInternal, "this client cannot tell which call asks"}})
			continue
		}
		one.w.ear.question(&one.q.m, p.post)
	}
}
