// Package seat is the place that the executors of a process have among the nodes of
// the cluster. It runs no task.
package seat

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/nodes"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/spi/node"
	"github.com/leat-io/leat/pkg/topics"
)

// Config says what the executors of a process can do. Kafka and NodeID are
// required.
type Config struct {
	Kafka        kafka.Config
	Names        topics.Names
	NodeID       string
	Capabilities []string         // what tasks may require
	Capacity     map[string]int64 // how much of each resource there is
	Version      string           // of the program
	Endpoint     string           // of its /metrics
	Logger       *slog.Logger
	Metrics      nodes.Metrics
}

// Seat is the place that the executors of a process have among the nodes of the
// cluster: one record for all of them, since they share what the machine has. Run
// keeps it; the executors of the process are given it by their Config.
type Seat struct {
	config Config
	nodes  *nodes.Nodes
	agent  *nodes.Agent

	mu    sync.Mutex // guards what follows
	slots int64      // over all executors
	used  map[string]int64
}

// New makes one. The error says which capability or capacity is wrong.
func New(c Config) (*Seat, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if _, own := c.Capacity[events.ResourceSlots]; own {
		return nil, fmt.Errorf("executor: capacity %q is how many tasks run at once: set the concurrency instead", events.ResourceSlots)
	}
	s := &Seat{
		config: c, used: make(map[string]int64),
		nodes: nodes.New(nodes.Config{Kafka: c.Kafka, Names: c.Names, Logger: c.Logger, Metrics: c.Metrics}),
	}
	var err error
	s.agent, err = nodes.NewAgent(s.nodes, events.NodeRecord{
		NodeID: nodes.Name(c.NodeID), Types: []events.NodeType{events.NodeCompute, events.NodeEffect},
		Capabilities: sorted(c.Capabilities), Capacity: maps.Clone(c.Capacity), Version: c.Version, Endpoint: c.Endpoint,
	}, s.load)
	if err != nil {
		return nil, fmt.Errorf("executor: %w", err)
	}
	return s, nil
}

func sorted(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}

// Unique is a name with random digits behind it: a process may have more than one
// executor, and each of them that has a seat of its own is a node.
func Unique(name string) string {
	var digits [3]byte
	_, _ = rand.Read(digits[:]) // never fails
	return fmt.Sprintf("%s-%x", name, digits)
}

// Run keeps the record until ctx ends. The error is [nodes.ErrReplaced] when another
// process has registered under the node's id: this one has to end.
func (s *Seat) Run(ctx context.Context) error { return nodes.Run(ctx, s.nodes, s.agent) }

// Ready is nil while the node is registered.
func (s *Seat) Ready() error { return s.agent.Ready() }

// NodeID is the node's own.
func (s *Seat) NodeID() string { return s.agent.Key().NodeID }

// load is what the executors have to do now.
func (s *Seat) load() node.Load {
	s.mu.Lock()
	defer s.mu.Unlock()
	return node.Load{Used: maps.Clone(s.used)}
}

// Join adds an executor to those of the process: whose tasks it runs, and how many
// at once.
func (s *Seat) Join(queues []string, slots int) { s.change(queues, slots, true) }

// Leave takes it out again.
func (s *Seat) Leave(queues []string, slots int) { s.change(queues, -slots, false) }

func (s *Seat) change(queues []string, by int, serves bool) {
	s.mu.Lock()
	s.slots += int64(by)
	slots := s.slots
	s.mu.Unlock()
	s.agent.Change(func(n *events.NodeRecord) {
		n.Capacity = maps.Clone(n.Capacity)
		if n.Capacity == nil {
			n.Capacity = make(map[string]int64)
		}
		n.Capacity[events.ResourceSlots] = slots
		for _, queue := range queues {
			n.Queues = slices.DeleteFunc(slices.Clone(n.Queues), func(q string) bool { return q == queue })
			if serves {
				n.Queues = append(n.Queues, queue)
			}
		}
		slices.Sort(n.Queues)
	})
}

// Take notes that slots are taken, or given back.
func (s *Seat) Take(slots int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used[events.ResourceSlots] += slots; s.used[events.ResourceSlots] == 0 {
		delete(s.used, events.ResourceSlots)
	}
}
