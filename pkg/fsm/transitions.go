package fsm

import (
	"encoding/json"
	"maps"
	"slices"
)

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

// remember records, before a state is left, what its history states keep: the
// active children, or for a deep one the active atomic states below it.
func (s *step) remember(i int) {
	for _, h := range s.m.states[i].histories {
		var ids []string
		if s.m.states[h].deep {
			end := s.m.states[i].end
			for j := s.config.next(i + 1); j >= 0 && j < end; j = s.config.next(j + 1) {
				if s.m.states[j].leaf() {
					ids = append(ids, s.m.states[j].id)
				}
			}
		} else {
			for _, child := range s.m.states[i].children {
				if s.config.has(child) {
					ids = append(ids, s.m.states[child].id)
				}
			}
		}
		if !s.owns.history {
			s.owns.history = true
			s.chart.History = maps.Clone(s.chart.History)
		}
		if s.chart.History == nil {
			s.chart.History = make(map[string][]string)
		}
		s.chart.History[s.m.states[h].id] = ids
	}
}

// historyTargets is where a history state leads: to what it remembers, else to
// its default. What it remembers of an older version and is gone is left out.
func (s *step) historyTargets(h int) []int {
	state := &s.m.states[h]
	var targets []int
	for _, id := range s.chart.History[state.id] {
		if i, ok := s.m.index[id]; ok && s.m.within(i, state.parent) {
			targets = append(targets, i)
		}
	}
	if len(targets) > 0 {
		return targets
	}
	return state.target.targets
}

// effectiveTargets replaces history states by where they lead (appendix D:
// getEffectiveTargetStates). With t it may answer from what t knows.
func (s *step) effectiveTargets(targets []int, t *transition) []int {
	if t != nil && !t.hasHistory {
		return targets
	}
	var out []int
	for _, target := range targets {
		if s.m.states[target].kind == History {
			out = append(out, s.effectiveTargets(s.historyTargets(target), nil)...)
		} else {
			out = append(out, target)
		}
	}
	return out
}
