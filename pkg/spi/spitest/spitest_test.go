package spitest_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/spi/node"
	"github.com/leat-io/leat/pkg/spi/spitest"
)

// open makes the implementation in memory, with a clock of its own.
func open(t *testing.T) spitest.Nodes {
	t.Helper()
	var mu sync.Mutex
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	m := node.NewMemory(func() time.Time { mu.Lock(); defer mu.Unlock(); return now }, node.LeastLoaded)
	return spitest.Nodes{Registrar: m, Discovery: m, Assigner: m, Advance: func(d time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(d)
	}}
}

func TestMemory(t *testing.T) { spitest.TestNodes(t, open) }

// broken breaks one method or the other; nil keeps it.
type broken struct {
	spitest.Nodes
	register func(context.Context, events.NodeRecord) (string, error)
	beat     func(context.Context, string, events.UUID, node.Load) error
	leave    func(context.Context, string, events.UUID) error
	list     func(context.Context) ([]node.Node, error)
	find     func(context.Context, node.Needs) ([]node.Node, error)
	assign   func(context.Context, node.Task) (node.Node, error)
	release  func(context.Context, events.UUID) error
}

func (b *broken) RegisterWorkflowNode(ctx context.Context, n events.NodeRecord) (string, error) {
	if b.register == nil {
		return b.Registrar.RegisterWorkflowNode(ctx, n)
	}
	return b.register(ctx, n)
}

func (b *broken) UpdateNodeHeartbeat(ctx context.Context, id string, incarnation events.UUID, load node.Load) error {
	if b.beat == nil {
		return b.Registrar.UpdateNodeHeartbeat(ctx, id, incarnation, load)
	}
	return b.beat(ctx, id, incarnation, load)
}

func (b *broken) DeregisterWorkflowNode(ctx context.Context, id string, incarnation events.UUID) error {
	if b.leave == nil {
		return b.Registrar.DeregisterWorkflowNode(ctx, id, incarnation)
	}
	return b.leave(ctx, id, incarnation)
}

func (b *broken) WorkflowNodes(ctx context.Context) ([]node.Node, error) {
	if b.list == nil {
		return b.Discovery.WorkflowNodes(ctx)
	}
	return b.list(ctx)
}

func (b *broken) FindCapableNodes(ctx context.Context, needs node.Needs) ([]node.Node, error) {
	if b.find == nil {
		return b.Discovery.FindCapableNodes(ctx, needs)
	}
	return b.find(ctx, needs)
}

func (b *broken) AssignTaskToNode(ctx context.Context, task node.Task) (node.Node, error) {
	if b.assign == nil {
		return b.Assigner.AssignTaskToNode(ctx, task)
	}
	return b.assign(ctx, task)
}

func (b *broken) ReleaseTask(ctx context.Context, task events.UUID) error {
	if b.release == nil {
		return b.Assigner.ReleaseTask(ctx, task)
	}
	return b.release(ctx, task)
}

// Every breakage is found by its case, and every case finds one: no promise is only
// written down.
func TestBrokenNodesAreFound(t *testing.T) {
	var shared []node.Node
	breakages := []struct {
		name, found string
		change      func(good spitest.Nodes, b *broken)
	}{
		{"drops the endpoint", "RegisteredNodesAreFound", func(good spitest.Nodes, b *broken) {
			b.register = func(ctx context.Context, n events.NodeRecord) (string, error) {
				n.Endpoint = ""
				return good.Registrar.RegisterWorkflowNode(ctx, n)
			}
		}},
		{"registers under another incarnation each time", "RegisteringAgainChangesNothing", func(good spitest.Nodes, b *broken) {
			times := int64(0)
			b.register = func(ctx context.Context, n events.NodeRecord) (string, error) {
				if times++; times > 1 {
					n.Incarnation = events.DeriveUUID(n.Incarnation, "again")
				}
				return good.Registrar.RegisterWorkflowNode(ctx, n)
			}
		}},
		{"takes beats of anybody", "AnotherIncarnationReplaces", func(_ spitest.Nodes, b *broken) {
			b.beat = func(context.Context, string, events.UUID, node.Load) error { return nil }
		}},
		{"takes anything", "WhatIsNotValidIsRefused", func(_ spitest.Nodes, b *broken) {
			b.register = func(_ context.Context, n events.NodeRecord) (string, error) { return n.NodeID, nil }
		}},
		{"forgets the load", "BeatsCarryTheLoad", func(good spitest.Nodes, b *broken) {
			b.beat = func(ctx context.Context, id string, incarnation events.UUID, _ node.Load) error {
				return good.Registrar.UpdateNodeHeartbeat(ctx, id, incarnation, node.Load{})
			}
		}},
		{"finds the silent", "MissedBeatsMakeUnhealthy", func(good spitest.Nodes, b *broken) {
			b.find = func(ctx context.Context, _ node.Needs) ([]node.Node, error) { return good.Discovery.WorkflowNodes(ctx) }
		}},
		{"never gives anybody up", "SilentNodesExpire", func(good spitest.Nodes, b *broken) {
			b.list = func(ctx context.Context) ([]node.Node, error) {
				list, err := good.Discovery.WorkflowNodes(ctx)
				if len(list) > 0 {
					shared = list
				}
				return shared, err
			}
			b.register = func(ctx context.Context, n events.NodeRecord) (string, error) {
				id, err := good.Registrar.RegisterWorkflowNode(ctx, n)
				_, _ = b.list(ctx)
				return id, err
			}
		}},
		{"revives what has left", "DeregisteredNodesAreGone", func(good spitest.Nodes, b *broken) {
			var last events.NodeRecord
			b.register = func(ctx context.Context, n events.NodeRecord) (string, error) {
				if n.NodeID == "a" {
					last = n
				}
				return good.Registrar.RegisterWorkflowNode(ctx, n)
			}
			b.beat = func(ctx context.Context, id string, incarnation events.UUID, load node.Load) error {
				if err := good.Registrar.UpdateNodeHeartbeat(ctx, id, incarnation, load); err == nil {
					return nil
				}
				last.Incarnation = events.DeriveUUID(incarnation, "again")
				_, _ = good.Registrar.RegisterWorkflowNode(ctx, last)
				return node.ErrGone
			}
		}},
		{"looks at capabilities alone", "CapableNodesHaveEverything", func(good spitest.Nodes, b *broken) {
			b.find = func(ctx context.Context, needs node.Needs) ([]node.Node, error) {
				return good.Discovery.FindCapableNodes(ctx, node.Needs{Requires: needs.Requires})
			}
		}},
		{"hands out its own", "ResultsAreTheCallersOwn", func(good spitest.Nodes, b *broken) {
			var own []node.Node
			b.find = func(ctx context.Context, needs node.Needs) ([]node.Node, error) {
				if own == nil {
					own, _ = good.Discovery.FindCapableNodes(ctx, needs)
				}
				return own, nil
			}
		}},
		{"oversubscribes", "TasksTakeWhatTheyAskFor", func(good spitest.Nodes, b *broken) {
			b.assign = func(ctx context.Context, task node.Task) (node.Node, error) {
				task.Needs.Resources = nil
				return good.Assigner.AssignTaskToNode(ctx, task)
			}
		}},
		{"gives a task away again", "ATaskKeepsItsNode", func(good spitest.Nodes, b *broken) {
			b.assign = func(ctx context.Context, task node.Task) (node.Node, error) {
				task.ID = events.DeriveUUID(task.ID, time.Now().String())
				return good.Assigner.AssignTaskToNode(ctx, task)
			}
		}},
		{"forgets to release", "WhatIsReleasedIsFree", func(_ spitest.Nodes, b *broken) {
			b.release = func(context.Context, events.UUID) error { return nil }
		}},
		{"keeps nodes that are gone", "TasksOfGoneNodesAreGivenAnew", func(_ spitest.Nodes, b *broken) {
			b.leave = func(context.Context, string, events.UUID) error { return nil }
		}},
		{"looks first and takes later", "ManyAssignAtOnce", func(good spitest.Nodes, b *broken) {
			var looked sync.WaitGroup
			looked.Add(40) // as many as the case has
			b.assign = func(ctx context.Context, task node.Task) (node.Node, error) {
				found, err := good.Discovery.FindCapableNodes(ctx, task.Needs)
				if err != nil || len(found) == 0 {
					return node.Node{}, node.ErrInvalid
				}
				looked.Done()
				looked.Wait() // all who assign at once have looked
				_, _ = good.Assigner.AssignTaskToNode(ctx, task)
				return found[0], nil
			}
		}},
	}
	for _, c := range spitest.NodeCases() {
		found := false
		for _, b := range breakages {
			found = found || b.found == c.Name
		}
		if !found {
			t.Errorf("no broken implementation is found by case %s", c.Name)
		}
	}
	for _, b := range breakages {
		t.Run(b.name, func(t *testing.T) {
			at := slices.IndexFunc(spitest.NodeCases(), func(c spitest.Case) bool { return c.Name == b.found })
			if at < 0 {
				t.Fatalf("there is no case %s", b.found)
			}
			good := open(t)
			bad := &broken{Nodes: good}
			b.change(good, bad)
			n := spitest.Nodes{Registrar: bad, Discovery: bad, Assigner: bad, Advance: good.Advance}
			if err := spitest.NodeCases()[at].Run(t.Context(), n); err == nil {
				t.Errorf("%s did not find it", b.found)
			} else {
				t.Log(err)
			}
		})
	}
}
