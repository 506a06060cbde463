package fsm

import "slices"

// selectFor puts the transitions that an event enables into s.enabled, without
// those that others preempt (appendix D: selectTransitions).
func (s *step) selectFor(e *event) {
	s.enabled = s.enabledBuf[:0]
	for i := s.config.next(0); i >= 0; i = s.config.next(i + 1) {
		if s.m.states[i].leaf() {
			s.selectFrom(i, e)
		}
	}
	s.removeConflicts()
}

// selectEventless does the same without an event.
func (s *step) selectEventless() { s.selectFor(nil) }

// selectFrom adds the first enabled transition of an atomic state or, failing
// that, of the nearest ancestor that has one.
func (s *step) selectFrom(leaf int, e *event) {
	for i := leaf; i >= 0; i = s.m.states[i].parent {
		list := s.m.states[i].always
		if e != nil {
			list = s.m.states[i].trans
		}
		for _, t := range list {
			if (e == nil || t.matches(e)) && s.holds(t) {
				s.enable(t)
				return
			}
		}
	}
}

func (t *transition) matches(e *event) bool {
	if t.invoker != nil && t.invoker != e.invoker {
		return false
	}
	for _, d := range t.descs {
		if d.matches(e.name) {
			return true
		}
	}
	return false
}

// holds evaluates a guard. One that fails raises error.execution and is false.
func (s *step) holds(t *transition) bool {
	if t.guard == nil {
		return true
	}
	ok, err := s.evalBool(t.guard)
	if err != nil {
		s.raiseError(err, t.guard.pos)
	}
	return ok
}

func (s *step) enable(t *transition) {
	if slices.Contains(s.enabled, t) {
		return
	}
	s.enabled = append(s.enabled, t)
}

// removeConflicts drops transitions whose exit sets meet: the one from the
// inner state stays, else the one from the state that comes first.
func (s *step) removeConflicts() {
	if len(s.enabled) < 2 {
		return
	}
	kept := make([]*transition, 0, len(s.enabled))
next:
	for _, t := range s.enabled {
		var preempted []*transition
		for _, other := range kept {
			if !s.conflict(t, other) {
				continue
			}
			if !s.m.within(t.source, other.source) {
				continue next
			}
			preempted = append(preempted, other)
		}
		for _, other := range preempted {
			for i := range kept {
				if kept[i] == other {
					kept = append(kept[:i], kept[i+1:]...)
					break
				}
			}
		}
		kept = append(kept, t)
	}
	s.enabled = kept
}

// conflict reports whether both would leave the same state. What a transition
// leaves is all that is active below its domain, so it is enough to look below
// the inner of two nested domains.
func (s *step) conflict(a, b *transition) bool {
	x, y := s.domain(a), s.domain(b)
	switch {
	case x == noDomain || y == noDomain:
		return false
	case x == y || s.m.within(x, y):
		return s.config.anyIn(x+1, s.m.states[x].end)
	case s.m.within(y, x):
		return s.config.anyIn(y+1, s.m.states[y].end)
	default:
		return false
	}
}

// domain is the innermost state that contains all that t leaves and enters.
func (s *step) domain(t *transition) int {
	if !t.hasHistory {
		return t.domain
	}
	return s.m.domain(t, s.effectiveTargets(t.targets, nil))
}

// domain computes appendix D's getTransitionDomain for targets that are not
// history states.
func (m *Machine) domain(t *transition, targets []int) int {
	if t.internal && m.states[t.source].kind == Compound && m.contains(t.source, targets) {
		return t.source
	}
	for i := m.states[t.source].parent; i > root; i = m.states[i].parent {
		if m.states[i].kind == Compound && m.contains(i, targets) {
			return i
		}
	}
	return root
}

func (m *Machine) contains(ancestor int, targets []int) bool {
	for _, target := range targets {
		if !m.within(target, ancestor) {
			return false
		}
	}
	return true
}
