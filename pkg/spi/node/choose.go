package node

import (
	"cmp"
	"slices"

	"github.com/leat-io/leat/pkg/events"
)

// Strategy says which of the nodes that can run a task gets it.
type Strategy string

// The strategies.
const (
	// RoundRobin takes the nodes in turn.
	RoundRobin Strategy = "round_robin"
	// LeastLoaded takes the node that is the least loaded with the task on it: of
	// what the task takes, its scarcest resource counts.
	LeastLoaded Strategy = "least_loaded"
	// CapabilityBased takes the node with the fewest capabilities and resources that
	// the task has no use for, so that special nodes stay free for what needs them;
	// of these the least loaded.
	CapabilityBased Strategy = "capability_based"
	// PriorityWeighted spreads urgent tasks and packs the others: the more urgent a
	// task, the emptier the node that it gets; a low one gets the fullest that still
	// has room.
	PriorityWeighted Strategy = "priority_weighted"
)

// Strategies lists the closed set.
func Strategies() []Strategy {
	return []Strategy{RoundRobin, LeastLoaded, CapabilityBased, PriorityWeighted}
}

// Choose picks one of the candidates for a task. It is pure, and the order of the
// candidates does not matter. turn is how many tasks were given before, for
// [RoundRobin]. False: there is no candidate, or no such strategy.
func Choose(by Strategy, candidates []Candidate, task *Task, turn uint64) (Candidate, bool) {
	if len(candidates) == 0 {
		return Candidate{}, false
	}
	for i := range candidates {
		if task.Preferred != "" && candidates[i].Node.NodeID == task.Preferred {
			return candidates[i], true
		}
	}
	ranked := slices.Clone(candidates)
	slices.SortFunc(ranked, func(a, b Candidate) int { return cmp.Compare(a.Node.NodeID, b.Node.NodeID) })
	n := len(ranked)
	switch by {
	case RoundRobin:
		return ranked[turn%uint64(n)], true
	case LeastLoaded:
		byLoad(ranked, task)
		return ranked[0], true
	case CapabilityBased:
		byLoad(ranked, task)
		slices.SortStableFunc(ranked, func(a, b Candidate) int {
			return cmp.Compare(surplus(&a.Node, &task.Needs), surplus(&b.Node, &task.Needs))
		})
		return ranked[0], true
	case PriorityWeighted:
		byLoad(ranked, task)
		return ranked[(n-1)*relaxed(task.Priority)/(len(events.TaskPriorities())-1)], true
	}
	return Candidate{}, false
}

// byLoad orders candidates, the least loaded first; those that are equally loaded
// keep their order.
func byLoad(list []Candidate, task *Task) {
	slices.SortStableFunc(list, func(a, b Candidate) int { return cmp.Compare(a.load(task), b.load(task)) })
}

// load is how loaded a node would be with the task on it: the part of its scarcest
// resource that is taken then, of those that the task takes.
func (c *Candidate) load(task *Task) float64 {
	most := c.part(events.ResourceSlots, 1)
	for name, want := range task.Needs.Resources {
		most = max(most, c.part(name, want))
	}
	return most
}

func (c *Candidate) part(resource string, want int64) float64 {
	capacity := c.Node.Capacity[resource]
	if capacity == 0 {
		return 0
	}
	return float64(capacity-c.Free[resource]+want) / float64(capacity)
}

// surplus is how much of what a node has a task has no use for.
func surplus(n *Node, needs *Needs) int {
	extra := 0
	for _, capability := range n.Capabilities {
		if !slices.Contains(needs.Requires, capability) {
			extra++
		}
	}
	for name := range n.Capacity {
		if _, used := needs.Resources[name]; !used && name != events.ResourceSlots {
			extra++
		}
	}
	return extra
}

// relaxed is how little urgent a priority is: 0 is the most urgent.
func relaxed(p events.TaskPriority) int {
	all := events.TaskPriorities()
	at := slices.Index(all, p)
	if at < 0 {
		at = slices.Index(all, events.PriorityNormal)
	}
	return len(all) - 1 - at
}
