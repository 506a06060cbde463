package definition

import (
	"slices"
	"strings"

	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

// chart is what the checks of the whole definition read.
type chart struct {
	def    *fsm.Definition
	states map[string]*fsm.State
	parent map[*fsm.State]*fsm.State
	order  []*fsm.State // document order, the root first

	entered   map[*fsm.State]bool // some run enters it
	byDefault map[*fsm.State]bool // and its initial states with it
	queue     []*fsm.State        // entered, transitions not followed yet
	left      map[*fsm.State]bool // parallel states: whether a region leaves it
}

func newChart(def *fsm.Definition) *chart {
	c := &chart{
		def: def, states: make(map[string]*fsm.State), parent: make(map[*fsm.State]*fsm.State),
		entered: make(map[*fsm.State]bool), byDefault: make(map[*fsm.State]bool), left: make(map[*fsm.State]bool),
	}
	walk(def.Root, func(s *fsm.State) {
		c.order = append(c.order, s)
		if s != def.Root && c.states[s.ID] == nil {
			c.states[s.ID] = s
		}
		for _, child := range s.States {
			c.parent[child] = s
		}
	})
	return c
}

// check adds what only the whole definition tells. It assumes nothing: the
// definition may have errors.
func (r *reader) check(def *fsm.Definition) {
	c := newChart(def)
	c.reach()
	for _, s := range c.order {
		r.checkReachable(c, s)
		r.checkWayOut(c, s)
		r.checkFailures(c, s)
		r.checkCompensation(c, s)
	}
	r.checkLoops(c)
}

// arrows are all transitions of a state.
func arrows(s *fsm.State) []*fsm.Transition {
	out := slices.Concat(s.On, s.OnDone, s.OnError, s.Always)
	for i := range s.After {
		out = append(out, s.After[i].Transitions...)
	}
	for _, inv := range slices.Concat(s.Invoke, s.Tasks) {
		out = append(out, inv.OnDone...)
		out = append(out, inv.OnError...)
	}
	return out
}

// reach marks what some run may enter, taking every guard to hold at times.
func (c *chart) reach() {
	c.enter(c.def.Root, true)
	for len(c.queue) > 0 {
		s := c.queue[0]
		c.queue = c.queue[1:]
		for _, t := range arrows(s) {
			c.enterAll(t.Targets)
		}
	}
}

func (c *chart) enterAll(targets []fsm.Name) {
	for _, name := range targets {
		if s := c.states[name.ID]; s != nil {
			c.enter(s, true)
			for child, p := s, c.parent[s]; p != nil; child, p = p, c.parent[p] {
				c.enter(p, false)
				if p.Type == fsm.Parallel {
					c.regions(p, child)
				}
			}
		}
	}
}

// regions enters the regions of a parallel state but the one given.
func (c *chart) regions(parallel, but *fsm.State) {
	for _, region := range parallel.States {
		if region != but && region.Type != fsm.History {
			c.enter(region, true)
		}
	}
}

func (c *chart) enter(s *fsm.State, byDefault bool) {
	if c.entered[s] && (!byDefault || c.byDefault[s]) {
		return
	}
	if !c.entered[s] {
		c.entered[s] = true
		c.queue = append(c.queue, s)
	}
	if !byDefault {
		return
	}
	c.byDefault[s] = true
	switch s.Type {
	case fsm.Compound:
		c.enterAll(c.initial(s))
	case fsm.Parallel:
		c.regions(s, nil)
	case fsm.History:
		c.enterAll(s.Target)
	default: // nothing is inside
	}
}

// initial is what a compound state enters by default.
func (c *chart) initial(s *fsm.State) []fsm.Name {
	if s.Initial != nil {
		return s.Initial.Targets
	}
	for _, child := range s.States {
		if child.Type != fsm.History {
			return []fsm.Name{{Pos: child.Pos, ID: child.ID}}
		}
	}
	return nil
}

func (r *reader) checkReachable(c *chart, s *fsm.State) {
	if p := c.parent[s]; !c.entered[s] && p != nil && c.entered[p] {
		r.warnf(s.Pos, "unreachable", "nothing leads to state %q", s.ID)
	}
}

// checkWayOut warns of an atomic state that is not final and that nothing leaves.
func (r *reader) checkWayOut(c *chart, s *fsm.State) {
	if s.Type != fsm.Atomic || !c.entered[s] || c.leaves(s) {
		return
	}
	r.warnf(s.Pos, "no-way-out", "nothing leads out of state %q, which is not final", s.ID)
}

// leaves reports whether some transition may leave s: one of its own, of an
// ancestor, or of another region of a parallel state around it.
func (c *chart) leaves(s *fsm.State) bool {
	for at := s; at != nil; at = c.parent[at] {
		for _, t := range arrows(at) {
			done := at != s && slices.Contains(at.OnDone, t) // s is not a final child
			if len(t.Targets) > 0 && !done {
				return true
			}
		}
		if at.Type == fsm.Parallel && at != s && c.regionLeaves(at) {
			return true
		}
	}
	return false
}

// regionLeaves reports whether a transition below a parallel state leaves it.
func (c *chart) regionLeaves(parallel *fsm.State) bool {
	if found, known := c.left[parallel]; known {
		return found
	}
	found := false
	walk(parallel, func(s *fsm.State) {
		for _, t := range arrows(s) {
			for _, name := range t.Targets {
				if target := c.states[name.ID]; target != nil && !c.inside(target, parallel) {
					found = true
				}
			}
		}
	})
	c.left[parallel] = found
	return found
}

func (c *chart) inside(s, ancestor *fsm.State) bool {
	for ; s != nil; s = c.parent[s] {
		if s == ancestor {
			return true
		}
	}
	return false
}

// checkFailures refuses a task whose failure nothing handles: the instance would
// wait for ever.
func (r *reader) checkFailures(c *chart, s *fsm.State) {
	for _, inv := range s.Invoke {
		r.checkFailure(c, s, inv, false)
	}
	for _, inv := range s.Tasks {
		r.checkFailure(c, s, inv, len(s.OnError) > 0)
	}
}

func (r *reader) checkFailure(c *chart, s *fsm.State, inv *fsm.Invocation, handled bool) {
	if handled || len(inv.OnError) > 0 || inv.Semantics == events.FireAndForget {
		return
	}
	event := "error.invoke." + inv.ID
	for at := s; at != nil; at = c.parent[at] {
		for _, t := range at.On {
			if slices.ContainsFunc(t.Events, func(d string) bool { return matches(d, event) }) {
				return
			}
		}
	}
	r.errorf(inv.Pos, "unhandled-failure", "nothing handles a failure of task %q: give it onError", inv.ID)
}

func matches(descriptor, event string) bool {
	prefix, below := strings.CutSuffix(descriptor, "*")
	return descriptor == event || below && strings.HasPrefix(event, prefix) || below && prefix == event+"."
}

// checkCompensation warns of work with effects that a definition which undoes
// things cannot undo.
func (r *reader) checkCompensation(c *chart, s *fsm.State) {
	if c.def.Compensation == nil {
		return
	}
	for _, inv := range slices.Concat(s.Invoke, s.Tasks) {
		if inv.Compensate == nil && inv.NodeType == events.NodeEffect {
			r.warnf(inv.Pos, "no-compensation", "the definition undoes what is done, but task %q has no compensate", inv.ID)
		}
	}
}

// checkLoops reports eventless transitions that lead back to where they began.
// A loop whose transitions have no guards is certain to fail; one with guards
// but without an assignment or action may.
func (r *reader) checkLoops(c *chart) {
	for _, s := range c.order {
		for i, t := range s.Always {
			certain := i == 0 && t.Guard == nil
			idle := len(t.Assign) == 0 && len(t.Actions) == 0
			switch {
			case len(t.Targets) == 0 && certain:
				r.errorf(t.Pos, "always-loop", "the eventless transition of state %q has no guard and does not leave: it never ends", s.ID)
			case len(t.Targets) == 0 && idle:
				r.warnf(t.Pos, "always-loop", "the eventless transition of state %q changes nothing: once its guard holds it never ends", s.ID)
			case len(t.Targets) == 0:
			case c.loops(s, t, true):
				r.errorf(t.Pos, "always-loop", "the eventless transitions of state %q lead back to it without a guard: they never end", s.ID)
			case c.loops(s, t, false):
				r.warnf(t.Pos, "always-loop", "the eventless transitions of state %q may lead back to it without progress", s.ID)
			}
		}
	}
}

// loops reports whether t leads back to s by eventless transitions: certain
// ones, or such as change nothing.
func (c *chart) loops(s *fsm.State, t *fsm.Transition, certain bool) bool {
	seen := make(map[*fsm.State]bool)
	var follow func(t *fsm.Transition, first bool) bool
	follow = func(t *fsm.Transition, first bool) bool {
		if certain && (!first || t.Guard != nil) || !certain && len(t.Assign)+len(t.Actions) > 0 {
			return false
		}
		for _, next := range c.activeAfter(t) {
			if next == s {
				return true
			}
			if seen[next] {
				continue
			}
			seen[next] = true
			if !certain && len(next.Entry)+len(next.Exit) > 0 {
				continue
			}
			for i, t := range next.Always {
				if follow(t, i == 0) {
					return true
				}
			}
		}
		return false
	}
	return follow(t, slices.Index(s.Always, t) == 0)
}

// activeAfter are the targets of a transition and what is entered with them by
// default.
func (c *chart) activeAfter(t *fsm.Transition) []*fsm.State {
	var out []*fsm.State
	for _, name := range t.Targets {
		for s := c.states[name.ID]; s != nil && !slices.Contains(out, s); {
			out = append(out, s)
			if s.Type != fsm.Compound {
				break
			}
			initial := c.initial(s)
			if len(initial) != 1 {
				break
			}
			s = c.states[initial[0].ID]
		}
	}
	return out
}
