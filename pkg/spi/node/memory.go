package node

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/leat-io/leat/pkg/events"
)

// Memory is a [Registrar], a [Discovery] and an [Assigner] within one process. Use
// [NewMemory].
type Memory struct {
	clock    func() time.Time
	strategy Strategy

	mu     sync.Mutex
	view   *View
	ledger *Ledger
}

var (
	_ Registrar = (*Memory)(nil)
	_ Discovery = (*Memory)(nil)
	_ Assigner  = (*Memory)(nil)
)

// NewMemory makes one without nodes. clock says what time it is; by is how tasks are
// given to nodes.
func NewMemory(clock func() time.Time, by Strategy) *Memory {
	return &Memory{clock: clock, strategy: by, view: NewView(), ledger: NewLedger()}
}

// RegisterWorkflowNode implements [Registrar].
func (m *Memory) RegisterWorkflowNode(_ context.Context, n events.NodeRecord) (string, error) {
	n.Beat = 0
	if err := n.Validate(); err != nil {
		return "", errors.Join(ErrInvalid, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	own := Node{NodeRecord: n}
	now := m.clock()
	m.sweep(now)
	if n = own.Copied().NodeRecord; m.view.Apply(&n, now, now) == LateBeat || !m.view.Has(own.Key()) {
		return "", ErrGone
	}
	return n.NodeID, nil
}

// sweep gives up who is expired. m.mu is held.
func (m *Memory) sweep(now time.Time) {
	for _, k := range m.view.Expired(now) {
		m.view.Remove(k.NodeID, k.Incarnation, now)
	}
	m.ledger.Keep(m.view.Has)
}

// UpdateNodeHeartbeat implements [Registrar].
func (m *Memory) UpdateNodeHeartbeat(_ context.Context, id string, incarnation events.UUID, load Load) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.clock()
	m.sweep(now)
	is := m.view.nodes[id]
	if is == nil || is.record.Incarnation != incarnation {
		return ErrGone
	}
	next := is.record
	next.Beat++
	next.Load, next.Shares, next.BeatAt = load.Used, load.Shares, events.Instant(now)
	if err := next.Validate(); err != nil {
		return errors.Join(ErrInvalid, err)
	}
	own := Node{NodeRecord: next}
	next = own.Copied().NodeRecord
	m.view.Apply(&next, now, now)
	return nil
}

// DeregisterWorkflowNode implements [Registrar].
func (m *Memory) DeregisterWorkflowNode(_ context.Context, id string, incarnation events.UUID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.clock()
	m.view.Remove(id, incarnation, now)
	m.sweep(now)
	return nil
}

// WorkflowNodes implements [Discovery].
func (m *Memory) WorkflowNodes(context.Context) ([]Node, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return copied(m.view.Nodes(m.clock())), nil
}

// FindCapableNodes implements [Discovery].
func (m *Memory) FindCapableNodes(_ context.Context, needs Needs) ([]Node, error) {
	if err := needs.Validate(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return NodesOf(Capable(m.view.Nodes(m.clock()), &needs, m.ledger.Given)), nil
}

// AssignTaskToNode implements [Assigner].
func (m *Memory) AssignTaskToNode(_ context.Context, task Task) (Node, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.clock()
	m.sweep(now)
	return m.ledger.Assign(m.strategy, m.view.Nodes(now), task)
}

// ReleaseTask implements [Assigner].
func (m *Memory) ReleaseTask(_ context.Context, task events.UUID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ledger.Release(task)
	return nil
}

func copied(nodes []Node) []Node {
	for i := range nodes {
		nodes[i] = nodes[i].Copied()
	}
	return nodes
}

// NodesOf is the nodes of candidates, as the caller's own.
func NodesOf(candidates []Candidate) []Node {
	list := make([]Node, len(candidates))
	for i := range candidates {
		list[i] = candidates[i].Node.Copied()
	}
	return list
}

// Ledger is what one assigner has given to which nodes. It is not safe for concurrent
// use.
type Ledger struct {
	tasks map[events.UUID]entry
	used  map[Key]map[string]int64
	turn  uint64
}

// entry is a task, and who has it.
type entry struct {
	node  Key
	takes map[string]int64
}

// NewLedger makes an empty one.
func NewLedger() *Ledger {
	return &Ledger{tasks: make(map[events.UUID]entry), used: make(map[Key]map[string]int64)}
}

// Assign gives a task to one of the nodes; see [Assigner].
func (l *Ledger) Assign(by Strategy, nodes []Node, task Task) (Node, error) {
	if err := task.Needs.Validate(); err != nil {
		return Node{}, err
	}
	if has, given := l.tasks[task.ID]; given {
		for i := range nodes {
			if nodes[i].Key() == has.node {
				return nodes[i].Copied(), nil
			}
		}
		l.Release(task.ID)
	}
	chosen, ok := Choose(by, Capable(nodes, &task.Needs, l.Given), &task, l.turn)
	if !ok {
		return Node{}, WhyNone(nodes, &task.Needs, l.Given)
	}
	l.turn++
	l.Give(task.ID, chosen.Node.Key(), &task.Needs)
	return chosen.Node.Copied(), nil
}

// Give notes that a node has a task. One that had it before has it no more.
func (l *Ledger) Give(task events.UUID, to Key, needs *Needs) {
	l.Release(task)
	takes := Takes(needs)
	l.tasks[task] = entry{to, takes}
	used := l.used[to]
	if used == nil {
		used = make(map[string]int64)
		l.used[to] = used
	}
	for name, n := range takes {
		used[name] = Add(used[name], n)
	}
}

// Takes is what a task takes of a node: what it asks for, and a slot.
func Takes(needs *Needs) map[string]int64 {
	takes := maps.Clone(needs.Resources)
	if takes == nil {
		takes = make(map[string]int64, 1)
	}
	takes[events.ResourceSlots] = max(1, takes[events.ResourceSlots])
	return takes
}

// Release notes that nobody has a task any more.
func (l *Ledger) Release(task events.UUID) {
	has, given := l.tasks[task]
	if !given {
		return
	}
	delete(l.tasks, task)
	used := l.used[has.node]
	for name, n := range has.takes {
		if used[name] -= n; used[name] <= 0 {
			delete(used, name)
		}
	}
	if len(used) == 0 {
		delete(l.used, has.node)
	}
}

// Keep releases the tasks of nodes that are not there.
func (l *Ledger) Keep(there func(Key) bool) {
	for task, has := range l.tasks {
		if !there(has.node) {
			l.Release(task)
		}
	}
}

// Given is what a node has from here.
func (l *Ledger) Given(to Key) Given { return Given{Used: l.used[to]} }
