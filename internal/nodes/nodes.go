// Package nodes keeps which workers there are, on the topic nodes: [Nodes] follows
// it and answers, [Agent] is what a worker says of itself. The rules are those of
// pkg/spi/node, which is pure; this package has the topic, the time and the waiting.
package nodes

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/spi/node"
	"github.com/leat-io/leat/pkg/topics"
)

// Config says where the topic is. Kafka is required.
type Config struct {
	Kafka             kafka.Config
	Names             topics.Names
	ReplicationFactor int16 // of topics that have to be made; 0 is the broker's default
	// Sweep deletes the records of nodes that are expired. Routers do; any number of
	// them may, since a deletion names the incarnation that it is about.
	Sweep    bool
	Strategy node.Strategy    // of AssignTaskToNode; default least_loaded
	Clock    func() time.Time // default time.Now
	Logger   *slog.Logger     // default: none
	Metrics  Metrics
}

// Metrics observes what is known of nodes. Nil funcs are skipped; they must not
// block.
type Metrics struct {
	Known   func(healthy, unhealthy int) // now and then
	Expired func()                       // a node was given up
	Unread  func()                       // a record could not be read, or was not what it says
}

// headerIncarnation is the header of tombstones that says which incarnation is gone.
const headerIncarnation = "leat-incarnation"

// Timings that nobody needs to set.
const (
	gather     = 200 * time.Millisecond // beats that come within it are read together
	sweepEvery = time.Second            // between looks for nodes that are expired
)

// Nodes is the nodes of a cluster, as the topic has them. Run follows it; the other
// methods are safe for concurrent use.
type Nodes struct {
	config Config

	mu       sync.Mutex // guards what follows
	view     *node.View
	ledger   *node.Ledger
	next     int64 // offset of the next record
	caught   bool
	heard    time.Time // when the newest record came in
	revision int64     // rises when nodes come, go or say something new
	late     map[node.Key]bool
	moved    chan struct{} // closed and replaced when next or caught changes
	watchers []func()
	told     time.Time // when an unreadable record was logged

	producing sync.Mutex
	producer  *kafka.Producer
}

var (
	_ node.Registrar = (*Nodes)(nil)
	_ node.Discovery = (*Nodes)(nil)
	_ node.Assigner  = (*Nodes)(nil)
)

// New makes an empty set. It speaks to no broker yet.
func New(c Config) *Nodes {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Strategy == "" {
		c.Strategy = node.LeastLoaded
	}
	return &Nodes{
		config: c, view: node.NewView(), ledger: node.NewLedger(), late: make(map[node.Key]bool), moved: make(chan struct{}),
	}
}

// Run follows the topic until ctx ends. It makes the topic when it is missing, and
// waits for a broker that is away.
func (n *Nodes) Run(ctx context.Context) error {
	defer n.closeProducer()
	return kafka.KeepOn(ctx, n.follow, func(err error) {
		n.config.Logger.LogAttrs(ctx, slog.LevelWarn, "cannot read which nodes there are, trying again", slog.Any("error", err))
	})
}

func (n *Nodes) follow(ctx context.Context) error {
	if err := kafka.Provision(ctx, n.config.Kafka, kafka.Replicas(n.config.ReplicationFactor), n.config.Names.OfNodes()...); err != nil {
		return err
	}
	if err := n.Sync(ctx); err != nil {
		return err
	}
	fetcher, err := kafka.NewPatientFetcher(n.config.Kafka, gather)
	if err != nil {
		return err
	}
	defer fetcher.Close()
	n.mu.Lock()
	from := n.next
	n.mu.Unlock()
	n.tell()
	fetcher.Add(n.partition(), from)
	sweeping, stop := context.WithCancel(ctx)
	swept := make(chan struct{})
	go func() { defer close(swept); n.sweepLoop(sweeping) }()
	defer func() { stop(); <-swept }()
	for ctx.Err() == nil {
		records, err := fetcher.Poll(ctx, 1000)
		if err != nil {
			return err
		}
		if n.take(ctx, records, n.config.Clock()) {
			n.tell()
		}
	}
	return nil
}

// Sync takes in what the topic has at the time of the call. It may run beside Run.
func (n *Nodes) Sync(ctx context.Context) error {
	reader, err := kafka.NewReader(n.config.Kafka)
	if err != nil {
		return err
	}
	defer reader.Close()
	bounds, err := reader.Range(ctx, n.partition())
	if err != nil {
		return fmt.Errorf("look which nodes there are: %w", err)
	}
	n.mu.Lock()
	if n.next > bounds.End { // the topic was deleted and made again: all will say that they are there
		n.next = bounds.Start
	}
	from := max(n.next, bounds.Start)
	n.mu.Unlock()
	var all []*kafka.Record
	err = reader.ReadTo(ctx, n.partition(), from, bounds.End, func(r *kafka.Record) error {
		all = append(all, r)
		return nil
	})
	if err != nil {
		return fmt.Errorf("look which nodes there are: %w", err)
	}
	n.take(ctx, all, n.config.Clock())
	n.mu.Lock()
	defer n.mu.Unlock()
	n.next = max(n.next, bounds.End)
	if !n.caught {
		n.caught = true
		n.revision++
	}
	n.moveOn()
	return nil
}

func (n *Nodes) partition() kafka.TopicPartition {
	return kafka.TopicPartition{Topic: n.config.Names.Nodes()}
}

// take takes records in, in their order, that came in at now. Of records that lay in
// the topic before, the newest counts as just written: it is the broker's time that
// says how old the others are. It reports whether any changed something.
func (n *Nodes) take(ctx context.Context, records []*kafka.Record, now time.Time) (changed bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var newest time.Time
	for _, r := range records {
		if r.Timestamp.After(newest) {
			newest = r.Timestamp
		}
	}
	for _, r := range records {
		if r.Offset < n.next {
			continue
		}
		n.next = r.Offset + 1
		heard := now
		if !n.caught {
			heard = now.Add(-newest.Sub(r.Timestamp))
		}
		changed = n.apply(ctx, r, heard) || changed
	}
	if len(records) > 0 {
		n.heard = now
	}
	if changed {
		n.revision++
		n.ledger.Keep(n.view.Has)
	}
	n.moveOn()
	return changed
}

// apply takes one record in. n.mu is held.
func (n *Nodes) apply(ctx context.Context, r *kafka.Record, heard time.Time) bool {
	id := string(r.Key)
	if r.Value == nil {
		return n.view.Remove(id, incarnationOf(r), r.Timestamp) == node.Left
	}
	record, err := avro.DecodeNode(r.Value)
	if err == nil && record.NodeID != id {
		err = fmt.Errorf("the record is of node %q", record.NodeID)
	}
	if err != nil {
		n.unread(ctx, r, err)
		return false
	}
	switch n.view.Apply(&record, r.Timestamp, heard) {
	case node.Joined, node.Updated:
		return true
	case node.LateBeat:
		n.late[node.Key{NodeID: id, Incarnation: record.Incarnation}] = true
		return true
	default:
		return false
	}
}

func incarnationOf(r *kafka.Record) events.UUID {
	for _, h := range r.Headers {
		if h.Key == headerIncarnation {
			id, err := events.ParseUUID(string(h.Value))
			if err == nil {
				return id
			}
		}
	}
	return events.Nil
}

// unread tells of a record that is none, not more often than once in a while: anybody
// can write to the topic. n.mu is held.
func (n *Nodes) unread(ctx context.Context, r *kafka.Record, err error) {
	if n.config.Metrics.Unread != nil {
		n.config.Metrics.Unread()
	}
	if now := n.config.Clock(); now.Sub(n.told) > time.Minute {
		n.told = now
		n.config.Logger.LogAttrs(ctx, slog.LevelWarn, "a record on the topic of nodes cannot be used, and is left out",
			slog.String("key", events.Show(string(r.Key))), slog.Int64("offset", r.Offset), slog.Any("error", err))
	}
}

// moveOn wakes those who wait for news. n.mu is held.
func (n *Nodes) moveOn() {
	close(n.moved)
	n.moved = make(chan struct{})
}

// Subscribe calls changed, from Run's goroutines, whenever nodes come, go or say
// something new.
func (n *Nodes) Subscribe(changed func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.watchers = append(n.watchers, changed)
}

func (n *Nodes) tell() {
	n.mu.Lock()
	watchers := n.watchers
	healthy, unhealthy := 0, 0
	for _, is := range n.view.Nodes(n.config.Clock()) {
		if is.Health == events.HealthHealthy {
			healthy++
		} else {
			unhealthy++
		}
	}
	n.mu.Unlock()
	if n.config.Metrics.Known != nil {
		n.config.Metrics.Known(healthy, unhealthy)
	}
	for _, changed := range watchers {
		changed()
	}
}

// Ready is nil once the nodes that were there before Run are known.
func (n *Nodes) Ready() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.caught {
		return errors.New("which nodes there are is not read yet")
	}
	return nil
}

// WaitReady waits until Ready is nil.
func (n *Nodes) WaitReady(ctx context.Context) error {
	return n.await(ctx, func() bool { return n.caught })
}

// await waits until ok, which is called with n.mu held.
func (n *Nodes) await(ctx context.Context, ok func() bool) error {
	for {
		n.mu.Lock()
		good, moved := ok(), n.moved
		n.mu.Unlock()
		if good {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return fmt.Errorf("nodes are not read that far yet: %w", ctx.Err())
		}
	}
}

// Of is the nodes that the records of a topic, all of them in their order, tell of at
// now, by id.
func Of(records []*kafka.Record, now time.Time) []node.Node {
	n := New(Config{})
	n.take(context.Background(), records, now)
	return n.view.Nodes(now)
}
