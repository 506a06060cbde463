package fsm

import (
	"encoding/json"
	"fmt"
	"math/bits"
	"time"

	"github.com/leat-io/leat/pkg/events"
)

// Machine is a compiled definition: immutable and safe for concurrent use.
// States are numbered in document order, so that the descendants of state i are
// the numbers from i+1 up to its end, entry order is rising and exit order
// falling.
type Machine struct {
	def    *Definition
	states []state
	index  map[string]int // number by id
	kinds  map[string]events.Kind
	loads  map[string]*Payload
	tasks  []string
	invs   map[string]*invocation // by invocationKey: to find what a TaskStatus is of
	undoes bool                   // some outcome or action may undo completed work
	limits limits
}

// root is the number of the state that contains all others.
const root = 0

// state is one compiled state.
type state struct {
	def       *State
	id        string
	self      []string // just id: shared by effects and charts
	kind      StateType
	parent    int // -1 for the root
	end       int // number after the last descendant
	depth     int
	children  []int // without history states
	histories []int
	initial   *transition // of a compound state
	entry     []action
	exit      []action
	trans     []*transition // that wait for an event, in the order tried
	always    []*transition
	after     []after
	invoke    []*invocation
	tasks     []*invocation
	taskAt    map[string]int // position in tasks, by name

	deep   bool        // of a history state
	target *transition // of a history state: its default

	output       *template // of a final state
	outcome      events.WorkflowState
	errorCode    *template
	errorMessage *template
}

// transition is one compiled arrow. Two pointers are equal only for the same one.
type transition struct {
	source     int
	targets    []int
	descs      []descriptor
	invoker    *invocation // onDone, onError of an invocation: only its own events count
	guard      *expr
	assign     []assign
	actions    []action
	pos        Pos
	internal   bool
	hasHistory bool // a target is a history state, so that domain depends on what it remembers
	domain     int  // what contains all that it leaves and enters; noDomain without targets
}

const noDomain = -1

// descriptor matches event names: exactly, below a prefix, or all.
type descriptor struct {
	name   string
	prefix bool // name and everything below "name."
	all    bool
}

func (d descriptor) matches(event string) bool {
	switch {
	case d.all:
		return true
	case !d.prefix:
		return d.name == event
	default:
		return len(event) >= len(d.name) && event[:len(d.name)] == d.name &&
			(len(event) == len(d.name) || event[len(d.name)] == '.')
	}
}

// expr is a compiled expression that knows its place.
type expr struct {
	program Program
	pos     Pos
	source  string
}

// template is a compiled [Template].
type template struct {
	pos     Pos
	expr    *expr
	literal json.RawMessage
	fields  []field
	items   []*template
	object  bool
}

type field struct {
	name  string
	value *template
}

// assign is a compiled [Assign]: to the variable of that kind, or to a payload.
type assign struct {
	pos     Pos
	name    string
	kind    events.Kind
	payload *Payload
	value   *template
	fixed   events.ContextValue // of a literal for a variable
}

// action is a compiled [Action].
type action struct {
	def        *Action
	assign     []assign
	data       *template
	to         *template
	delay      *delay
	cond       *expr
	then, or   []action
	compensate []*invocation // what a compensate action may undo
}

// after is a compiled [After].
type after struct {
	event string
	delay delay
}

type delay struct {
	fixed time.Duration
	expr  *expr
}

// invocation is a compiled [Invocation].
type invocation struct {
	def        *Invocation
	state      int
	name       string // of its done and error events: the id
	dag        bool
	position   int // in its state
	taskType   events.TaskType
	input      *template
	needs      []need
	dependants []int // positions of the tasks that need it
	timeouts   events.Timeouts
	compensate *invocation
	doneEvent  string
	errorEvent string
}

type need struct {
	task      int // position in the state's tasks
	kind      NeedType
	condition *expr
}

// Type is the workflow type that the definition defines.
func (m *Machine) Type() string { return m.def.Type }

// Version is the definition's version.
func (m *Machine) Version() int32 { return m.def.Version }

// Description is the definition's own, for people.
func (m *Machine) Description() string { return m.def.Description }

// Definition is what the machine was compiled from. Read it only.
func (m *Machine) Definition() *Definition { return m.def }

// Tasks lists the names, "queue.task", of every task that the machine can put on a
// queue, each once, in document order.
func (m *Machine) Tasks() []string { return append([]string(nil), m.tasks...) }

// CheckInput checks a start payload against the definition's input schema. The
// error is an *[events.FieldError] or an *[events.Error] with code
// INVALID_INPUT; both name the path that is wrong.
func (m *Machine) CheckInput(payload json.RawMessage) error {
	if m.def.CheckInput == nil {
		return nil
	}
	if len(payload) == 0 {
		payload = nullJSON
	}
	return m.def.CheckInput(payload)
}

// CheckChart reports whether the machine can go on from a chart: every id in it
// is the definition's, and its configuration is one that the machine can be in.
func (m *Machine) CheckChart(chart events.Chart) error {
	config := newSet(len(m.states))
	for _, id := range chart.Active {
		i, ok := m.index[id]
		if !ok {
			return fmt.Errorf("chart: version %d of %s has no state %q", m.Version(), m.Type(), id)
		}
		for ; i >= 0; i = m.states[i].parent {
			config.add(i)
		}
	}
	if m.ended(&chart) {
		return nil
	}
	for i := range m.states {
		if err := m.checkState(config, i); err != nil {
			return err
		}
	}
	return nil
}

func (m *Machine) checkState(config set, i int) error {
	s := &m.states[i]
	if !config.has(i) {
		return nil
	}
	count := 0
	for _, child := range s.children {
		if config.has(child) {
			count++
		}
	}
	switch {
	case s.kind == History:
		return fmt.Errorf("chart: history state %q is active", s.id)
	case s.kind == Compound && count != 1:
		return fmt.Errorf("chart: compound state %q has %d active children, want 1", s.id, count)
	case s.kind == Parallel && count != len(s.children):
		return fmt.Errorf("chart: parallel state %q has %d active regions of %d", s.id, count, len(s.children))
	}
	return nil
}

// finished reports whether a final state at the top level is active.
func (m *Machine) finished(active []string) bool {
	if len(active) == 0 {
		return false
	}
	if m.states[root].kind == Parallel {
		return m.regionsFinal(active)
	}
	if len(active) != 1 {
		return false
	}
	i, ok := m.index[active[0]]
	return ok && m.states[i].kind == Final && m.states[i].parent == root
}

// regionsFinal is finished for a parallel root: all its regions are done.
func (m *Machine) regionsFinal(active []string) bool {
	config := newSet(len(m.states))
	for _, id := range active {
		i, ok := m.index[id]
		if !ok {
			return false
		}
		for ; i >= 0; i = m.states[i].parent {
			config.add(i)
		}
	}
	return m.inFinal(config, root)
}

// within reports whether state i is a descendant of state of.
func (m *Machine) within(i, of int) bool { return i > of && i < m.states[of].end }

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

// set is a set of state numbers: one bit each.
type set []uint64

func newSet(n int) set { return make(set, (n+63)/64) }

func (s set) has(i int) bool { return s[i>>6]&(1<<(i&63)) != 0 }
func (s set) add(i int)      { s[i>>6] |= 1 << (i & 63) }
func (s set) remove(i int)   { s[i>>6] &^= 1 << (i & 63) }

func (s set) clear() { clear(s) }

// next is the smallest member that is at least i, or -1.
func (s set) next(i int) int {
	if i>>6 >= len(s) {
		return -1
	}
	word := s[i>>6] >> (i & 63) << (i & 63)
	for w := i >> 6; ; word = s[w] {
		if word != 0 {
			return w<<6 + bits.TrailingZeros64(word)
		}
		if w++; w == len(s) {
			return -1
		}
	}
}

// prev is the largest member that is at most i, or -1.
func (s set) prev(i int) int {
	for ; i >= 0; i-- {
		if i&63 == 63 && s[i>>6] == 0 {
			i -= 63
			continue
		}
		if s.has(i) {
			return i
		}
	}
	return -1
}

// anyIn reports whether s holds a number from lo up to but not hi.
func (s set) anyIn(lo, hi int) bool {
	i := s.next(lo)
	return i >= 0 && i < hi
}
