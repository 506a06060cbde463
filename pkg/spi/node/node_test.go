package node_test

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/spi/node"
)

var noon = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

func id(name string) events.UUID { return events.DeriveUUID(events.Namespace, name) }

func beat(name string, incarnation, n int) *events.NodeRecord {
	return &events.NodeRecord{
		NodeID: name, Incarnation: id(fmt.Sprint(name, "/", incarnation)), Beat: int64(n), Types: []events.NodeType{events.NodeEffect}, StartedAt: noon, BeatAt: noon,
	}
}

// What a record does, after those before it.
func TestView(t *testing.T) {
	type step struct {
		n    *events.NodeRecord // nil: a tombstone of incarnation
		of   events.UUID
		at   time.Duration
		want node.Change
	}
	gone := func(n int) step { return step{of: id(fmt.Sprint("a/", n)), want: node.Left} }
	for name, steps := range map[string][]step{
		"beats":                         {{beat("a", 1, 0), events.Nil, 0, node.Joined}, {beat("a", 1, 1), events.Nil, 5 * time.Second, node.Updated}, {beat("a", 1, 2), events.Nil, 34 * time.Second, node.Updated}},
		"a registration is gone":        {{beat("a", 1, 9), events.Nil, 0, node.Joined}},
		"twice":                         {{beat("a", 1, 0), events.Nil, 0, node.Joined}, {beat("a", 1, 0), events.Nil, 1, node.Nothing}},
		"overtaken":                     {{beat("a", 1, 3), events.Nil, 0, node.Joined}, {beat("a", 1, 2), events.Nil, 1, node.Nothing}},
		"too late":                      {{beat("a", 1, 0), events.Nil, 0, node.Joined}, {beat("a", 1, 1), events.Nil, node.ExpiresAfter, node.LateBeat}, {beat("a", 1, 2), events.Nil, node.ExpiresAfter + 1, node.LateBeat}},
		"after a tombstone":             {{beat("a", 1, 0), events.Nil, 0, node.Joined}, gone(1), {beat("a", 1, 1), events.Nil, 1, node.LateBeat}, {beat("a", 2, 0), events.Nil, 2, node.Joined}},
		"replaced":                      {{beat("a", 1, 0), events.Nil, 0, node.Joined}, {beat("a", 2, 0), events.Nil, 1, node.Joined}, {beat("a", 1, 1), events.Nil, 2, node.Nothing}, {beat("a", 2, 1), events.Nil, 3, node.Updated}},
		"a tombstone of the replaced":   {{beat("a", 1, 0), events.Nil, 0, node.Joined}, {beat("a", 2, 0), events.Nil, 1, node.Joined}, {of: id("a/1"), want: node.Nothing}, {beat("a", 2, 1), events.Nil, 3, node.Updated}},
		"a tombstone that names nobody": {{beat("a", 1, 0), events.Nil, 0, node.Joined}, {want: node.Left}, {beat("a", 1, 1), events.Nil, 1, node.LateBeat}},
	} {
		t.Run(name, func(t *testing.T) {
			v := node.NewView()
			for i, s := range steps {
				var got node.Change
				if s.n == nil {
					got = v.Remove("a", s.of, noon.Add(s.at))
				} else {
					got = v.Apply(s.n, noon.Add(s.at), noon.Add(s.at))
				}
				if got != s.want {
					t.Errorf("step %d: got %d, want %d", i, got, s.want)
				}
			}
		})
	}
}

// Whoever reads the records sees the same nodes, whether they have read from the
// beginning, or what compaction has left of it.
func TestCompactionChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type entry struct {
			n  *events.NodeRecord
			id string
		}
		var log []entry
		beats := map[string]int{}
		incarnation := map[string]int{}
		for range rapid.IntRange(0, 40).Draw(t, "records") {
			name := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "node")
			switch rapid.IntRange(0, 5).Draw(t, "what") {
			case 0:
				incarnation[name]++
				beats[name] = 0
				log = append(log, entry{beat(name, incarnation[name], 0), name})
			case 1:
				if incarnation[name] > 0 {
					log = append(log, entry{nil, name})
					incarnation[name]++
					beats[name] = -1
				}
			default:
				if incarnation[name] > 0 {
					beats[name]++
					log = append(log, entry{beat(name, incarnation[name], beats[name]), name})
				}
			}
		}
		last := map[string]int{}
		for i, e := range log {
			last[e.id] = i
		}
		whole, compacted := node.NewView(), node.NewView()
		for i, e := range log {
			at := noon.Add(time.Duration(i) * time.Second / 10)
			for _, v := range []*node.View{whole, compacted} {
				if v == compacted && last[e.id] != i {
					continue
				}
				if e.n == nil {
					v.Remove(e.id, events.Nil, at)
				} else {
					v.Apply(e.n, at, at)
				}
			}
		}
		end := noon.Add(4 * time.Second)
		if a, b := fmt.Sprint(whole.Nodes(end)), fmt.Sprint(compacted.Nodes(end)); a != b {
			t.Fatalf("whole:     %s\ncompacted: %s", a, b)
		}
	})
}

// candidates draws nodes that can run a task, and the task.
func candidates(t *rapid.T) ([]node.Candidate, *node.Task) {
	task := &node.Task{
		ID: id("task"), Priority: rapid.SampledFrom(append(events.TaskPriorities(), "")).Draw(t, "priority"),
		Needs: node.Needs{Requires: []string{"gpu"}, Resources: map[string]int64{"gpu": rapid.Int64Range(0, 4).Draw(t, "want")}},
	}
	var nodes []node.Node
	for i := range rapid.IntRange(1, 8).Draw(t, "nodes") {
		n := node.Node{Health: events.HealthHealthy}
		n.NodeRecord = *beat(fmt.Sprintf("n%d", i), 1, 0)
		n.Capabilities = append([]string{"gpu"}, rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"x", "y", "z"}), 0, 3, rapid.ID[string]).Draw(t, "more")...)
		n.Capacity = map[string]int64{"gpu": rapid.Int64Range(4, 16).Draw(t, "gpus"), "slots": rapid.Int64Range(1, 64).Draw(t, "slots")}
		n.Load = map[string]int64{"gpu": rapid.Int64Range(0, n.Capacity["gpu"]).Draw(t, "load")}
		nodes = append(nodes, n)
	}
	return node.Capable(nodes, &task.Needs, node.NothingGiven), task
}

func loadOf(c *node.Candidate, task *node.Task) float64 {
	part := func(name string, want int64) float64 {
		return float64(c.Node.Capacity[name]-c.Free[name]+want) / float64(c.Node.Capacity[name])
	}
	return max(part("slots", 1), part("gpu", task.Needs.Resources["gpu"]))
}

// What holds of every strategy: somebody gets the task, it is one of those who can,
// the order in which they are told does not matter, a preference wins.
func TestChooseLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list, task := candidates(t)
		turn := rapid.Uint64().Draw(t, "turn")
		for _, by := range node.Strategies() {
			got, ok := node.Choose(by, list, task, turn)
			if ok != (len(list) > 0) {
				t.Fatalf("%s: %v of %d", by, ok, len(list))
			}
			if !ok {
				continue
			}
			shuffled := rapid.Permutation(list).Draw(t, "order")
			if again, _ := node.Choose(by, shuffled, task, turn); again.Node.NodeID != got.Node.NodeID {
				t.Fatalf("%s: %s, in another order %s", by, got.Node.NodeID, again.Node.NodeID)
			}
			for name, want := range task.Needs.Resources {
				if got.Free[name] < want {
					t.Fatalf("%s: %s has %d %s free, wanted are %d", by, got.Node.NodeID, got.Free[name], name, want)
				}
			}
			choosy := *task
			choosy.Preferred = shuffled[0].Node.NodeID
			if is, _ := node.Choose(by, list, &choosy, turn); is.Node.NodeID != choosy.Preferred {
				t.Fatalf("%s: got %s, preferred is %s", by, is.Node.NodeID, choosy.Preferred)
			}
		}
		if _, ok := node.Choose("none", list, task, turn); ok {
			t.Fatal("a strategy that there is not has chosen")
		}
	})
}

func TestRoundRobinIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list, task := candidates(t)
		rounds, from := rapid.IntRange(1, 5).Draw(t, "rounds"), rapid.Uint64Range(0, 1<<40).Draw(t, "from")
		got := map[string]int{}
		for i := range rounds * len(list) {
			c, _ := node.Choose(node.RoundRobin, list, task, from+uint64(i))
			got[c.Node.NodeID]++
		}
		for name, n := range got {
			if n != rounds {
				t.Fatalf("%s got %d of %d rounds", name, n, rounds)
			}
		}
	})
}

func TestLeastLoadedIs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list, task := candidates(t)
		got, ok := node.Choose(node.LeastLoaded, list, task, 0)
		for i := range list {
			if ok && loadOf(&list[i], task) < loadOf(&got, task) {
				t.Fatalf("%s is less loaded than %s", list[i].Node.NodeID, got.Node.NodeID)
			}
		}
	})
}

// Tasks that are given one after the other to equal nodes are spread evenly.
func TestLeastLoadedSpreadsEvenly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, tasks := rapid.IntRange(1, 6).Draw(t, "nodes"), rapid.IntRange(0, 40).Draw(t, "tasks")
		ledger := node.NewLedger()
		var nodes []node.Node
		for i := range n {
			is := node.Node{NodeRecord: *beat(fmt.Sprintf("n%d", i), 1, 0), Health: events.HealthHealthy}
			is.Capacity = map[string]int64{"gpu": 100}
			nodes = append(nodes, is)
		}
		got := map[string]int{}
		for i := range tasks {
			is, err := ledger.Assign(node.LeastLoaded, nodes, node.Task{ID: id(strconv.Itoa(i)), Needs: node.Needs{Resources: map[string]int64{"gpu": 1}}})
			if err != nil {
				t.Fatal(err)
			}
			got[is.NodeID]++
		}
		for _, count := range got {
			if count > tasks/n+1 || len(got) == n && count < tasks/n {
				t.Fatalf("%d tasks over %d nodes: %v", tasks, n, got)
			}
		}
	})
}

func TestCapabilityBasedKeepsSpecialNodesFree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list, task := candidates(t)
		got, ok := node.Choose(node.CapabilityBased, list, task, 0)
		for i := range list {
			c := &list[i]
			fewer := len(c.Node.Capabilities) < len(got.Node.Capabilities)
			same := len(c.Node.Capabilities) == len(got.Node.Capabilities)
			if ok && (fewer || same && loadOf(c, task) < loadOf(&got, task)) {
				t.Fatalf("%v was chosen before %v", got, *c)
			}
		}
	})
}

// The more urgent a task, the emptier the node that it gets.
func TestPriorityWeightedIsMonotone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list, task := candidates(t)
		if len(list) == 0 {
			return
		}
		loads := make([]float64, 0, len(list))
		for i := range list {
			loads = append(loads, loadOf(&list[i], task))
		}
		before := slices.Max(loads)
		for i, p := range events.TaskPriorities() {
			task.Priority = p
			got, _ := node.Choose(node.PriorityWeighted, list, task, 0)
			load := loadOf(&got, task)
			if i == 0 && load != slices.Max(loads) || p == events.PriorityUrgent && load != slices.Min(loads) || load > before {
				t.Fatalf("%s goes to a load of %f of %v, the priority below to %f", p, load, loads, before)
			}
			before = load
		}
	})
}

// What others have on a node counts, what is the asker's own does not count twice.
func TestFree(t *testing.T) {
	n := node.Node{NodeRecord: *beat("a", 1, 0)}
	n.Capacity = map[string]int64{"gpu": 8, "slots": 4}
	n.Load = map[string]int64{"gpu": 5, "slots": 3}
	n.Shares = []events.NodeShare{{Lane: "order/1", Load: map[string]int64{"gpu": 2, "slots": 1}}, {Lane: "order/2", Load: map[string]int64{"gpu": 1}}}
	needs := &node.Needs{Resources: map[string]int64{"gpu": 1, "disk": 1}}
	mine := func(lane string) bool { return lane == "order/1" }
	for name, c := range map[string]struct {
		given node.Given
		want  map[string]int64
	}{
		"nobody":            {node.Given{}, map[string]int64{"gpu": 3, "disk": 0, "slots": 1}},
		"mine is in it":     {node.Given{Used: map[string]int64{"gpu": 2, "slots": 1}, Mine: mine}, map[string]int64{"gpu": 3, "disk": 0, "slots": 1}},
		"more than it said": {node.Given{Used: map[string]int64{"gpu": 6}, Mine: mine}, map[string]int64{"gpu": -1, "disk": 0, "slots": 2}},
		"mine has ended":    {node.Given{Mine: mine}, map[string]int64{"gpu": 5, "disk": 0, "slots": 2}},
	} {
		if got := node.Free(&n, needs, c.given); !maps.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

// What people read of a task that no node can run.
func TestWhyNone(t *testing.T) {
	full := node.Node{NodeRecord: *beat("full", 1, 0), Health: events.HealthHealthy}
	full.Queues, full.Capabilities = []string{"train"}, []string{"gpu"}
	full.Capacity, full.Load = map[string]int64{"memory_mb": 8192}, map[string]int64{"memory_mb": 6000}
	silent := full
	silent.NodeID, silent.Health, silent.Silent, silent.Load = "silent", events.HealthUnhealthy, 17*time.Second, nil
	mail := node.Node{NodeRecord: *beat("mail", 1, 0), Health: events.HealthHealthy}
	mail.Queues = []string{"mail"}
	router := node.Node{NodeRecord: *beat("router", 1, 0), Health: events.HealthHealthy}
	all := []node.Node{full, mail, router, silent}
	for name, c := range map[string]struct {
		nodes []node.Node
		needs node.Needs
		want  string
	}{
		"nobody": {[]node.Node{router}, node.Needs{}, "there is no node that runs tasks: start an executor"},
		"full": {
			all,
			node.Needs{Queue: "train", Requires: []string{"gpu"}, Resources: map[string]int64{"memory_mb": 4096}},
			"no live node has all of it free: full has 2192 of 8192 memory_mb free, wanted are 4096; silent is unhealthy: the last beat was 17s ago; " +
				"mail does not run tasks of queue train, does not have gpu, has 0 memory_mb, wanted are 4096",
		},
		"missing": {
			[]node.Node{full},
			node.Needs{Requires: []string{"tpu"}, Resources: map[string]int64{"memory_mb": 9000}},
			"no live node has tpu and 9000 memory_mb: full does not have tpu, has 8192 memory_mb, wanted are 9000",
		},
		"no queue": {[]node.Node{mail}, node.Needs{Queue: "train"}, "no live node has the queue train: mail does not run tasks of queue train"},
	} {
		if got := node.WhyNone(c.nodes, &c.needs, node.NothingGiven).Error(); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, c.want)
		}
	}
}
