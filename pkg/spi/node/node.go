package node

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/leat-io/leat/pkg/events"
)

// How long nodes may be silent.
const (
	BeatEvery       = 5 * time.Second
	MissedUnhealthy = 3 // beats
	MissedExpired   = 6 // beats

	unhealthyAfter = MissedUnhealthy * BeatEvery
	// ExpiresAfter is the silence after which a node is given up.
	ExpiresAfter = MissedExpired * BeatEvery
)

// Errors of the contracts, for callers that branch on them.
var (
	// ErrGone says that an incarnation is not there: it was deregistered, given up or
	// replaced. A node that lives on registers under a new one.
	ErrGone = errors.New("the node's incarnation is gone")
	// ErrInvalid says that a record or a task cannot be taken as it is.
	ErrInvalid = errors.New("not valid")
)

// Registrar takes what nodes say of themselves. Its methods return when what was
// said is known to whoever asks this implementation next; another process learns of
// it soon. Safe for concurrent use.
type Registrar interface {
	// RegisterWorkflowNode makes a node known, and returns its id. An incarnation that
	// is there changes nothing; another incarnation of the same id replaces it. The
	// error is [ErrGone] for an incarnation that was there and is not any more, and
	// [ErrInvalid] for a record that does not validate. Beat is ignored: it is 0.
	RegisterWorkflowNode(ctx context.Context, n events.NodeRecord) (id string, err error)
	// UpdateNodeHeartbeat is a sign of life of a registered incarnation, with what it
	// has to do now. [ErrGone] says that it has to register anew.
	UpdateNodeHeartbeat(ctx context.Context, id string, incarnation events.UUID, load Load) error
	// DeregisterWorkflowNode deletes a node's record. It may be called twice, and does
	// nothing to another incarnation.
	DeregisterWorkflowNode(ctx context.Context, id string, incarnation events.UUID) error
}

// Discovery answers which nodes there are. Safe for concurrent use. What it returns
// is the caller's.
type Discovery interface {
	// WorkflowNodes lists the nodes that are not expired, by id.
	WorkflowNodes(ctx context.Context) ([]Node, error)
	// FindCapableNodes lists the nodes that could run a task now, by id. None is an
	// answer and no error.
	FindCapableNodes(ctx context.Context, needs Needs) ([]Node, error)
}

// Assigner gives tasks to nodes. What it gave is taken from what the node has free
// until the task is released, or the node's incarnation is gone. Safe for concurrent
// use.
//
// An assigner speaks for the tasks that are its own: two of them know of each other
// only what the nodes say. That one task is given once is up to who owns it.
type Assigner interface {
	// AssignTaskToNode gives a task to a node that can run it now. A task that has a
	// node which is still there keeps it. The error is a [*NoNodeError] when there is none.
	AssignTaskToNode(ctx context.Context, task Task) (Node, error)
	// ReleaseTask says that a task has ended, or was handed back. It may be called twice.
	ReleaseTask(ctx context.Context, task events.UUID) error
}

// Load is what a node has to do.
type Load struct {
	Used   map[string]int64   // of each resource
	Shares []events.NodeShare // see [events.NodeRecord]
}

// Needs is what a task asks of the node that runs it. The zero value is what every
// node can do.
type Needs struct {
	Type      events.NodeType  `json:"node_type,omitempty"`
	Queue     string           `json:"queue,omitempty"`
	Requires  []string         `json:"requires,omitempty"`  // every one of these capabilities
	Resources map[string]int64 `json:"resources,omitempty"` // as much of each, while it runs
}

// Task is what an [Assigner] gives to a node.
type Task struct {
	ID        events.UUID
	Needs     Needs
	Priority  events.TaskPriority // "" is normal
	Preferred string              // id of the node that gets it when it can, whatever the strategy; "" for none
}

// Validate refuses what no node could ever be asked for. The error wraps [ErrInvalid].
func (n *Needs) Validate() error {
	err := events.CheckResources("resources", n.Resources)
	for i := 0; err == nil && i < len(n.Requires); i++ {
		err = events.CheckCapability("requires", n.Requires[i])
	}
	if err != nil {
		return errors.Join(ErrInvalid, err)
	}
	return nil
}

// Node is a node as who asks sees it.
type Node struct {
	events.NodeRecord
	Health   events.HealthStatus `json:"health_status"`  // healthy, or unhealthy: it missed three beats or more, and gets no tasks
	Silent   time.Duration       `json:"-"`              // how long ago it was heard of
	LastBeat time.Time           `json:"last_heartbeat"` // when that was, by the clock of who asks
}

// Key names an incarnation.
type Key struct {
	NodeID      string
	Incarnation events.UUID
}

// Key is the node's own.
func (n *Node) Key() Key { return Key{n.NodeID, n.Incarnation} }

// Add is a and b together, and at most the largest number there is. Amounts are not
// negative.
func Add(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}
