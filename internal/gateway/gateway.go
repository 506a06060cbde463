// Package gateway hands tasks to workers over HTTP: they poll a queue, send
// heartbeats, and report how an attempt ended. It is an executor whose handlers
// are elsewhere: tasks are claimed, reported and reissued as those of any executor
// are (internal/executor), and the gateway keeps nothing that has to survive it.
//
// Nothing piles up here. A queue is read only as fast as it is polled, plus a few
// tasks ahead; polls, leases and answers are bounded; a queue that is no longer
// polled is closed, so that its partitions go to a gateway that is polled.
//
// It is not for starting workflows; that is the projector's API.
//
// # Organization
//
// gateway.go is the life of a gateway, queues.go opens and closes queues,
// leases.go knows who holds what, api.go describes the routes, poll.go and
// report.go answer them.
package gateway

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/leat-io/leat/internal/executor"
	"github.com/leat-io/leat/internal/executor/seat"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/topics"
)

// Config says what a gateway serves. Only Kafka is required.
type Config struct {
	Kafka        kafka.Config
	Names        topics.Names
	NodeID       string        // who runs the tasks; default host name and process id
	Seat         *seat.Seat    // place among the nodes; nil: the gateway has one of its own
	Group        string        // prefix of the consumer groups; default that of executors
	DrainTimeout time.Duration // how long leases may go on when Run's ctx ends; default 20 s
	Token        string        // bearer token of all requests; "" asks for none
	Served       []string      // queues whose tasks this process runs itself, and that may not be polled
	Logger       *slog.Logger  // default: none
	Tasks        executor.Metrics
	Metrics      Metrics

	MaxQueues      int           // queues that are read at once; default 100
	MaxPolls       int           // polls that wait at once; default 1000
	MaxClientPolls int           // of one client address; default 200
	MaxLeases      int           // leases of one queue at once; default 1000
	ReadAhead      int           // tasks of one queue that are read before they are polled; default 32
	Idle           time.Duration // how long a queue that is not polled is kept; default 1 min

	// durableWithin is how long a request waits for its report to be durable; the
	// gateway goes on trying behind it.
	durableWithin time.Duration
}

// Metrics observes a gateway. Nil funcs are skipped; they must not block.
type Metrics struct {
	Polls   func(change int)  // a poll began to wait (1) or ended (-1)
	Leases  func(change int)  // a task was leased (1), or its lease ended (-1)
	Expired func(why string)  // a lease ended without its holder: silent, overdue, drained
	Refused func(code string) // a request was answered with a problem
	Queues  func(change int)  // a queue was opened (1) or closed (-1)
}

func (c Config) withDefaults() Config {
	c.MaxQueues = cmp.Or(c.MaxQueues, 100)
	c.MaxPolls = cmp.Or(c.MaxPolls, 1000)
	c.MaxClientPolls = cmp.Or(c.MaxClientPolls, 200)
	c.MaxLeases = cmp.Or(c.MaxLeases, 1000)
	c.ReadAhead = cmp.Or(c.ReadAhead, 32)
	c.Idle = cmp.Or(c.Idle, time.Minute)
	c.durableWithin = cmp.Or(c.durableWithin, 20*time.Second)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Metrics = c.Metrics.filled()
	return c
}

// filled replaces funcs that are nil.
func (m Metrics) filled() Metrics {
	count, name := func(int) {}, func(string) {}
	if m.Polls == nil {
		m.Polls = count
	}
	if m.Leases == nil {
		m.Leases = count
	}
	if m.Queues == nil {
		m.Queues = count
	}
	if m.Expired == nil {
		m.Expired = name
	}
	if m.Refused == nil {
		m.Refused = name
	}
	return m
}

// Gateway hands out tasks. Run may be called once; the other methods are safe at
// any time.
type Gateway struct {
	config   Config
	ownSeat  bool // Run keeps it
	handler  http.Handler
	leases   *leases
	polling  context.Context //nolint:containedctx // the parent of every poll: it ends when Run's does
	endPolls context.CancelFunc
	running  sync.WaitGroup
	looking  chan struct{} // held, by its one element, while Kafka is asked for a topic

	mu     sync.Mutex   // guards what follows
	admin  *kafka.Admin // nil before Run and after
	queues map[string]*queue
	polls  map[string]int // by client address
	all    int            // the sum of polls
}

// New makes a gateway. Its handler answers 503 until Run.
func New(c Config) (*Gateway, error) {
	c = c.withDefaults()
	own := c.Seat == nil
	if own {
		var err error
		if c.Seat, err = seat.New(seat.Config{Kafka: c.Kafka, Names: c.Names, NodeID: cmp.Or(c.NodeID, seat.Unique("gateway")), Logger: c.Logger}); err != nil {
			return nil, err
		}
	}
	if _, err := executor.New(c.executor()); err != nil {
		return nil, err
	}
	g := &Gateway{
		config: c, ownSeat: own, leases: newLeases(c.Metrics), looking: make(chan struct{}, 1),
		queues: make(map[string]*queue), polls: make(map[string]int),
	}
	g.polling, g.endPolls = context.WithCancel(context.Background())
	var err error
	g.handler, err = newHandler(g)
	return g, err
}

// executor is how a queue is read.
func (c Config) executor() executor.Config {
	return executor.Config{
		Kafka: c.Kafka, Names: c.Names, NodeID: c.NodeID, Seat: c.Seat, Group: c.Group, Concurrency: c.MaxLeases,
		DrainTimeout: c.DrainTimeout, Logger: c.Logger, Metrics: c.Tasks,
	}
}

// Handler serves the API below /v1, and its description, /openapi.json.
func (g *Gateway) Handler() http.Handler { return g.handler }

var (
	errNotRunning = errors.New("the gateway is not running")
	errStopping   = errors.New("the gateway is stopping")
)

// Ready is nil while tasks can be polled.
func (g *Gateway) Ready() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.stopped():
		return errStopping
	case g.admin == nil:
		return errNotRunning
	}
	return nil
}

func (g *Gateway) stopped() bool { return g.polling.Err() != nil }

// Run hands out tasks until ctx ends. Then polls end, and who has a task can
// still report it, for at most DrainTimeout; what is left is given to others. It
// returns nil after an orderly stop.
func (g *Gateway) Run(ctx context.Context) error {
	admin, err := kafka.NewAdmin(g.config.Kafka)
	if err != nil {
		return err
	}
	defer admin.Close()
	g.mu.Lock()
	g.admin = admin
	g.mu.Unlock()
	if g.ownSeat {
		g.running.Go(func() {
			if err := g.config.Seat.Run(ctx); err != nil {
				g.config.Logger.Error("gateway is no node any more", slog.Any("error", err))
			}
		})
	}
	g.closeIdle(ctx) // until ctx ends
	g.mu.Lock()
	g.endPolls()
	g.admin = nil
	for _, q := range g.queues {
		q.stop()
	}
	g.mu.Unlock()
	g.running.Wait()
	return nil
}
