package projector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leat-io/leat/internal/follow"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/nodes"
	"github.com/leat-io/leat/internal/projector/views"
	"github.com/leat-io/leat/internal/registry"
	"github.com/leat-io/leat/internal/shard"
	"github.com/leat-io/leat/internal/store"
	"github.com/leat-io/leat/pkg/topics"
)

// Config says what a projector follows and where it keeps its copy.
type Config struct {
	Kafka    kafka.Config
	Names    topics.Names
	Dir      string           // of the local store; "" keeps it in memory
	NodeID   string           // names it among the nodes; default host name and process id
	Version  string           // of the program, for the record on the topic nodes
	Endpoint string           // URL of its /metrics, for the same
	Clock    func() time.Time // default time.Now
	Logger   *slog.Logger     // default: none
	Metrics  Metrics
	// MaxFollowers bounds the live streams that are open at once; default 1000.
	MaxFollowers int
	// MaxWaits bounds the requests that wait for an instance to finish; default 2000.
	MaxWaits int
	// Page is served where there is no route of the API, at / for one: the
	// console. Default: nothing is there.
	Page http.Handler
}

// Metrics observes a projector. Nil funcs are skipped.
type Metrics struct {
	Folded    func(records, stale int, took time.Duration) // one batch
	Skipped   func(topic string)                           // a record that is not a router's
	Rebuilt   func()                                       // the store was wiped because it was ahead of the log
	Followers func(change int)                             // a live stream began (1) or ended (-1)
	Waits     func(change int)                             // a request began to wait for the end of an instance (1) or ended (-1)
	Shard     shard.Metrics
}

// Projector follows every workflow type and answers queries about them. Run may
// be called once; the other methods are safe at any time.
type Projector struct {
	config   Config
	registry *registry.Registry
	nodes    *nodes.Nodes
	agent    *nodes.Agent
	outcomes *follow.Topics // of the types whose ends somebody listens to
	hub      hub
	handler  http.Handler
	skipped  atomic.Int64
	stopping chan struct{} // closed when Run ends: requests stop waiting
	changed  chan struct{} // definitions came in

	// live is what Run has open. It is held for reading while it is used.
	live struct {
		sync.RWMutex
		db       *store.DB // nil before and after Run
		producer *kafka.Producer
		reader   *kafka.Reader
	}

	mu        sync.Mutex   // guards what follows
	started   bool         // the types that were there at the start are known
	shard     *shard.Shard // nil before there is one
	sources   map[string]views.Source
	positions map[shard.Partition]views.Position
	pending   map[shard.Partition]bool // still to be read up to the end seen at start
	followers int
	waits     int
	feeds     map[string]*feed // of the types whose ends somebody listens to
	ends      ends
}

// New makes a projector. Its handler answers 503 until Run has opened the store.
func New(c Config) (*Projector, error) {
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.MaxFollowers == 0 {
		c.MaxFollowers = 1000
	}
	if c.MaxWaits == 0 {
		c.MaxWaits = 2000
	}
	p := &Projector{
		config:    c,
		registry:  registry.New(registry.Config{Kafka: c.Kafka, Names: c.Names, Logger: c.Logger}),
		stopping:  make(chan struct{}),
		changed:   make(chan struct{}, 1),
		sources:   make(map[string]views.Source),
		positions: make(map[shard.Partition]views.Position),
		pending:   make(map[shard.Partition]bool),
		feeds:     make(map[string]*feed),
	}
	p.outcomes = follow.New(follow.Config{Kafka: c.Kafka, Reader: p.reading, Logger: c.Logger})
	p.registry.Subscribe(func() {
		select {
		case p.changed <- struct{}{}:
		default:
		}
	})
	if err := p.newNode(); err != nil {
		return nil, err
	}
	handler, err := newHandler(p)
	if err != nil {
		return nil, err
	}
	p.handler = handler
	return p, nil
}

// Handler serves the API, below /api/v1, its description, /openapi.json, and
// the page, if there is one.
func (p *Projector) Handler() http.Handler { return p.handler }

// Ready is nil once everything that was in the log when Run began is in the
// views. The error says what is missing.
func (p *Projector) Ready() error {
	select {
	case <-p.stopping:
		return errors.New("projector has stopped")
	default:
	}
	if err := p.registry.Ready(); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case !p.started:
		return errors.New("topics are not known yet")
	case len(p.pending) > 0:
		for partition := range p.pending {
			return fmt.Errorf("%d partitions are not read to their end yet, %s among them", len(p.pending), partition)
		}
	}
	if p.shard != nil {
		return p.shard.Ready()
	}
	return nil
}

// retryEvery is how long Run waits before it asks an absent broker again.
const retryEvery = time.Second

// Run follows the topics until ctx ends, and returns nil then. An error says
// that the local store cannot be used, or that definitions cannot be followed.
func (p *Projector) Run(outer context.Context) (err error) {
	ctx, cancel := context.WithCancelCause(outer)
	defer cancel(nil)
	var following sync.WaitGroup
	defer following.Wait()
	defer cancel(nil)
	defer p.outcomes.Close()
	defer close(p.stopping)
	if err := p.open(ctx); err != nil || p.live.db == nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	following.Go(func() {
		if err := p.live.db.Watch(ctx); err != nil {
			cancel(err)
		}
	})
	following.Go(func() {
		if err := p.registry.Run(ctx); err != nil {
			cancel(fmt.Errorf("follow definitions: %w", err))
		}
	})
	following.Go(func() { p.beNode(ctx) })
	if p.registry.WaitReady(ctx) == nil {
		if err := p.serve(ctx); err != nil {
			return err
		}
	}
	if outer.Err() != nil {
		return nil
	}
	return context.Cause(ctx)
}

// open waits for a broker and opens the store as a copy of its cluster.
func (p *Projector) open(ctx context.Context) error {
	admin, err := kafka.NewAdmin(p.config.Kafka)
	if err != nil {
		return err
	}
	defer admin.Close()
	cluster, err := admin.Ping(ctx)
	for ; err != nil; cluster, err = admin.Ping(ctx) {
		if ctx.Err() != nil {
			return nil // told to stop while the broker was away
		}
		p.config.Logger.LogAttrs(ctx, slog.LevelWarn, "cannot reach kafka, trying again", slog.Any("error", err))
		kafka.Pause(ctx, retryEvery)
	}
	db, err := store.Open(store.Options{Dir: p.config.Dir, Layout: views.Layout, Identity: cluster, Logger: p.config.Logger})
	if err != nil {
		return err
	}
	producer, err := kafka.NewProducer(p.config.Kafka)
	if err != nil {
		return errors.Join(err, db.Close())
	}
	reader, err := kafka.NewReader(p.config.Kafka)
	if err != nil {
		producer.Close()
		return errors.Join(err, db.Close())
	}
	p.live.Lock()
	defer p.live.Unlock()
	p.live.db, p.live.producer, p.live.reader = db, producer, reader
	return nil
}

// reading is what asks Kafka about offsets while Run has it open.
func (p *Projector) reading() (*kafka.Reader, error) {
	p.live.RLock()
	defer p.live.RUnlock()
	if p.live.reader == nil {
		return nil, p.away()
	}
	return p.live.reader, nil
}

// close waits for the queries under way.
func (p *Projector) close() error {
	p.live.Lock()
	defer p.live.Unlock()
	p.live.producer.Close()
	p.live.reader.Close()
	p.live.reader = nil
	db := p.live.db
	p.live.db = nil
	return db.Close()
}

// serve runs shards until ctx ends, one after the other: a new one follows when
// the store had to be wiped, or when topics could not be asked about.
func (p *Projector) serve(ctx context.Context) error {
	for ctx.Err() == nil {
		p.reset()
		w := &worker{
			Projector: p, folder: &views.Folder{DB: p.live.db}, reader: p.live.reader, opener: make(chan struct{}, openersAtOnce),
		}
		err := w.run(ctx)
		var again *againError
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // told to stop; what failed on the way out is read again
		case errors.Is(err, errAhead):
			p.config.Logger.LogAttrs(ctx, slog.LevelError, "rebuilding the views", slog.Any("error", err))
			if p.config.Metrics.Rebuilt != nil {
				p.config.Metrics.Rebuilt()
			}
			if err := w.folder.Wipe(); err != nil {
				return err
			}
		case errors.As(err, &again):
			p.config.Logger.LogAttrs(ctx, slog.LevelWarn, "cannot follow topics, trying again", slog.Any("error", err))
			kafka.Pause(ctx, retryEvery)
		default:
			return err
		}
	}
	return nil
}

// reset forgets what the shard before knew.
func (p *Projector) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.started = false
	clear(p.pending)
	clear(p.positions)
}

// againError is a failure of the cluster, not of the projector.
type againError struct{ error }

// Unwrap is the cause.
func (e *againError) Unwrap() error { return e.error }

// run is the life of one shard.
func (w *worker) run(ctx context.Context) error {
	ctx, w.stop = context.WithCancelCause(ctx)
	defer w.stop(nil)
	served := shard.New(shard.Config{
		Kafka: w.config.Kafka, MaxRecords: 4 * recordsAtOnce, Clock: w.config.Clock, Logger: w.config.Logger,
		Metrics: w.config.Metrics.Shard,
	}, w)
	w.mu.Lock()
	w.shard = served
	w.mu.Unlock()
	var adding sync.WaitGroup
	defer adding.Wait()
	defer w.stop(nil)
	adding.Go(func() {
		if err := w.followTypes(ctx, served); err != nil && ctx.Err() == nil {
			w.stop(&againError{err})
		}
	})
	err := served.Run(ctx)
	if err == nil {
		err = context.Cause(ctx)
	}
	return err
}

// followTypes gives the shard the topics of every deployed type, those of a new
// type as soon as they exist.
func (w *worker) followTypes(ctx context.Context, served *shard.Shard) error {
	admin, err := kafka.NewAdmin(w.config.Kafka)
	if err != nil {
		return err
	}
	defer admin.Close()
	added := make(map[string]bool)
	for ctx.Err() == nil {
		missing := 0
		for _, workflowType := range w.registry.Types() {
			if added[workflowType] {
				continue
			}
			there, err := w.addType(ctx, admin, served, workflowType)
			if err != nil {
				return err
			}
			added[workflowType] = there
			if !there {
				missing++
			}
		}
		w.mu.Lock()
		w.started = true
		w.mu.Unlock()
		w.waitForTypes(ctx, missing > 0)
	}
	return nil
}

func (p *Projector) waitForTypes(ctx context.Context, soon bool) {
	if soon {
		kafka.Pause(ctx, retryEvery/4)
		return
	}
	select {
	case <-p.changed:
	case <-ctx.Done():
	}
}

// addType begins to follow a type; there is false while a topic is missing.
func (w *worker) addType(ctx context.Context, admin *kafka.Admin, served *shard.Shard, workflowType string) (there bool, err error) {
	state, history := w.config.Names.State(workflowType), w.config.Names.Events(workflowType)
	var all []shard.Partition
	for _, topic := range []string{state, history} {
		n, err := admin.Partitions(ctx, topic)
		if err != nil || n == 0 {
			return false, err
		}
		for i := range n {
			all = append(all, shard.Partition{Topic: topic, Partition: i})
		}
	}
	w.mu.Lock()
	w.sources[state] = views.Source{Type: workflowType, State: true}
	w.sources[history] = views.Source{Type: workflowType}
	if !w.started {
		for _, partition := range all {
			w.pending[partition] = true
		}
	}
	w.mu.Unlock()
	return true, served.AddTopics(state, history)
}
