package spitest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"sync"

	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/spi/node"
)

func registeredNodesAreFound(ctx context.Context, n Nodes) error {
	want := gpu("a")
	if err := n.register(ctx, want, gpu("b")); err != nil {
		return err
	}
	list, err := n.Discovery.WorkflowNodes(ctx)
	if err != nil || len(list) != 2 {
		return fmt.Errorf("there are %d nodes (%w), want 2", len(list), err)
	}
	got := list[0]
	if !reflect.DeepEqual(got.NodeRecord, want) {
		return fmt.Errorf("the record is %+v, want %+v", got.NodeRecord, want)
	}
	if got.Health != events.HealthHealthy || got.LastBeat.IsZero() {
		return fmt.Errorf("it is %s, last heard of %s: want healthy, and a time", got.Health, got.LastBeat)
	}
	return n.capable(ctx, wantsGPU("t").Needs, "a b ")
}

func registeringAgainChangesNothing(ctx context.Context, n Nodes) error {
	a := gpu("a")
	if err := n.register(ctx, a); err != nil {
		return err
	}
	busy := node.Load{Used: map[string]int64{"gpu": 2}}
	if err := n.Registrar.UpdateNodeHeartbeat(ctx, "a", a.Incarnation, busy); err != nil {
		return err
	}
	if err := n.register(ctx, a); err != nil {
		return err
	}
	return n.capable(ctx, wantsGPU("t").Needs, "") // it is as busy as before
}

func anotherIncarnationReplaces(ctx context.Context, n Nodes) error {
	old, young := gpu("a"), gpu("a")
	young.Incarnation, young.Capabilities = id("a/2"), []string{"tpu"}
	if err := n.register(ctx, old, young); err != nil {
		return err
	}
	if err := failsWith("a beat of the old one", n.Registrar.UpdateNodeHeartbeat(ctx, "a", old.Incarnation, node.Load{}), node.ErrGone); err != nil {
		return err
	}
	if err := n.Registrar.DeregisterWorkflowNode(ctx, "a", old.Incarnation); err != nil {
		return err
	}
	if _, err := n.Registrar.RegisterWorkflowNode(ctx, old); !errors.Is(err, node.ErrGone) {
		return fmt.Errorf("registering the old one again: got %w, want ErrGone", err)
	}
	return n.capable(ctx, node.Needs{Requires: []string{"tpu"}}, "a ")
}

func whatIsNotValidIsRefused(ctx context.Context, n Nodes) error {
	for name, spoil := range map[string]func(*events.NodeRecord){
		"no id":             func(r *events.NodeRecord) { r.NodeID = "" },
		"no incarnation":    func(r *events.NodeRecord) { r.Incarnation = events.Nil },
		"negative capacity": func(r *events.NodeRecord) { r.Capacity["gpu"] = -1 },
		"capacity too high": func(r *events.NodeRecord) { r.Capacity["gpu"] = events.MaxResource + 1 },
		"capability":        func(r *events.NodeRecord) { r.Capabilities = []string{"a b"} },
	} {
		bad := gpu("bad")
		if spoil(&bad); true {
			_, err := n.Registrar.RegisterWorkflowNode(ctx, bad)
			if err := failsWith(name, err, node.ErrInvalid); err != nil {
				return err
			}
		}
	}
	_, err := n.Discovery.FindCapableNodes(ctx, node.Needs{Resources: map[string]int64{"gpu": -1}})
	if err := failsWith("negative needs", err, node.ErrInvalid); err != nil {
		return err
	}
	_, err = n.Assigner.AssignTaskToNode(ctx, node.Task{ID: id("t"), Needs: node.Needs{Requires: []string{""}}})
	return errors.Join(failsWith("an empty requirement", err, node.ErrInvalid), n.are(ctx, ""))
}

func beatsCarryTheLoad(ctx context.Context, n Nodes) error {
	a := gpu("a")
	if err := n.register(ctx, a); err != nil {
		return err
	}
	for _, used := range []int64{2, 1} {
		load := node.Load{Used: map[string]int64{"gpu": used}, Shares: []events.NodeShare{{Lane: "order/1", Load: map[string]int64{"gpu": used}}}}
		if err := n.Registrar.UpdateNodeHeartbeat(ctx, "a", a.Incarnation, load); err != nil {
			return err
		}
		list, err := n.Discovery.WorkflowNodes(ctx)
		if err != nil || len(list) != 1 || list[0].Load["gpu"] != used || !reflect.DeepEqual(list[0].Shares, load.Shares) {
			return fmt.Errorf("after a beat with %+v the nodes are %+v (%w)", load, list, err)
		}
		if err := n.capable(ctx, wantsGPU("t").Needs, map[int64]string{2: "", 1: "a "}[used]); err != nil {
			return err
		}
	}
	bad := node.Load{Used: map[string]int64{"gpu": -1}}
	return failsWith("a negative load", n.Registrar.UpdateNodeHeartbeat(ctx, "a", a.Incarnation, bad), node.ErrInvalid)
}

func missedBeatsMakeUnhealthy(ctx context.Context, n Nodes) error {
	a := gpu("a")
	if err := n.register(ctx, a); err != nil {
		return err
	}
	n.Advance(node.MissedUnhealthy * node.BeatEvery)
	list, err := n.Discovery.WorkflowNodes(ctx)
	if err != nil || len(list) != 1 || list[0].Health != events.HealthUnhealthy {
		return fmt.Errorf("after three missed beats the nodes are %+v (%w), want one that is unhealthy", list, err)
	}
	if err := n.capable(ctx, wantsGPU("t").Needs, ""); err != nil {
		return err
	}
	if err := n.Registrar.UpdateNodeHeartbeat(ctx, "a", a.Incarnation, node.Load{}); err != nil {
		return fmt.Errorf("a beat of an unhealthy node: %w", err)
	}
	return n.capable(ctx, wantsGPU("t").Needs, "a ")
}

func silentNodesExpire(ctx context.Context, n Nodes) error {
	a := gpu("a")
	if err := n.register(ctx, a); err != nil {
		return err
	}
	n.Advance(node.ExpiresAfter)
	if err := n.are(ctx, ""); err != nil {
		return err
	}
	if err := failsWith("a late beat", n.Registrar.UpdateNodeHeartbeat(ctx, "a", a.Incarnation, node.Load{}), node.ErrGone); err != nil {
		return err
	}
	_, err := n.Registrar.RegisterWorkflowNode(ctx, a)
	if err := failsWith("registering what is expired", err, node.ErrGone); err != nil {
		return err
	}
	if err := n.are(ctx, ""); err != nil {
		return err
	}
	a.Incarnation = id("a/2")
	return errors.Join(n.register(ctx, a), n.capable(ctx, wantsGPU("t").Needs, "a "))
}

func deregisteredNodesAreGone(ctx context.Context, n Nodes) error {
	a := gpu("a")
	if err := n.register(ctx, a, gpu("b")); err != nil {
		return err
	}
	for range 2 {
		if err := n.Registrar.DeregisterWorkflowNode(ctx, "a", a.Incarnation); err != nil {
			return err
		}
	}
	if err := n.are(ctx, "b "); err != nil {
		return err
	}
	if err := failsWith("a late beat", n.Registrar.UpdateNodeHeartbeat(ctx, "a", a.Incarnation, node.Load{}), node.ErrGone); err != nil {
		return err
	}
	return n.are(ctx, "b ")
}

func capableNodesHaveEverything(ctx context.Context, n Nodes) error {
	plain := gpu("plain")
	plain.Capabilities, plain.Queues, plain.Capacity = nil, []string{"mail"}, map[string]int64{"memory_mb": 100}
	reducer := events.NodeRecord{NodeID: "r", Incarnation: id("r/1"), Types: []events.NodeType{events.NodeReducer}, StartedAt: plain.StartedAt, BeatAt: plain.BeatAt}
	if err := n.register(ctx, gpu("gpu"), plain, reducer); err != nil {
		return err
	}
	for _, c := range []struct {
		needs node.Needs
		want  string
	}{
		{node.Needs{}, "gpu plain r "},
		{node.Needs{Type: events.NodeEffect}, "gpu plain "},
		{node.Needs{Type: events.NodeReducer}, "r "},
		{node.Needs{Queue: "mail"}, "plain "},
		{node.Needs{Requires: []string{"gpu"}}, "gpu "},
		{node.Needs{Requires: []string{"gpu", "cuda"}}, "gpu "},
		{node.Needs{Requires: []string{"gpu", "tpu"}}, ""},
		{node.Needs{Queue: "mail", Requires: []string{"gpu"}}, ""},
		{node.Needs{Resources: map[string]int64{"memory_mb": 100}}, "gpu plain "},
		{node.Needs{Resources: map[string]int64{"memory_mb": 101}}, "gpu "},
		{node.Needs{Resources: map[string]int64{"memory_mb": 101, "disk": 1}}, ""},
		{node.Needs{Resources: map[string]int64{"disk": 0}}, "gpu plain r "},
	} {
		if err := n.capable(ctx, c.needs, c.want); err != nil {
			return err
		}
	}
	return nil
}

func resultsAreTheCallersOwn(ctx context.Context, n Nodes) error {
	a := gpu("a")
	if err := n.register(ctx, a); err != nil {
		return err
	}
	a.Capacity["gpu"], a.Capabilities[0] = 0, "changed" // what was handed in, too
	for range 2 {
		all, err := n.Discovery.WorkflowNodes(ctx)
		if err != nil {
			return err
		}
		found, err := n.Discovery.FindCapableNodes(ctx, wantsGPU("t").Needs)
		if err != nil || len(found) != 1 || found[0].Capacity["gpu"] != 2 {
			return fmt.Errorf("the node is another one once a caller has changed what it was given: %+v (%w)", found, err)
		}
		for _, list := range [][]node.Node{all, found} {
			for i := range list {
				list[i].Capabilities[0], list[i].Capacity["gpu"] = "changed", 0
			}
		}
	}
	return nil
}

func tasksTakeWhatTheyAskFor(ctx context.Context, n Nodes) error {
	if err := n.register(ctx, gpu("a"), gpu("b")); err != nil {
		return err
	}
	got := map[string]int{}
	for i := range 4 {
		is, err := n.Assigner.AssignTaskToNode(ctx, wantsGPU(fmt.Sprint("t", i)))
		if err != nil {
			return fmt.Errorf("task %d of 4: %w", i, err)
		}
		got[is.NodeID]++
	}
	if got["a"] != 2 || got["b"] != 2 {
		return fmt.Errorf("nodes of two gpus got %v of four tasks of one", got)
	}
	_, err := n.Assigner.AssignTaskToNode(ctx, wantsGPU("t4"))
	why, ok := errors.AsType[*node.NoNodeError](err)
	if !ok || len(why.Nearest) != 2 || len(why.Missing) != 0 {
		return fmt.Errorf("a fifth task: got %v, want a NoNodeError that names both nodes and nothing that is missing", err) //nolint:errorlint // it is shown
	}
	needs := node.Needs{Requires: []string{"quantum"}}
	_, err = n.Assigner.AssignTaskToNode(ctx, node.Task{ID: id("q"), Needs: needs})
	if why, ok = errors.AsType[*node.NoNodeError](err); !ok || !slices.Contains(why.Missing, "quantum") {
		return fmt.Errorf("a task for nobody: got %v, want a NoNodeError that says what is missing", err) //nolint:errorlint // it is shown
	}
	return nil
}

func aTaskKeepsItsNode(ctx context.Context, n Nodes) error {
	if err := n.register(ctx, gpu("a"), gpu("b")); err != nil {
		return err
	}
	first, err := n.Assigner.AssignTaskToNode(ctx, wantsGPU("t"))
	if err != nil {
		return err
	}
	for range 10 {
		again, err := n.Assigner.AssignTaskToNode(ctx, wantsGPU("t"))
		if err != nil || again.NodeID != first.NodeID {
			return fmt.Errorf("the task was given to %s and then to %s (%w)", first.NodeID, again.NodeID, err)
		}
	}
	for _, preferred := range []string{"b", "a"} {
		task := wantsGPU("t/" + preferred)
		task.Preferred = preferred
		if is, err := n.Assigner.AssignTaskToNode(ctx, task); err != nil || is.NodeID != preferred {
			return fmt.Errorf("a task that prefers %s was given to %q (%w)", preferred, is.NodeID, err)
		}
	}
	return nil
}

func whatIsReleasedIsFree(ctx context.Context, n Nodes) error {
	if err := n.register(ctx, gpu("a")); err != nil {
		return err
	}
	for round := range 3 {
		for i := range 2 {
			if _, err := n.Assigner.AssignTaskToNode(ctx, wantsGPU(fmt.Sprint(round, "/", i))); err != nil {
				return fmt.Errorf("round %d: %w", round, err)
			}
		}
		if err := n.capable(ctx, wantsGPU("t").Needs, ""); err != nil {
			return err
		}
		for i := range 2 {
			for range 2 {
				if err := n.Assigner.ReleaseTask(ctx, id(fmt.Sprint(round, "/", i))); err != nil {
					return err
				}
			}
		}
	}
	return n.capable(ctx, wantsGPU("t").Needs, "a ")
}

func tasksOfGoneNodesAreGivenAnew(ctx context.Context, n Nodes) error {
	a := gpu("a")
	if err := n.register(ctx, a); err != nil {
		return err
	}
	for _, name := range []string{"t1", "t2"} {
		if _, err := n.Assigner.AssignTaskToNode(ctx, wantsGPU(name)); err != nil {
			return err
		}
	}
	if err := n.Registrar.DeregisterWorkflowNode(ctx, "a", a.Incarnation); err != nil {
		return err
	}
	if _, err := n.Assigner.AssignTaskToNode(ctx, wantsGPU("t1")); err == nil {
		return errors.New("the task keeps a node that is gone")
	}
	a.Incarnation = id("a/2")
	if err := n.register(ctx, a); err != nil {
		return err
	}
	for _, name := range []string{"t3", "t1"} { // nothing that the old one had is taken
		if is, err := n.Assigner.AssignTaskToNode(ctx, wantsGPU(name)); err != nil || is.Incarnation != a.Incarnation {
			return fmt.Errorf("%s was given to %s (%w), want the new one", name, is.Incarnation, err)
		}
	}
	return nil
}

func manyAssignAtOnce(ctx context.Context, n Nodes) error {
	wide := gpu("a")
	wide.Capacity["gpu"] = 10
	if err := n.register(ctx, wide); err != nil {
		return err
	}
	const tasks = 40
	var mu sync.Mutex
	var given int
	var running sync.WaitGroup
	for i := range tasks {
		running.Go(func() {
			_, err := n.Assigner.AssignTaskToNode(ctx, wantsGPU(strconv.Itoa(i)))
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				given++
			}
		})
	}
	running.Wait()
	if given != 10 {
		return fmt.Errorf("%d tasks were given to a node with room for 10", given)
	}
	return nil
}
