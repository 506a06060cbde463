// Package router turns commands into history. It is the only writer of events,
// snapshots and tasks: each of its lanes decides the commands of the partitions
// that it owns, and commits everything that follows in one transaction. What
// follows, package decide says; this package carries it out.
package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/nodes"
	"github.com/leat-io/leat/internal/registry"
	"github.com/leat-io/leat/internal/shard"
	"github.com/leat-io/leat/internal/store"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/topics"
)

// DefaultGroup is the consumer group of the routers of one cluster.
const DefaultGroup = "leat.router"

// Config says what a router serves. Kafka and Slot are required.
type Config struct {
	Kafka kafka.Config
	Names topics.Names
	// Slot names this worker among its kind, and stays the same over restarts: a
	// restart fences its own past by it, and gets its partitions back without a
	// rebalance. No two running routers may share one.
	Slot  string
	Group string // default DefaultGroup
	Dir   string // local store; "" keeps it in memory and restores all of it at every start
	// Files replaces the disk under the local store, for tests of crashes.
	Files *store.Files
	Types []string // serve only these workflow types; empty: all that are deployed
	// SessionTimeout is how long the group waits for a silent worker; default 6 s.
	SessionTimeout    time.Duration
	ReplicationFactor int16            // of topics that have to be made; 0 is the broker's default
	Version           string           // of the program, for the record on the topic nodes
	Endpoint          string           // URL of its /metrics, for the same
	Clock             func() time.Time // default time.Now
	Logger            *slog.Logger     // default: none
	Metrics           Metrics
}

func (c Config) withDefaults() (Config, error) {
	if c.Slot == "" {
		return c, errors.New("router: a slot is required: a name of this worker that stays the same over restarts")
	}
	if c.Group == "" {
		c.Group = c.Names.Prefix + DefaultGroup
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// Router is one worker. Run may be called once; Ready at any time.
type Router struct {
	config    Config
	registry  *registry.Registry
	schedules *registry.Schedules
	nodes     *nodes.Nodes
	agent     *nodes.Agent
	admin     *kafka.Admin
	shard     *shard.Shard
	lane      atomic.Pointer[lane] // once Run has made it
	served    chan struct{}        // one token: the set of types may have changed
}

// New makes a router. It speaks to no broker yet.
func New(c Config) (*Router, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	admin, err := kafka.NewAdmin(c.Kafka)
	if err != nil {
		return nil, err
	}
	r := &Router{config: c, admin: admin, served: make(chan struct{}, 1)}
	topics := registry.Config{Kafka: c.Kafka, Names: c.Names, ReplicationFactor: c.ReplicationFactor, Logger: c.Logger}
	r.registry = registry.New(topics)
	r.schedules = registry.NewSchedules(topics, func() { r.shard.Wake() })
	r.nodes = nodes.New(nodes.Config{
		Kafka: c.Kafka, Names: c.Names, ReplicationFactor: c.ReplicationFactor, Sweep: true, Logger: c.Logger, Metrics: c.Metrics.Nodes,
	})
	r.agent, err = nodes.NewAgent(r.nodes, events.NodeRecord{
		NodeID: nodes.Name("router-" + c.Slot), Types: []events.NodeType{events.NodeOrchestrator}, Version: c.Version, Endpoint: c.Endpoint,
	}, nil)
	if err != nil {
		admin.Close()
		return nil, err
	}
	return r, nil
}

// Run serves until ctx ends: it finishes the transaction under way and gives
// its partitions to the others before it returns. It waits for a broker that is
// away, and ends with an error only on what waiting does not mend: a topic of
// the wrong shape, a store that cannot be used.
func (r *Router) Run(ctx context.Context) error {
	defer r.admin.Close()
	cluster, err := r.awaitBroker(ctx)
	if err != nil {
		return nil // ctx ended before there was a broker: nothing is left to do
	}
	db, err := store.Open(store.Options{Dir: r.config.Dir, Files: r.config.Files, Layout: storeLayout, Identity: cluster, Logger: r.config.Logger})
	if err != nil {
		return err
	}
	lane := newLane(r.config, r.registry, r.schedules, &book{db: db})
	lane.admin = r.admin
	r.lane.Store(lane)
	r.shard = shard.New(shard.Config{
		Kafka: r.config.Kafka, Clock: r.config.Clock, Logger: r.config.Logger, Metrics: r.config.Metrics.Shard,
		Renewed: lane.renew,
		Group:   shard.Group{Name: r.config.Group, InstanceID: r.config.Slot, SessionTimeout: r.config.SessionTimeout},
	}, lane)
	r.registry.Subscribe(func() {
		lane.deployed.Store(true)
		r.shard.Wake()
		select {
		case r.served <- struct{}{}:
		default:
		}
	})
	lane.takeOver(ctx)
	group, running := errgroup.WithContext(ctx)
	group.Go(func() error { return db.Watch(running) })
	group.Go(func() error { return r.registry.Run(running) })
	group.Go(func() error { return r.schedules.Run(running) })
	group.Go(func() error { return r.beNode(running) })
	group.Go(func() error { return r.serveTypes(running) })
	group.Go(func() error { return r.shard.Run(running) })
	group.Go(func() error { return r.mend(running, lane) })
	group.Go(func() error { return r.keepTopics(running, lane) })
	err = group.Wait()
	lane.closeProducers()
	return errors.Join(err, db.Close())
}

// beNode follows the nodes and is one of them. A second router under the same slot is
// for the group to end, which knows who of the two has the partitions.
func (r *Router) beNode(ctx context.Context) error {
	err := nodes.Run(ctx, r.nodes, r.agent)
	if errors.Is(err, nodes.ErrReplaced) {
		r.config.Logger.LogAttrs(ctx, slog.LevelError, "router is no node any more", slog.Any("error", err))
		return nil
	}
	return err
}

// brokerRetry is how long the router waits before it asks an absent broker again.
const brokerRetry = time.Second

func (r *Router) awaitBroker(ctx context.Context) (cluster string, err error) {
	for {
		asking, cancel := context.WithTimeout(ctx, 5*time.Second)
		cluster, err := r.admin.Ping(asking)
		cancel()
		if err == nil {
			return cluster, nil
		}
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		r.config.Logger.LogAttrs(ctx, slog.LevelWarn, "kafka does not answer, trying again", slog.Any("brokers", r.config.Kafka.Brokers), slog.Any("error", err))
		kafka.Pause(ctx, brokerRetry)
	}
}

// serveTypes makes or checks the topics of every deployed type, and has the
// shard serve its commands.
func (r *Router) serveTypes(ctx context.Context) error {
	if err := r.registry.WaitReady(ctx); err != nil {
		return nil //nolint:nilerr // ctx ended
	}
	served := make(map[string]bool)
	for ctx.Err() == nil {
		err := r.serveNew(ctx, served)
		if _, ok := errors.AsType[*kafka.TopicError](err); ok {
			return err
		}
		switch {
		case err == nil:
			select {
			case <-r.served:
			case <-ctx.Done():
			}
		case ctx.Err() == nil:
			r.config.Logger.LogAttrs(ctx, slog.LevelWarn, "cannot serve a workflow type yet, trying again", slog.Any("error", err))
			kafka.Pause(ctx, brokerRetry)
		}
	}
	return nil
}

func (r *Router) serveNew(ctx context.Context, served map[string]bool) error {
	for _, d := range r.registry.Records() {
		version := fmt.Sprintf("%s@%d", d.WorkflowType, d.Version)
		if served[version] || !r.wants(d.WorkflowType) {
			continue
		}
		if err := r.provision(ctx, d); err != nil {
			return fmt.Errorf("topics of %s: %w", version, err)
		}
		if err := r.shard.AddTopics(r.config.Names.Commands(d.WorkflowType)); err != nil {
			return err
		}
		served[version] = true
	}
	return nil
}

func (r *Router) wants(workflowType string) bool {
	return len(r.config.Types) == 0 || slices.Contains(r.config.Types, workflowType)
}

// provision makes or checks every topic that a version needs.
func (r *Router) provision(ctx context.Context, d events.DefinitionRecord) error {
	machine, ok := r.registry.Machine(d.WorkflowType, d.Version)
	if !ok {
		return nil
	}
	specs := r.config.Names.Type(d.WorkflowType, d.Partitions)
	if err := r.admin.Provision(ctx, kafka.Replicas(r.config.ReplicationFactor), specs...); err != nil {
		return err
	}
	return r.admin.ProvisionQueues(ctx, kafka.Replicas(r.config.ReplicationFactor), r.config.Names, machine.Tasks(), d.Partitions)
}

// Ready is nil when the router serves every partition that it was given and a
// broker answers; otherwise it says what is missing.
func (r *Router) Ready() error {
	if err := r.registry.Ready(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if _, err := r.admin.Ping(ctx); err != nil {
		return err
	}
	if assigned, open := r.shard.Serving(); open < assigned {
		return fmt.Errorf("%d of %d partitions are still being restored", assigned-open, assigned)
	}
	if lane := r.lane.Load(); lane != nil {
		if err := lane.ready(); err != nil {
			return err
		}
	}
	return r.shard.Ready()
}
