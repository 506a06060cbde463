package node

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/leat-io/leat/pkg/events"
)

// Candidate is a node, and what of it is free for whoever asks.
type Candidate struct {
	Node Node
	Free map[string]int64 // of each resource that was asked for, and of slots; may be below 0
}

// Given is what whoever asks gave to a node, and which of the node's shares that is.
// The zero value is of one who gave nothing.
type Given struct {
	Used map[string]int64
	Mine func(lane string) bool // nil: none of its shares
}

// Capable lists the nodes that can run a task now, in their order. given is what
// whoever asks has given to each.
func Capable(nodes []Node, needs *Needs, given func(Key) Given) []Candidate {
	var list []Candidate
	for i := range nodes {
		c := Candidate{Node: nodes[i], Free: Free(&nodes[i], needs, given(nodes[i].Key()))}
		if len(unmet(&c, needs, given(nodes[i].Key()))) == 0 {
			list = append(list, c)
		}
	}
	return list
}

// NothingGiven is what one gave who gave nothing.
func NothingGiven(Key) Given { return Given{} }

// Free is what a node has left of the resources that are asked for, and of its slots:
// its capacity, less what was given to it here, less what it has of others. What it
// does not have at all is 0.
func Free(n *Node, needs *Needs, given Given) map[string]int64 {
	free := make(map[string]int64, len(needs.Resources)+1)
	for name := range needs.Resources {
		free[name] = n.Capacity[name] - given.Used[name] - ofOthers(n, name, given.Mine)
	}
	if slots, counts := n.Capacity[events.ResourceSlots]; counts {
		free[events.ResourceSlots] = slots - given.Used[events.ResourceSlots] - ofOthers(n, events.ResourceSlots, given.Mine)
	}
	return free
}

// ofOthers is how much of a resource a node has for others than who asks.
func ofOthers(n *Node, resource string, mine func(lane string) bool) int64 {
	load := n.Load[resource]
	if mine == nil {
		return load
	}
	for i := range n.Shares {
		if mine(n.Shares[i].Lane) {
			load -= n.Shares[i].Load[resource]
		}
	}
	return max(0, load)
}

// unmet says what keeps a node from running a task, most telling first.
func unmet(c *Candidate, needs *Needs, given Given) []string {
	var list []string
	n := &c.Node
	if needs.Type != "" && !slices.Contains(n.Types, needs.Type) {
		list = append(list, fmt.Sprintf("is no %s node", needs.Type))
	}
	if needs.Queue != "" && !slices.Contains(n.Queues, needs.Queue) {
		list = append(list, "does not run tasks of queue "+needs.Queue)
	}
	for _, capability := range needs.Requires {
		if !slices.Contains(n.Capabilities, capability) {
			list = append(list, "does not have "+capability)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(needs.Resources)) {
		want, has := needs.Resources[name], n.Capacity[name]
		switch {
		case want > has:
			list = append(list, fmt.Sprintf("has %d %s, wanted are %d", has, name, want))
		case want > c.Free[name]:
			list = append(list, fmt.Sprintf("has %d of %d %s free, wanted are %d", max(0, c.Free[name]), has, name, want))
		}
	}
	// What others have in its slots passes: tasks wait for a slot within the node.
	if slots, counts := n.Capacity[events.ResourceSlots]; counts && given.Used[events.ResourceSlots] >= slots {
		list = append(list, fmt.Sprintf("runs %d tasks at once, as many were given to it", slots))
	}
	if n.Health != events.HealthHealthy {
		list = append(list, fmt.Sprintf("is %s: the last beat was %s ago", n.Health, n.Silent.Round(time.Second)))
	}
	return list
}

// NoNodeError says why no node can run a task now. It is also what people read of a
// task that is blocked.
type NoNodeError struct {
	Needs   Needs    `json:"needs"`
	Nodes   int      `json:"nodes"`             // that there are, and could run tasks at all
	Missing []string `json:"missing,omitempty"` // what none of them has
	Nearest []Near   `json:"nearest,omitempty"` // those that come nearest, best first
}

// Near is a node that cannot run a task, and why.
type Near struct {
	NodeID string   `json:"node_id"`
	Unmet  []string `json:"unmet"`
}

// nearest is how many nodes a [NoNodeError] names.
const nearest = 3

// WhyNone says why no node can run a task now. Nodes that run no tasks, as routers
// and projectors, are left out.
func WhyNone(nodes []Node, needs *Needs, given func(Key) Given) *NoNodeError {
	e := &NoNodeError{Needs: *needs}
	for i := range nodes {
		n := &nodes[i]
		if len(n.Queues) == 0 {
			continue
		}
		e.Nodes++
		c := Candidate{Node: *n, Free: Free(n, needs, given(n.Key()))}
		e.Nearest = append(e.Nearest, Near{n.NodeID, unmet(&c, needs, given(n.Key()))})
	}
	e.Missing = missing(nodes, needs)
	slices.SortStableFunc(e.Nearest, func(a, b Near) int { return cmp.Compare(len(a.Unmet), len(b.Unmet)) })
	e.Nearest = e.Nearest[:min(nearest, len(e.Nearest))]
	return e
}

// missing is what no node has, however little it has to do.
func missing(nodes []Node, needs *Needs) []string {
	var list []string
	none := func(what string, has func(*Node) bool) {
		for i := range nodes {
			if has(&nodes[i]) {
				return
			}
		}
		list = append(list, what)
	}
	if needs.Queue != "" {
		none("the queue "+needs.Queue, func(n *Node) bool { return slices.Contains(n.Queues, needs.Queue) })
	}
	for _, capability := range needs.Requires {
		none(capability, func(n *Node) bool { return slices.Contains(n.Capabilities, capability) })
	}
	for _, name := range slices.Sorted(maps.Keys(needs.Resources)) {
		want := needs.Resources[name]
		none(fmt.Sprintf("%d %s", want, name), func(n *Node) bool { return n.Capacity[name] >= want })
	}
	return list
}

// Error is one sentence: what is missing, and which node comes nearest.
func (e *NoNodeError) Error() string {
	var b strings.Builder
	switch {
	case e.Nodes == 0:
		return "there is no node that runs tasks: start an executor"
	case len(e.Missing) > 0:
		fmt.Fprintf(&b, "no live node has %s", strings.Join(e.Missing, " and "))
	default:
		b.WriteString("no live node has all of it free")
	}
	for i, near := range e.Nearest {
		sep := "; "
		if i == 0 {
			sep = ": "
		}
		fmt.Fprintf(&b, "%s%s %s", sep, near.NodeID, strings.Join(near.Unmet, ", "))
	}
	return b.String()
}
