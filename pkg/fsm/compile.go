package fsm

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/leat-io/leat/pkg/events"
)

// Severity says whether a finding stops a definition.
type Severity uint8

// The severities.
const (
	SeverityError Severity = iota
	SeverityWarning
)

// String is "error" or "warning".
func (s Severity) String() string { return [...]string{"error", "warning"}[s] }

// Finding is something wrong with a definition. Rule is a stable name.
type Finding struct {
	Pos      Pos
	Severity Severity
	Rule     string
	Text     string
}

// MaxStates bounds a definition.
const MaxStates = 4096

// maxSuggestions bounds the work for a definition that is wrong throughout.
const maxSuggestions = 50

// Compile makes a machine of a definition. It reports every problem that it
// finds, not only the first; the machine is nil when one of them is an error.
// The definition belongs to the machine afterwards.
func Compile(def *Definition, language Expressions) (*Machine, []Finding) {
	c := &compiler{
		m: &Machine{
			def: def, index: make(map[string]int), kinds: make(map[string]events.Kind),
			loads: make(map[string]*Payload), invs: make(map[string]*invocation), limits: compileLimits(def.Limits),
		},
		language: language,
	}
	for i := range def.Data {
		c.m.kinds[def.Data[i].Name] = def.Data[i].Kind
	}
	for i := range def.Payloads {
		c.m.loads[def.Payloads[i].Name] = &def.Payloads[i]
	}
	c.number(def.Root, -1, 0)
	if len(c.m.states) > MaxStates {
		c.errorf(def.Pos, "too-large", "the definition has %d states, at most %d", len(c.m.states), MaxStates)
		return nil, c.findings
	}
	for i := range c.m.states {
		c.state(i)
	}
	c.linkCompensations()
	c.m.undoes = def.Compensation != nil || len(c.undo) > 0
	for i := range c.findings {
		if c.findings[i].Severity == SeverityError {
			return nil, c.findings
		}
	}
	return c.m, c.findings
}

type compiler struct {
	m        *Machine
	language Expressions
	findings []Finding
	undo     []*action // compensate actions, linked at the end
}

func (c *compiler) errorf(pos Pos, rule, format string, args ...any) {
	c.findings = append(c.findings, Finding{Pos: pos, Severity: SeverityError, Rule: rule, Text: fmt.Sprintf(format, args...)})
}

func (c *compiler) warnf(pos Pos, rule, format string, args ...any) {
	c.findings = append(c.findings, Finding{Pos: pos, Severity: SeverityWarning, Rule: rule, Text: fmt.Sprintf(format, args...)})
}

// number gives s and all below it their numbers, in document order.
func (c *compiler) number(s *State, parent, depth int) int {
	i := len(c.m.states)
	if first, ok := c.m.index[s.ID]; ok {
		c.errorf(s.Pos, "duplicate-id", "state %q is defined twice: first on line %d", s.ID, c.m.states[first].def.Pos.Line)
	} else if parent >= 0 { // the root has the type's name, which a state may have as well
		c.m.index[s.ID] = i
	}
	c.m.states = append(c.m.states, state{
		def: s, id: s.ID, self: []string{s.ID}, kind: s.Type, parent: parent, depth: depth, deep: s.Deep,
		outcome: s.Outcome,
	})
	for _, child := range s.States {
		number := c.number(child, i, depth+1)
		if child.Type == History {
			c.m.states[i].histories = append(c.m.states[i].histories, number)
		} else {
			c.m.states[i].children = append(c.m.states[i].children, number)
		}
	}
	c.m.states[i].end = len(c.m.states)
	return i
}

// state compiles what hangs on one state.
func (c *compiler) state(i int) {
	s := &c.m.states[i]
	def := s.def
	s.entry = c.actions(def.Entry)
	s.exit = c.actions(def.Exit)
	s.output = c.template(def.Output, WantAny)
	s.errorCode = c.template(def.ErrorCode, WantString)
	s.errorMessage = c.template(def.ErrorMessage, WantString)
	switch s.kind {
	case Compound, Parallel:
		c.composite(i)
	case History:
		s.target = c.pseudo(s.parent, &Transition{Pos: def.Pos, Targets: def.Target})
		c.historyTarget(s)
	default: // nothing is inside
	}
	for _, inv := range def.Invoke {
		s.invoke = append(s.invoke, c.invocation(i, inv, len(s.invoke), false))
	}
	for _, inv := range def.Tasks {
		s.tasks = append(s.tasks, c.invocation(i, inv, len(s.tasks), true))
	}
	c.needs(s)
	c.arrows(i)
}

// composite checks and links a state that has children.
func (c *compiler) composite(i int) {
	s := &c.m.states[i]
	if len(s.children) == 0 {
		c.errorf(s.def.Pos, "bad-type", "%s state %q has no child states", s.kind, s.id)
		return
	}
	initial := s.def.Initial
	if s.kind == Parallel {
		if initial != nil {
			c.errorf(initial.Pos, "bad-type", "parallel state %q enters all its regions: it has no initial", s.id)
		}
		for _, child := range s.children {
			if c.m.states[child].kind == Final {
				c.errorf(c.m.states[child].def.Pos, "bad-type", "a final state cannot be a region of parallel state %q", s.id)
			}
		}
		return
	}
	if initial == nil {
		initial = &Transition{Pos: s.def.Pos, Targets: []Name{{Pos: s.def.Pos, ID: c.m.states[s.children[0]].id}}}
	}
	s.initial = c.pseudo(i, initial)
	for n, target := range s.initial.targets {
		if !c.m.within(target, i) {
			c.errorf(initial.Targets[n].Pos, "bad-target", "initial %q of state %q is not inside it", c.m.states[target].id, s.id)
		}
	}
	if len(initial.Targets) == 0 {
		c.errorf(initial.Pos, "missing-target", "the initial of state %q names no state", s.id)
	}
}

func (c *compiler) historyTarget(s *state) {
	if len(s.def.Target) == 0 {
		c.errorf(s.def.Pos, "missing-target", "history state %q has no target: where to go when there is no history yet", s.id)
	}
	for n, target := range s.target.targets {
		switch other := &c.m.states[target]; {
		case !c.m.within(target, s.parent):
			c.errorf(s.def.Target[n].Pos, "bad-target", "target %q of history state %q is not inside %q", other.id, s.id, c.m.states[s.parent].id)
		case other.kind == History && other.parent == s.parent:
			c.errorf(s.def.Target[n].Pos, "bad-target", "target %q of history state %q is a history state as well: neither knows where to go", other.id, s.id)
		}
	}
	if s.parent == root {
		c.warnf(s.def.Pos, "useless-history", "history state %q remembers nothing: the top level is never left", s.id)
	}
}

// pseudo compiles an initial or a history's default.
func (c *compiler) pseudo(source int, def *Transition) *transition {
	t := &transition{source: source, pos: def.Pos, domain: source, actions: c.actions(def.Actions)}
	c.targets(t, def)
	return t
}

// targets resolves the names and refuses sets that cannot be active together.
func (c *compiler) targets(t *transition, def *Transition) {
	for _, name := range def.Targets {
		i, ok := c.m.index[name.ID]
		if !ok {
			c.errorf(name.Pos, "unknown-target", "there is no state %q%s", name.ID, c.suggest(name.ID))
			continue
		}
		for _, other := range t.targets {
			if !c.together(i, other) {
				c.errorf(name.Pos, "bad-target", "targets %q and %q cannot be active together", c.m.states[other].id, name.ID)
			}
		}
		t.targets = append(t.targets, i)
		t.hasHistory = t.hasHistory || c.m.states[i].kind == History
	}
}

// together reports whether two targets lie in different regions: the state that
// contains both is parallel. A history state leads anywhere within its parent, so
// it counts as its parent.
func (c *compiler) together(i, j int) bool {
	i, j = c.place(i), c.place(j)
	if i == j {
		return false
	}
	ancestor := i
	for ancestor >= 0 && ancestor != j && !c.m.within(j, ancestor) {
		ancestor = c.m.states[ancestor].parent
	}
	return ancestor >= 0 && ancestor != i && ancestor != j && c.m.states[ancestor].kind == Parallel
}

func (c *compiler) place(i int) int {
	if c.m.states[i].kind == History {
		return c.m.states[i].parent
	}
	return i
}

func (c *compiler) suggest(id string) string {
	if len(c.findings) > maxSuggestions {
		return ""
	}
	names := make([]string, 0, len(c.m.states))
	for i := 1; i < len(c.m.states); i++ {
		names = append(names, c.m.states[i].id)
	}
	return Suggest(id, names)
}

// arrows compiles the transitions of a state in the order in which they are
// tried: on, onDone, onError, after; and always.
func (c *compiler) arrows(i int) {
	s := &c.m.states[i]
	def := s.def
	add := func(list []*Transition, invoker *invocation, descs ...descriptor) {
		for _, t := range list {
			compiled := c.transition(i, t, descs)
			compiled.invoker = invoker
			s.trans = append(s.trans, compiled)
		}
	}
	for _, t := range def.On {
		add([]*Transition{t}, nil, descriptors(t.Events)...)
	}
	add(def.OnDone, nil, descriptor{name: "done.state." + s.id})
	all := slices.Concat(s.invoke, s.tasks)
	for _, inv := range all {
		add(inv.def.OnDone, inv, descriptor{name: inv.doneEvent})
	}
	for _, inv := range all {
		add(inv.def.OnError, inv, descriptor{name: inv.errorEvent})
	}
	var failures []descriptor
	for _, inv := range s.tasks {
		failures = append(failures, descriptor{name: inv.errorEvent})
	}
	add(def.OnError, nil, failures...)
	for n := range def.After {
		a := &def.After[n]
		event := "after." + a.Key + "." + s.id
		s.after = append(s.after, after{event: event, delay: c.delay(&a.Delay)})
		add(a.Transitions, nil, descriptor{name: event})
	}
	for _, t := range def.Always {
		s.always = append(s.always, c.transition(i, t, nil))
	}
}

func (c *compiler) transition(source int, def *Transition, descs []descriptor) *transition {
	t := &transition{
		source: source, descs: descs, pos: def.Pos, internal: def.Internal, guard: c.expr(def.Guard, WantBool),
		assign: c.assigns(def.Assign), actions: c.actions(def.Actions), domain: noDomain,
	}
	c.targets(t, def)
	if len(t.targets) > 0 && !t.hasHistory {
		t.domain = c.m.domain(t, t.targets)
	}
	return t
}

func descriptors(names []string) []descriptor {
	out := make([]descriptor, len(names))
	for i, name := range names {
		switch prefix, below := strings.CutSuffix(name, ".*"); {
		case name == "*":
			out[i] = descriptor{all: true}
		case below:
			out[i] = descriptor{name: prefix, prefix: true}
		default:
			out[i] = descriptor{name: name}
		}
	}
	return out
}

// expr compiles an expression; a failure is reported where the source has it.
func (c *compiler) expr(e *Expr, want Want) *expr {
	if e == nil {
		return nil
	}
	program, err := c.language.Compile(e.Source, want)
	if err != nil {
		pos, rule := e.Pos, "expression"
		if detail, ok := errors.AsType[*ExprError](err); ok {
			if detail.Line == 1 {
				pos.Col += detail.Col - 1
			}
			if detail.Rule != "" {
				rule = detail.Rule
			}
		}
		c.errorf(pos, rule, "%s", err.Error())
		return &expr{pos: e.Pos, source: e.Source}
	}
	return &expr{program: program, pos: e.Pos, source: e.Source}
}
