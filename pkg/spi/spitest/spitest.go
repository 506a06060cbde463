// Package spitest holds the compliance suites of the contracts in pkg/spi. Who
// implements one runs its suite:
//
//	func TestCompliance(t *testing.T) {
//		spitest.TestNodes(t, func(t *testing.T) spitest.Nodes { … })
//	}
//
// A case is a func that returns an error, so that a suite can also be run outside of
// a test, and so that the suites themselves are tested: a broken implementation fails
// the case that is about what it breaks.
package spitest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/spi/node"
)

// Nodes is an implementation of the contracts of pkg/spi/node, without nodes.
type Nodes struct {
	Registrar node.Registrar
	Discovery node.Discovery
	Assigner  node.Assigner
	// Advance lets time pass, for whoever counts missed beats.
	Advance func(time.Duration)
}

// Case is one promise of a contract. Run returns nil when the implementation keeps
// it, and gives up when ctx ends.
type Case struct {
	Name string
	Run  func(ctx context.Context, n Nodes) error
}

// CaseTimeout bounds one case.
const CaseTimeout = 30 * time.Second

// TestNodes runs every case, each on an implementation of its own.
func TestNodes(t *testing.T, open func(t *testing.T) Nodes) {
	t.Helper()
	for _, c := range NodeCases() {
		t.Run(c.Name, func(t *testing.T) {
			n := open(t)
			ctx, cancel := context.WithTimeout(t.Context(), CaseTimeout)
			defer cancel()
			if err := c.Run(ctx, n); err != nil {
				t.Error(err)
			}
		})
	}
}

// NodeCases lists the promises.
func NodeCases() []Case {
	return []Case{
		{"RegisteredNodesAreFound", registeredNodesAreFound},
		{"RegisteringAgainChangesNothing", registeringAgainChangesNothing},
		{"AnotherIncarnationReplaces", anotherIncarnationReplaces},
		{"WhatIsNotValidIsRefused", whatIsNotValidIsRefused},
		{"BeatsCarryTheLoad", beatsCarryTheLoad},
		{"MissedBeatsMakeUnhealthy", missedBeatsMakeUnhealthy},
		{"SilentNodesExpire", silentNodesExpire},
		{"DeregisteredNodesAreGone", deregisteredNodesAreGone},
		{"CapableNodesHaveEverything", capableNodesHaveEverything},
		{"ResultsAreTheCallersOwn", resultsAreTheCallersOwn},
		{"TasksTakeWhatTheyAskFor", tasksTakeWhatTheyAskFor},
		{"ATaskKeepsItsNode", aTaskKeepsItsNode},
		{"WhatIsReleasedIsFree", whatIsReleasedIsFree},
		{"TasksOfGoneNodesAreGivenAnew", tasksOfGoneNodesAreGivenAnew},
		{"ManyAssignAtOnce", manyAssignAtOnce},
	}
}

// id is a UUID that a text names.
func id(name string) events.UUID { return events.DeriveUUID(events.Namespace, name) }

// gpu is a node that can do much.
func gpu(name string) events.NodeRecord {
	now := events.Instant(time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC))
	return events.NodeRecord{
		NodeID: name, Incarnation: id(name + "/1"), Types: []events.NodeType{events.NodeCompute, events.NodeEffect},
		Capabilities: []string{"gpu", "cuda"}, Queues: []string{"train"},
		Capacity: map[string]int64{"gpu": 2, "memory_mb": 8192, events.ResourceSlots: 64},
		Version:  "1.2.3", Endpoint: "http://" + name + ":8473", StartedAt: now, BeatAt: now,
	}
}

// wantsGPU is a task for such a node.
func wantsGPU(name string) node.Task {
	return node.Task{ID: id(name), Needs: node.Needs{Queue: "train", Requires: []string{"gpu"}, Resources: map[string]int64{"gpu": 1}}}
}

func (n Nodes) register(ctx context.Context, records ...events.NodeRecord) error {
	for _, r := range records {
		got, err := n.Registrar.RegisterWorkflowNode(ctx, r)
		if err != nil {
			return fmt.Errorf("register %s: %w", r.NodeID, err)
		}
		if got != r.NodeID {
			return fmt.Errorf("register %s: got id %q", r.NodeID, got)
		}
	}
	return nil
}

// names are the ids of nodes, as one text.
func names(list []node.Node) string {
	var text strings.Builder
	for i := range list {
		text.WriteString(list[i].NodeID + " ")
	}
	return text.String()
}

// are holds the nodes that are listed against what is wanted: "a b ".
func (n Nodes) are(ctx context.Context, want string) error {
	list, err := n.Discovery.WorkflowNodes(ctx)
	if err != nil {
		return fmt.Errorf("list nodes: %w", err)
	}
	if got := names(list); got != want {
		return fmt.Errorf("the nodes are %q, want %q", got, want)
	}
	return nil
}

// capable holds the nodes that can do something against what is wanted.
func (n Nodes) capable(ctx context.Context, needs node.Needs, want string) error {
	list, err := n.Discovery.FindCapableNodes(ctx, needs)
	if err != nil {
		return fmt.Errorf("find nodes: %w", err)
	}
	if got := names(list); got != want {
		return fmt.Errorf("capable of %+v are %q, want %q", needs, got, want)
	}
	return nil
}

// orNone makes an error of none, to be shown.
func orNone(err error) error {
	if err == nil {
		return errors.New("no error")
	}
	return err
}

// failsWith wants an error of a kind.
func failsWith(what string, err, want error) error {
	if !errors.Is(err, want) {
		return fmt.Errorf("%s: want %w, and got %w", what, want, orNone(err))
	}
	return nil
}
