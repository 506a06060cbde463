package nodes

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/spi/node"
)

// ErrReplaced says that another process has registered under the id of a node, which
// has to end: two workers under one id would both take what is given to it.
var ErrReplaced = errors.New("another worker has registered under this node id")

const (
	// soonest is the shortest time between two beats that a change of the load asks for.
	soonest = 500 * time.Millisecond
	// leaving bounds what a clean stop waits for its tombstone.
	leaving = 2 * time.Second
	// sayFor bounds one beat: the next one says more.
	sayFor = 2 * node.BeatEvery
)

// Agent is what a worker says of itself. Run keeps its record; the other methods are
// safe for concurrent use.
type Agent struct {
	nodes *Nodes
	load  func() node.Load // asked for each beat
	joins []func(node.Key) // called before an incarnation is registered

	mu     sync.Mutex
	record events.NodeRecord
	heard  time.Time     // when the newest beat that counts was written, at the latest
	news   chan struct{} // one token: the load is another
	joined bool
}

// NewAgent makes one for a worker. record says what the worker is; its incarnation,
// beat and times are the agent's. load may be nil.
func NewAgent(n *Nodes, record events.NodeRecord, load func() node.Load) (*Agent, error) {
	record.Incarnation = newIncarnation()
	record.StartedAt = events.Instant(n.config.Clock())
	record.BeatAt = record.StartedAt
	if err := record.Validate(); err != nil {
		return nil, fmt.Errorf("node %s: %w", events.Show(record.NodeID), err)
	}
	if load == nil {
		load = func() node.Load { return node.Load{} }
	}
	return &Agent{nodes: n, record: record, load: load, news: make(chan struct{}, 1)}, nil
}

// Name is a name as the id of a node may be: what must not be in it is a dash.
func Name(id string) string {
	if events.CheckNodeID("", id) == nil {
		return id
	}
	name := strings.Map(func(r rune) rune {
		if r < 0x80 && events.CheckNodeID("", "a"+string(r)) == nil {
			return r
		}
		return '-'
	}, id)
	return "n" + name[:min(len(name), events.MaxNodeIDLength-1)]
}

// newIncarnation is a name that nobody has used before.
func newIncarnation() events.UUID {
	var u events.UUID
	_, _ = rand.Read(u[:]) // never fails
	u[6] = u[6]&0x0f | 0x40
	u[8] = u[8]&0x3f | 0x80
	return u
}

// OnJoin calls prepare before each registration, with the incarnation that is to be
// registered: nothing is given to it before prepare has returned. Call it before Run.
func (a *Agent) OnJoin(prepare func(node.Key)) { a.joins = append(a.joins, prepare) }

// Key is the incarnation that is there now, or will be next.
func (a *Agent) Key() node.Key {
	a.mu.Lock()
	defer a.mu.Unlock()
	return node.Key{NodeID: a.record.NodeID, Incarnation: a.record.Incarnation}
}

// Ready is nil while the node is registered.
func (a *Agent) Ready() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.joined {
		return fmt.Errorf("node %s is not registered yet", a.record.NodeID)
	}
	return nil
}

// Holds reports whether k is there and nobody can have given it up: its newest beat
// is younger than what others wait for. What must not run twice asks this last.
func (a *Agent) Holds(k node.Key) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.joined && a.record.NodeID == k.NodeID && a.record.Incarnation == k.Incarnation &&
		(a.nodes.config.Kafka.Virtual() || time.Since(a.heard) < node.MissedUnhealthy*node.BeatEvery)
}

// Change changes what the node says of itself, soon. change must not keep the record,
// and not write to maps and lists that it finds in it.
func (a *Agent) Change(change func(*events.NodeRecord)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change(&a.record)
	a.tellLocked()
}

// Tell says soon that the load is another.
func (a *Agent) Tell() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tellLocked()
}

func (a *Agent) tellLocked() {
	select {
	case a.news <- struct{}{}:
	default: // asked for already
	}
}

// Run keeps the node's record until ctx ends, and deletes it then. The error is
// [ErrReplaced] when another process registers under the id.
func (a *Agent) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		err := a.live(ctx)
		switch {
		case errors.Is(err, ErrReplaced):
			return err
		case ctx.Err() != nil:
		case errors.Is(err, node.ErrGone):
			a.nodes.config.Logger.LogAttrs(ctx, slog.LevelWarn, "node was given up by the others, and registers again", slog.String("node", a.Key().NodeID))
			a.renew()
		default:
			a.nodes.config.Logger.LogAttrs(ctx, slog.LevelWarn, "cannot register the node, trying again", slog.Any("error", err))
			kafka.Pause(ctx, kafka.AwayFor)
		}
	}
	a.leave(ctx)
	return nil
}

// Run follows the nodes and keeps the record of one of them, until ctx ends. The
// record is deleted before it returns.
func Run(ctx context.Context, n *Nodes, a *Agent) error {
	following, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	followed := make(chan error, 1)
	go func() {
		followed <- n.Run(following)
		cancel() // else the agent would wait for what nobody reads
	}()
	err := a.Run(ctx)
	stop()
	return errors.Join(err, <-followed)
}

// renew makes the node another incarnation.
func (a *Agent) renew() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.record.Incarnation, a.record.Beat, a.joined = newIncarnation(), 0, false
}

// live registers the node and beats until that ends, or the node is gone.
func (a *Agent) live(ctx context.Context) error {
	k := a.Key()
	for _, prepare := range a.joins {
		prepare(k)
	}
	if err := a.say(ctx, k); err != nil {
		return a.why(k, err)
	}
	a.mu.Lock()
	a.joined = true
	a.mu.Unlock()
	every := time.NewTicker(node.BeatEvery)
	defer every.Stop()
	if a.nodes.config.Kafka.Virtual() {
		every.Stop() // nobody counts what is missing
	}
	watching, stop := context.WithCancel(ctx)
	defer stop()
	left := a.nodes.left(watching, k)
	quiet, news := time.NewTimer(soonest), (<-chan struct{})(nil)
	defer quiet.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-left:
			return a.why(k, node.ErrGone)
		case <-quiet.C:
			news = a.news
			continue
		case <-every.C:
		case <-news:
		}
		if err := a.say(ctx, k); err != nil {
			if errors.Is(err, node.ErrGone) {
				return a.why(k, err)
			}
			a.nodes.config.Logger.LogAttrs(ctx, slog.LevelWarn, "node could not beat", slog.Any("error", err))
		}
		news = nil
		quiet.Reset(soonest)
	}
}

// why says of a node that is gone whether it was replaced, or can come back.
func (a *Agent) why(k node.Key, err error) error {
	if !errors.Is(err, node.ErrGone) || a.nodes.Has(k) {
		return err
	}
	a.nodes.mu.Lock()
	defer a.nodes.mu.Unlock()
	for _, is := range a.nodes.view.Nodes(a.nodes.config.Clock()) {
		if is.NodeID == k.NodeID && is.Incarnation != k.Incarnation {
			return fmt.Errorf("%w: %s; give each worker an id of its own, or stop the other", ErrReplaced, k.NodeID)
		}
	}
	return err
}

// say writes the next beat, or the registration.
func (a *Agent) say(ctx context.Context, k node.Key) error {
	if err := a.nodes.WaitReady(ctx); err != nil {
		return err
	}
	load := a.load()
	a.mu.Lock()
	now := time.Now()
	a.record.Load, a.record.Shares, a.record.BeatAt = load.Used, load.Shares, events.Instant(a.nodes.config.Clock())
	record := a.record
	a.record.Beat++
	a.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, sayFor)
	defer cancel()
	if err := a.nodes.say(ctx, &record); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.record.Incarnation == k.Incarnation {
		a.heard = now
	}
	return nil
}

// left is closed when k is gone, or ctx ends.
func (n *Nodes) left(ctx context.Context, k node.Key) <-chan struct{} {
	ended := make(chan struct{})
	go func() { // ends with ctx
		defer close(ended)
		_ = n.await(ctx, func() bool { return !n.view.Has(k) })
	}()
	return ended
}

// leave deletes the node's record, or gives that up after a bounded time.
func (a *Agent) leave(ctx context.Context) {
	a.mu.Lock()
	joined := a.joined
	a.joined = false
	a.mu.Unlock()
	if !joined {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaving)
	defer cancel()
	k := a.Key()
	producer, err := a.nodes.openProducer()
	if err == nil {
		err = producer.Send(ctx, a.nodes.tombstone(k))
	}
	if err != nil {
		a.nodes.config.Logger.LogAttrs(ctx, slog.LevelWarn, "node could not say that it is gone; the others notice that it is silent",
			slog.String("node", k.NodeID), slog.Any("error", err))
	}
}
