package fsm

import (
	"fmt"
	"maps"
	"slices"

	"github.com/leat-io/leat/pkg/events"
)

// MigrationFinding is a consequence of a mapping for running instances.
type MigrationFinding struct {
	Fatal   bool   `json:"fatal"`   // no instance can be moved before it is corrected
	Subject string `json:"subject"` // the state, variable or invocation that it is about
	Text    string `json:"text"`
}

// CheckMigration says, before any instance is touched, what keeps instances of m
// from going on under to, and what they lose. States that instances can be in are
// all that may be active while an instance is not at its end. A finding that is
// not fatal is worth a look.
func (m *Machine) CheckMigration(to *Machine, mapping Mapping) []MigrationFinding {
	c := &migrationCheck{from: m, to: to, mapping: mapping}
	if m.Type() != to.Type() {
		c.fatal(to.Type(), "is another workflow type than %s", m.Type())
		return c.found
	}
	c.names()
	c.leaves()
	if len(c.found) == 0 { // else it would only repeat it
		c.orthogonal()
		c.complete()
	}
	c.histories()
	c.data()
	c.work()
	return c.found
}

type migrationCheck struct {
	from, to *Machine
	mapping  Mapping
	found    []MigrationFinding
	target   []int // by leaf of from: the leaf of to, -1 for none
}

func (c *migrationCheck) fatal(subject, format string, args ...any) {
	c.found = append(c.found, MigrationFinding{true, subject, fmt.Sprintf(format, args...)})
}

func (c *migrationCheck) warn(subject, format string, args ...any) {
	c.found = append(c.found, MigrationFinding{false, subject, fmt.Sprintf(format, args...)})
}

// names refuses mappings of what is not there.
func (c *migrationCheck) names() {
	for _, old := range slices.Sorted(maps.Keys(c.mapping)) {
		if _, ok := c.from.index[old]; !ok {
			c.fatal(old, "is mapped, and version %d has no such state", c.from.Version())
		}
		if _, ok := c.to.index[c.mapping[old]]; !ok {
			c.fatal(c.mapping[old], "is what %s is mapped to, and version %d has no such state", old, c.to.Version())
		}
	}
}

// standing reports whether an instance that is not at its end can stand in
// state i.
func (m *Machine) standing(i int) bool {
	s := &m.states[i]
	return s.leaf() && (s.kind != Final || s.parent != root)
}

// leaves wants a state for each one that may be active.
func (c *migrationCheck) leaves() {
	c.target = make([]int, len(c.from.states))
	for i := range c.from.states {
		c.target[i] = -1
		if !c.from.standing(i) {
			continue
		}
		id := c.from.states[i].id
		at, ok := c.to.index[c.mapping.of(id)]
		switch {
		case !ok && c.mapping[id] == "":
			c.fatal(id, "may be active, and version %d has no such state: map it with %s=STATE", c.to.Version(), id)
		case !ok: // said by names
		case !c.to.states[at].leaf():
			c.fatal(id, "may be active and would become %s, which is %s: map it to a state below", c.to.states[at].id, c.to.states[at].kind)
		case !c.to.standing(at):
			c.fatal(id, "may be active and would become %s, which is the end of version %d", c.to.states[at].id, c.to.Version())
		default:
			c.target[i] = at
		}
	}
}

// maxPairs bounds the static part of the check of large definitions; each chart
// is checked again when it is moved.
const maxPairs = 4_000_000

// orthogonal wants states that may be active together to become states that may be.
func (c *migrationCheck) orthogonal() {
	pairs := 0
	for p := range c.from.states {
		if c.from.states[p].kind != Parallel {
			continue
		}
		regions := c.from.states[p].children
		for r, region := range regions {
			for a := region; a < c.from.states[region].end; a++ {
				for b := c.from.states[region].end; c.target[a] >= 0 && r+1 < len(regions) && b < c.from.states[p].end; b++ {
					if pairs++; pairs > maxPairs {
						return
					}
					if c.target[b] >= 0 && !c.to.together(c.target[a], c.target[b]) {
						c.fatal(c.from.states[a].id, "may be active together with %s, and %s and %s may not", c.from.states[b].id,
							c.to.states[c.target[a]].id, c.to.states[c.target[b]].id)
						return
					}
				}
			}
		}
	}
}

// together reports whether two states may be active at once.
func (m *Machine) together(a, b int) bool {
	if a == b {
		return true
	}
	i := a
	for !m.within(b, i) {
		if i == b {
			return false
		}
		i = m.states[i].parent
	}
	return i != a && m.states[i].kind == Parallel
}

// complete wants a configuration that is in a parallel state of the new version
// to be in each of its regions.
func (c *migrationCheck) complete() {
	pairs := 0
	for p := range c.to.states {
		if c.to.states[p].kind != Parallel {
			continue
		}
		for _, region := range c.to.states[p].children {
			if pairs += len(c.from.states); pairs > maxPairs {
				return
			}
			if c.reaches(root, p, region)&(1<<inState) != 0 {
				c.fatal(c.to.states[p].id, "is parallel in version %d, and an instance could come to be in it without being in its region %s",
					c.to.Version(), c.to.states[region].id)
			}
		}
	}
}

// What a configuration is, seen from a parallel state and one of its regions.
const (
	inState  = 1 // in the state
	inRegion = 2 // in the region, with inState
)

// reaches is the set of what the configurations below state i may be: bit n for
// the combination n of inState and inRegion.
func (c *migrationCheck) reaches(i, p, region int) uint8 {
	s := &c.from.states[i]
	switch s.kind {
	case Atomic, Final:
		at := c.target[i]
		switch {
		case at < 0:
			return 0 // no instance is there
		case c.to.within(at, region) || at == region:
			return 1 << (inState | inRegion)
		case c.to.within(at, p):
			return 1 << inState
		default:
			return 1
		}
	case Compound:
		var all uint8
		for _, child := range s.children {
			all |= c.reaches(child, p, region)
		}
		return all
	default:
		all := uint8(1)
		for _, child := range s.children {
			all = combine(all, c.reaches(child, p, region))
		}
		return all
	}
}

func combine(a, b uint8) uint8 {
	var out uint8
	for x := range 4 {
		for y := range 4 {
			if a&(1<<x) != 0 && b&(1<<y) != 0 {
				out |= 1 << (x | y)
			}
		}
	}
	return out
}

func (c *migrationCheck) histories() {
	for i := range c.from.states {
		h := &c.from.states[i]
		if h.kind != History {
			continue
		}
		if at, ok := c.to.index[c.mapping.of(h.id)]; !ok || c.to.states[at].kind != History {
			c.warn(h.id, "is a history state, and version %d has none of that name: what it remembers is forgotten", c.to.Version())
		}
	}
}

func (c *migrationCheck) data() {
	for i := range c.from.def.Data {
		v := &c.from.def.Data[i]
		switch kind, ok := c.to.kinds[v.Name]; {
		case !ok:
			c.warn(v.Name, "is data that version %d does not have: its value is dropped", c.to.Version())
		case kind != v.Kind:
			c.fatal(v.Name, "is a %s, and a %s in version %d: give the new variable another name", v.Kind, kind, c.to.Version())
		}
	}
	for i := range c.from.def.Payloads {
		if name := c.from.def.Payloads[i].Name; c.to.loads[name] == nil {
			c.warn(name, "is a payload that version %d does not have: its value is dropped", c.to.Version())
		}
	}
	for i := range c.to.def.Data {
		v := &c.to.def.Data[i]
		if _, ok := c.from.kinds[v.Name]; !ok && v.Default.Kind() == events.KindNone {
			c.warn(v.Name, "is new data without a default: it is not set in instances that are moved")
		}
	}
}

// work says which tasks and timers of active states do not go on.
func (c *migrationCheck) work() {
	g := &migration{from: c.from, to: c.to, mapping: c.mapping}
	for i := range c.from.states {
		s := &c.from.states[i]
		for _, inv := range slices.Concat(s.invoke, s.tasks) {
			other := g.counterpart(s.id, inv.name)
			switch {
			case other == nil:
				c.warn(s.id, "invokes %s (%s), and version %d does not there: it is cancelled if it runs", inv.name, inv.def.Task, c.to.Version())
			case other.def.Task != inv.def.Task:
				c.warn(s.id, "invokes %s as %s, version %d as %s: it is cancelled if it runs, and begins anew", inv.name, inv.def.Task, c.to.Version(), other.def.Task)
			}
			if inv.compensate != nil && c.from.undoes && (other == nil || other.compensate == nil || !c.to.undoes) {
				c.warn(s.id, "has done what version %d cannot undo any more: %s", c.to.Version(), inv.name)
			}
		}
		at, ok := c.to.index[c.mapping.of(s.id)]
		if !ok {
			continue
		}
		for _, a := range s.def.After {
			if !slices.ContainsFunc(c.to.states[at].def.After, func(b After) bool { return a.Key == b.Key }) {
				c.warn(s.id, "has a timer %s that version %d does not have there: it is cancelled", a.Key, c.to.Version())
			}
		}
		for _, b := range c.to.states[at].def.After {
			if !slices.ContainsFunc(s.def.After, func(a After) bool { return a.Key == b.Key }) {
				c.warn(c.to.states[at].id, "has a new timer %s: it is set when an instance is moved", b.Key)
			}
		}
	}
}
