// Package executor is how a Go program runs the tasks of workflows. A handler is
// a function over your own types:
//
//	w, err := executor.New(executor.Config{Brokers: []string{"localhost:9092"}})
//	executor.Handle(w, "payments.charge", charge) // func(ctx context.Context, in Order) (Receipt, error)
//	err = w.Run(ctx)                              // until ctx ends
//
// The task's input is decoded into Order as encoding/json does it, what the
// function returns is the result. The context knows the task: [TaskFrom] gives
// its identity, attempt and idempotency key, [Heartbeat] keeps how far it has come
// for the next attempt. [Executor.HandleTask] is for handlers that want the task
// as it is, [Executor.HandleExec] for programs.
//
// A task runs at least once: after a crash, or when its result is late, the
// router issues it again. Hand [Task.IdempotencyKey] to whatever the task
// changes. Retries, timeouts and what follows are the definition's; a handler
// only says what happened, with an error of [Fail], [Terminal] or [RetryAfter]
// where a plain one is not enough. Scale by starting more processes with the same
// handlers.
//
// The package is not for starting workflows; that is pkg/client.
package executor

import (
	"context"
	"crypto/tls"
	"log/slog"
	"time"

	"github.com/leat-io/leat/internal/executor"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/topics"
)

// Config tunes an executor. Only Brokers is required.
type Config struct {
	Brokers  []string    // host:port of some brokers of the cluster
	Prefix   string      // of every topic and group name; default none
	ClientID string      // how brokers name this client; default "leat-executor"
	TLS      *tls.Config // nil for plain text
	SASL     SASL        // zero for none

	// NodeID says in the history who ran a task, and names this executor among the
	// nodes: of two that run under one id the first ends. Default host name, process id
	// and a few random digits.
	NodeID string
	// Group is the prefix of the consumer groups: the executors of a queue share
	// its tasks as the group "<Group>.<queue>". Default "leat.executor". Executors
	// of one queue must agree on it: two groups would both run every task.
	Group string
	// Concurrency is how many tasks run at once, over all queues; default 64.
	Concurrency int
	// Limits bound single queues ("payments") and single tasks ("payments.charge")
	// besides, each in this process: a task runs when both of its own and
	// Concurrency let it. A task that has to wait holds back its own kind alone, as
	// far as that many others can be read ahead. Run refuses a name without a handler.
	Limits map[string]Limit
	// ClaimAfter is how long a task may run before the router is notified that it
	// runs here; default 50 ms. A task that ends before needs no claim.
	ClaimAfter time.Duration
	// HeartbeatEvery is the longest time between two heartbeats of a claimed
	// task; default a third of the task's heartbeat timeout.
	HeartbeatEvery time.Duration
	// DrainTimeout is how long running tasks get to end when Run's context ends,
	// before their own contexts do; default 20 s.
	DrainTimeout time.Duration

	// Capabilities are what this machine can do besides running the handlers, such as
	// "gpu": tasks whose definition requires them (node.requires) go to executors that
	// have all of them.
	Capabilities []string
	// Capacity is how much there is of what tasks take while they run (node.resources),
	// such as {"gpu": 2, "memory_mb": 8192}: whole numbers, in units on which definitions
	// and executors agree. No more is ever taken at once.
	Capacity map[string]int64

	Logger  *slog.Logger // default: none
	Metrics Metrics
}

// SASL holds Kafka credentials. An empty Mechanism means none.
type SASL struct {
	Mechanism string // PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512
	User      string
	Password  string
}

// Metrics observes an executor: fill in the funcs that you want called. They are
// called from many goroutines and must not block.
type Metrics struct {
	TaskStarted  func(queue string, waited time.Duration)                    // waited: from issue to start
	TaskFinished func(queue string, state events.TaskState, d time.Duration) // d: how long the handler ran
	TaskClaimed  func(queue string)                                          // it ran longer than ClaimAfter
	ReportFailed func(queue string)                                          // a report could not be written and is tried again
	DeadLettered func(queue string)                                          // a record was no task
	SlotsUsed    func(used, of int)                                          // tasks that run, of Concurrency
}

// Limit bounds the tasks of a queue, or of one name. Zero fields bound nothing.
type Limit struct {
	Concurrency int     // attempts that run at once
	Rate        float64 // attempts that begin in a second
	// Burst is how many may begin at once after a quiet time; default a tenth of
	// Rate, at least 1. Without Rate it means nothing.
	Burst int
}

// Executor runs tasks: give it handlers, then call Run, once. Handlers are not
// given, and Use is not called, while it runs.
type Executor struct {
	inner      *executor.Executor
	middleware []Middleware
	handlers   []*handler
}

// New makes an executor. It connects to nothing yet. The error says which field
// of the configuration is wrong.
func New(c Config) (*Executor, error) {
	if c.ClientID == "" {
		c.ClientID = "leat-executor"
	}
	limits := make(map[string]executor.Limit, len(c.Limits))
	for name, l := range c.Limits {
		limits[name] = executor.Limit(l)
	}
	inner, err := executor.New(executor.Config{
		Kafka: kafka.Config{
			Brokers: c.Brokers, ClientID: c.ClientID, TLS: c.TLS, SASL: kafka.SASL(c.SASL), Logger: c.Logger,
		},
		Names: topics.Names{Prefix: c.Prefix}, NodeID: c.NodeID, Group: c.Group, Concurrency: c.Concurrency, Limits: limits,
		Capabilities: c.Capabilities, Capacity: c.Capacity,
		ClaimAfter: c.ClaimAfter, HeartbeatEvery: c.HeartbeatEvery, DrainTimeout: c.DrainTimeout,
		Logger: c.Logger, Metrics: executor.Metrics(c.Metrics),
	})
	if err != nil {
		return nil, err
	}
	return &Executor{inner: inner}, nil
}

// Run runs tasks until ctx ends. Then it hands its partitions to the other
// executors, waits for the running tasks for at most DrainTimeout, cancels those
// that are left and writes their reports. It returns nil after an orderly stop.
// Before the first deploy of a definition that uses a queue, Run waits for it.
//
// A handler that goes on after its context has ended holds its slot and is named
// in the log; one that still goes on after DrainTimeout and six seconds more is
// named in Run's error.
func (e *Executor) Run(ctx context.Context) error {
	for _, h := range e.handlers {
		h.wrap(e.middleware)
	}
	return e.inner.Run(ctx)
}

// Ready is nil while the executor takes tasks of all its queues, else it says
// what it waits for. It makes no request, so it is cheap enough for a health check.
func (e *Executor) Ready() error { return e.inner.Ready() }
