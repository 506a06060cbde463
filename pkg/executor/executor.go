// Package executor is how a Go program runs the tasks of workflows:
//
//	e, err := executor.New(executor.Config{Brokers: []string{"localhost:9092"}})
//	e.Handle("payments.charge", func(ctx context.Context, t executor.Task) (executor.Result, error) {
//		var order Order
//		if err := t.Decode(&order); err != nil {
//			return nil, executor.Terminal(err)
//		}
//		return charge(ctx, order, t.IdempotencyKey)
//	})
//	err = e.Run(ctx) // until ctx ends
//
// A task runs at least once: after a crash, or when its result is late, the
// router issues it again. Hand [Task.IdempotencyKey] to whatever the task
// changes. Retries, timeouts and what follows are the definition's; a handler
// only says what happened. Scale by starting more processes with the same
// handlers.
//
// The package is not for starting workflows; that is pkg/client.
package executor

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
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

	// NodeID says in the history who ran a task; default host name and process id.
	NodeID string
	// Group is the prefix of the consumer groups: the executors of a queue share
	// its tasks as the group "<Group>.<queue>". Default "leat.executor". Executors
	// of one queue must agree on it: two groups would both run every task.
	Group string
	// Concurrency is how many tasks run at once, over all queues; default 64.
	Concurrency int
	// ClaimAfter is how long a task may run before the router is told that it
	// runs here; default 50 ms. A task that ends before needs no claim.
	ClaimAfter time.Duration
	// HeartbeatEvery is the longest time between two signs of life of a claimed
	// task; default a third of the task's heartbeat timeout.
	HeartbeatEvery time.Duration
	// DrainTimeout is how long running tasks get to end when Run's context ends,
	// before their own contexts do; default 20 s.
	DrainTimeout time.Duration

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

// Task is one attempt of work to do.
type Task struct {
	events.Task
}

// Decode reads the task's input into v, as json.Unmarshal does. Its error is
// terminal when returned from a handler: the input of a task never changes.
func (t Task) Decode(v any) error {
	input := t.Input
	if input == nil {
		input = json.RawMessage("null")
	}
	if err := json.Unmarshal(input, v); err != nil {
		return Terminal(fmt.Errorf("read the input of task %s: %w", t.TaskName, err))
	}
	return nil
}

// Result is what a task leads to: anything that encoding/json can write, at
// most 256 KiB of it; nil for nothing. A json.RawMessage is taken as it is.
type Result any

// Handler runs one attempt of a task. An error fails the attempt: with the code
// TASK_FAILED and retried as the definition says, unless it is a [Fail] or
// [Terminal] error. A panic fails it with the code PANIC. ctx ends at the
// attempt's start-to-close timeout, and when the executor stops and DrainTimeout
// is over; a handler must return then.
type Handler func(ctx context.Context, t Task) (Result, error)

// Fail is a failure with a code of your own, such as CARD_DECLINED, which the
// definition can react to. The message is for people and is kept in the history:
// put no secret in it.
func Fail(code, message string, retryable bool) error {
	return &events.Error{Code: code, Message: message, Retryable: retryable}
}

// Terminal makes err a failure that is not retried. A code within err is kept.
func Terminal(err error) error { return executor.Terminal(err) }

// Executor runs tasks. Call Handle, then Run, once.
type Executor struct {
	inner *executor.Executor
}

// New makes an executor. It connects to nothing yet. The error says which field
// of the configuration is wrong.
func New(c Config) (*Executor, error) {
	if c.ClientID == "" {
		c.ClientID = "leat-executor"
	}
	inner, err := executor.New(executor.Config{
		Kafka: kafka.Config{
			Brokers: c.Brokers, ClientID: c.ClientID, TLS: c.TLS, SASL: kafka.SASL(c.SASL), Logger: c.Logger,
		},
		Names: topics.Names{Prefix: c.Prefix}, NodeID: c.NodeID, Group: c.Group, Concurrency: c.Concurrency,
		ClaimAfter: c.ClaimAfter, HeartbeatEvery: c.HeartbeatEvery, DrainTimeout: c.DrainTimeout,
		Logger: c.Logger, Metrics: executor.Metrics(c.Metrics),
	})
	if err != nil {
		return nil, err
	}
	return &Executor{inner: inner}, nil
}

// Handle says who runs the tasks of a name: "queue.task", or "queue.*" for every
// task of the queue that has no handler of its own. It panics when the name is
// not of that form or has a handler already, as http.ServeMux does. A task
// without a handler that arrives on one of the queues fails with the code
// NO_HANDLER and is retried as its definition says: by then another executor of
// the queue may get it.
func (e *Executor) Handle(name string, h Handler) {
	err := e.inner.Handle(name, func(ctx context.Context, task *events.Task) (json.RawMessage, error) {
		result, err := h(ctx, Task{*task})
		if err != nil {
			return nil, err
		}
		return encode(result)
	})
	if err != nil {
		panic(err.Error())
	}
}

// HandleJSON is [Executor.Handle] for a function over your own types: the task's
// input is decoded into In, what the function returns is the result. Input that
// does not fit fails for good.
func HandleJSON[In, Out any](e *Executor, name string, h func(ctx context.Context, in In, t Task) (Out, error)) {
	e.Handle(name, func(ctx context.Context, t Task) (Result, error) {
		var in In
		if err := t.Decode(&in); err != nil {
			return nil, err
		}
		return h(ctx, in, t)
	})
}

// HandleExec runs a program for each task of a name, in any language: the input
// on its standard input and the result on its standard output, both JSON, the
// task's identity in LEAT_TASK_ID, LEAT_IDEMPOTENCY_KEY, LEAT_ATTEMPT,
// LEAT_INSTANCE_KEY and so on. Exit code 0 is completed, 65 a failure for good,
// every other a failure that may be retried. argv never goes through a shell. The
// error says that there is no such program.
func (e *Executor) HandleExec(name string, argv []string) error {
	h, err := executor.Program{Argv: argv}.Handler()
	if err != nil {
		return err
	}
	return e.inner.Handle(name, h)
}

// Run runs tasks until ctx ends. Then it hands its partitions to the other
// executors, waits for the running tasks for at most DrainTimeout, cancels those
// that are left and writes their reports. It returns nil after an orderly stop.
// Before the first deploy of a definition that uses a queue, Run waits for it.
func (e *Executor) Run(ctx context.Context) error { return e.inner.Run(ctx) }

// Ready is nil while the executor takes tasks of all its queues, else it says
// what it waits for. It asks nobody, so it is cheap enough for a health check.
func (e *Executor) Ready() error { return e.inner.Ready() }

func encode(result Result) (json.RawMessage, error) {
	switch r := result.(type) {
	case nil:
		return nil, nil
	case json.RawMessage:
		return r, nil
	}
	text, err := events.EncodeJSON(result)
	if err != nil {
		return nil, &events.Error{Code: executor.CodeResult, Message: fmt.Sprintf("the result cannot be written as JSON: %v", err)}
	}
	return text, nil
}
