package fsm

import "encoding/json"

// exitStates leaves, innermost and last first, all that is active below the
// domains of the enabled transitions.
func (s *step) exitStates() {
	leaving := s.entrySet // a scratch set here
	leaving.clear()
	found := false
	for _, domain := range s.domains {
		if domain == noDomain {
			continue
		}
		end := s.m.states[domain].end
		for i := s.config.next(domain + 1); i >= 0 && i < end; i = s.config.next(i + 1) {
			leaving.add(i)
			found = true
		}
	}
	if !found {
		return
	}
	for i := leaving.next(0); i >= 0; i = leaving.next(i + 1) {
		s.remember(i)
	}
	for i := leaving.prev(len(s.m.states) - 1); i >= 0; i = leaving.prev(i - 1) {
		s.leave(i)
		s.exited = appendName(s.exited, &s.m.states[i])
	}
}

// leave runs the exit actions of one state and cancels what it waits for.
func (s *step) leave(i int) {
	state := &s.m.states[i]
	s.run(state.exit)
	s.cancelTasks(state)
	if len(state.after) > 0 {
		s.cancelAfter(state.id)
	}
	s.config.remove(i)
	s.toInvoke.remove(i)
}

// appendName adds a state's id to a list; a list of one is the state's own.
func appendName(list []string, s *state) []string {
	if list == nil {
		return s.self[:1:1]
	}
	return append(list, s.id)
}

// enterStates enters what the enabled transitions target.
func (s *step) enterStates() {
	s.entrySet.clear()
	s.defaults.clear()
	found := false
	for n, t := range s.enabled {
		if len(t.targets) == 0 {
			continue
		}
		found = true
		for _, target := range t.targets {
			s.addDescendants(target)
		}
		domain := s.domains[n]
		for _, target := range s.effectiveTargets(t.targets, t) {
			s.addAncestors(target, domain)
		}
		if domain == root && s.m.states[root].kind == Parallel {
			s.addRegions(&s.m.states[root]) // all regions were left, and the root itself is never entered again
		}
	}
	if found {
		s.enterSet()
	}
}

// addDescendants adds a state and what is entered with it by default (appendix
// D: addDescendantStatesToEnter).
func (s *step) addDescendants(i int) {
	state := &s.m.states[i]
	if state.kind == History {
		for _, target := range s.historyTargets(i) {
			s.addDescendants(target)
		}
		for _, target := range s.historyTargets(i) {
			s.addAncestors(target, state.parent)
		}
		return
	}
	s.entrySet.add(i)
	switch state.kind {
	case Compound:
		s.defaults.add(i)
		for _, target := range state.initial.targets {
			s.addDescendants(target)
		}
		for _, target := range state.initial.targets {
			s.addAncestors(target, i)
		}
	case Parallel:
		s.addRegions(state)
	default: // nothing is inside
	}
}

// addAncestors adds what lies between a state and the ancestor, and the other
// regions of the parallel states among it.
func (s *step) addAncestors(i, ancestor int) {
	for i = s.m.states[i].parent; i > ancestor && i >= 0; i = s.m.states[i].parent {
		s.entrySet.add(i)
		if s.m.states[i].kind == Parallel {
			s.addRegions(&s.m.states[i])
		}
	}
}

// addRegions enters by default each region into which nothing leads yet.
func (s *step) addRegions(parallel *state) {
	for _, child := range parallel.children {
		if !s.entrySet.anyIn(child+1, s.m.states[child].end) {
			s.addDescendants(child)
		}
	}
}

// enterSet enters the states of the entry set, outermost and first first.
func (s *step) enterSet() {
	for i := s.entrySet.next(0); i >= 0; i = s.entrySet.next(i + 1) {
		state := &s.m.states[i]
		s.config.add(i)
		if len(state.invoke) > 0 || len(state.tasks) > 0 {
			s.toInvoke.add(i)
		}
		if i != root {
			s.entered = appendName(s.entered, state)
		}
		s.run(state.entry)
		if s.defaults.has(i) {
			s.run(state.initial.actions)
		}
		for n := range state.after {
			s.setAfter(state, &state.after[n])
		}
		if state.kind == Final {
			s.enterFinal(state)
		}
	}
}

// enterFinal tells that the parent is done, and the parallel state above it when
// all its regions are; at the top level it ends the instance.
func (s *step) enterFinal(final *state) {
	if final.parent == root {
		s.running = false
		return
	}
	parent := &s.m.states[final.parent]
	data := json.RawMessage(nil)
	if final.output != nil {
		var err error
		if data, err = s.evalTemplate(final.output); err != nil {
			s.raiseError(err, errorPos(err, final.output.pos))
			data = nil
		}
	}
	s.raise(&event{name: "done.state." + parent.id, data: data})
	if s.m.states[root].kind == Parallel && s.m.inFinal(s.config, root) {
		s.running = false
		return
	}
	if s.m.states[parent.parent].kind == Parallel && s.m.inFinal(s.config, parent.parent) {
		s.raise(&event{name: "done.state." + s.m.states[parent.parent].id})
	}
}

// inFinal reports whether a state is done (appendix D: isInFinalState).
func (m *Machine) inFinal(config set, i int) bool {
	state := &m.states[i]
	switch state.kind {
	case Compound:
		for _, child := range state.children {
			if m.states[child].kind == Final && config.has(child) {
				return true
			}
		}
		return false
	case Parallel:
		for _, child := range state.children {
			if !m.inFinal(config, child) {
				return false
			}
		}
		return true
	default:
		return false
	}
}
