// Package executor runs tasks: claim, run, report. It reads the task topics of
// its queues, starts a handler for each task, and tells the router as commands
// what becomes of it. It decides nothing: retries, timeouts and what follows a
// result are the router's.
//
// # Claim, then commit
//
// A task counts as handed over when its claim or its result is durable on the
// commands topic; only then may the group's offset move past it. So a task of
// three hours blocks no partition, a rebalance does not run it again, and a
// crash loses nothing: what was not handed over is read again, and what was is
// watched by the router's timers. A task runs at least once.
//
// # Organization
//
// executor.go is the life of an executor, slots.go says what runs when, intake.go
// is one queue's [shard.Worker], attempt.go runs one task, cancel.go ends
// those that are over, report.go writes commands, limits.go, handover.go and queue.go
// have the data structures, failure.go says what an error means, runner.go what a handler
// can say besides, exec.go runs programs.
// An executor that lends its tasks (lease.go is what borrowers see, lend.go the
// rest) has the same life, without handlers.
package executor

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/leat-io/leat/internal/executor/seat"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/topics"
)

// Handler runs one attempt of a task and returns its result as JSON, nil for
// none. A failure is an *events.Error, or any error, which counts as
// [CodeFailed] and may be retried unless it is [Terminal]. ctx ends at the
// attempt's start-to-close timeout and when draining takes too long.
type Handler func(ctx context.Context, task *events.Task) (json.RawMessage, error)

// Config tunes an executor. The zero value of every field but Kafka works.
type Config struct {
	Kafka  kafka.Config
	Names  topics.Names
	NodeID string // who runs the tasks; default host name, process id and a few random digits
	// Group is the prefix of the consumer groups: the executors of a queue are the
	// group "<Group>.<queue>". Default "leat.executor", behind Names.Prefix.
	Group          string
	Concurrency    int              // tasks that run at once, over all queues; default 64
	Limits         map[string]Limit // of a queue ("payments") or of a task ("payments.charge"); others have Concurrency alone
	ClaimAfter     time.Duration    // how long a task may run before it is claimed; default 50 ms
	HeartbeatEvery time.Duration    // at most this between heartbeats; default a third of the task's own timeout
	DrainTimeout   time.Duration    // how long running tasks get when Run's ctx ends; default 20 s
	CommitEvery    time.Duration    // between commits of the group's offsets; default 200 ms
	// Seat is the place of this process among the nodes, when other executors of it
	// share that; whoever makes it runs it. nil: the executor has one of its own, with
	// Capabilities and Capacity.
	Seat         *seat.Seat
	Capabilities []string         // what tasks may require of the node, such as gpu
	Capacity     map[string]int64 // how much of each resource the node has
	// Admit is asked before every attempt, in front of what [Runner.Admit] says, as
	// that is. nil: all may begin.
	Admit   func(ctx context.Context, task *events.Task) (Admission, error)
	Logger  *slog.Logger // default: none
	Metrics Metrics

	stuckAfter  time.Duration // a handler that goes on for so long after its context has ended is complained about
	lastReports time.Duration // what drain gives cancelled handlers
}

// Metrics observes an executor. Nil funcs are skipped; they must not block.
type Metrics struct {
	TaskStarted  func(queue string, waited time.Duration)                    // waited: from issue to start
	TaskFinished func(queue string, state events.TaskState, d time.Duration) // d: how long the handler ran
	TaskClaimed  func(queue string)
	ReportFailed func(queue string) // a report could not be written and is tried again
	DeadLettered func(queue string)
	SlotsUsed    func(used, of int)
}

// Timings that need no setting.
const (
	defaultHeartbeat = 30 * time.Second // of a task that names none
	handoverTimeout  = 2 * time.Second  // for claims when a partition is revoked
	commitTimeout    = 5 * time.Second
	lastReports      = 5 * time.Second       // for cancelled handlers to return and report
	giveReportsUp    = time.Second           // for reports that are being written to give up
	firstTopicRetry  = 10 * time.Millisecond // between looks for a queue's topic, doubled each time
	topicRetry       = time.Second           // the longest of these
)

func (c Config) withDefaults() Config {
	if c.NodeID == "" {
		host, err := os.Hostname()
		if err != nil {
			host = "executor"
		}
		c.NodeID = seat.Unique(fmt.Sprintf("%s-%d", host, os.Getpid()))
	}
	c.Group = cmp.Or(c.Group, DefaultGroup(c.Names))
	c.Concurrency = cmp.Or(c.Concurrency, 64)
	c.ClaimAfter = cmp.Or(c.ClaimAfter, 50*time.Millisecond)
	c.DrainTimeout = cmp.Or(c.DrainTimeout, 20*time.Second)
	c.CommitEvery = cmp.Or(c.CommitEvery, 200*time.Millisecond)
	c.stuckAfter = cmp.Or(c.stuckAfter, 5*time.Second)
	c.lastReports = cmp.Or(c.lastReports, lastReports)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// DefaultGroup is the prefix of the groups of executors that name none.
func DefaultGroup(names topics.Names) string { return names.Prefix + "leat.executor" }

// GroupOf is the consumer group of the executors of a queue.
func GroupOf(prefix, queue string) string { return prefix + "." + queue }

func (c Config) validate() error {
	switch {
	case len(c.Kafka.Brokers) == 0:
		return errors.New("executor: no broker is configured")
	case len(c.NodeID) > events.MaxNameLength:
		return fmt.Errorf("executor: the node id is %d bytes, at most %d", len(c.NodeID), events.MaxNameLength)
	case c.Concurrency < 0 || c.ClaimAfter < 0 || c.HeartbeatEvery < 0 || c.DrainTimeout < 0 || c.CommitEvery < 0:
		return errors.New("executor: a count or a duration is negative")
	}
	for _, name := range slices.Sorted(maps.Keys(c.Limits)) {
		if err := c.Limits[name].check(name); err != nil {
			return err
		}
	}
	return nil
}

// Executor runs tasks. Handle before Run; Run once.
type Executor struct {
	config   Config
	handlers map[string]Handler                                                // by task name, or "queue.*"
	before   map[string]func(context.Context, *events.Task) (Admission, error) // who is asked first, by the names of handlers
	builtin  map[string]bool                                                   // queues of HandleBuiltin
	report   *reporter
	handling context.Context //nolint:containedctx // the parent of every handler's context: it ends when draining takes too long
	abandon  context.CancelCauseFunc
	attempts sync.WaitGroup
	lending  *lending   // nil: its handlers run the tasks
	seat     *seat.Seat // set by New

	mu      sync.Mutex // guards what follows, and the intakes' partitions
	queue   queue
	bounds  map[string]*bound // by queue or task; the map itself never changes
	alarm   *time.Timer       // starts queued tasks when a rate lets them; nil until one has to wait
	running map[*job]bool     // those that have a slot
	cancels cancels
	changed chan struct{} // closed and replaced when a slot, the queue or an offset changes
	intakes []*intake
	state   error // why it is not ready, nil when it is
}

// New makes an executor without handlers.
func New(c Config) (*Executor, error) {
	c = c.withDefaults()
	if err := c.validate(); err != nil {
		return nil, err
	}
	e := &Executor{
		config: c, handlers: make(map[string]Handler), before: make(map[string]func(context.Context, *events.Task) (Admission, error)), builtin: make(map[string]bool),
		changed: make(chan struct{}), bounds: make(map[string]*bound), running: make(map[*job]bool), state: errors.New("executor is not running"),
	}
	for name, l := range c.Limits {
		e.bounds[name] = newBound(l)
	}
	e.handling, e.abandon = context.WithCancelCause(context.Background())
	if e.seat = c.Seat; e.seat == nil {
		var err error
		if e.seat, err = seat.New(seat.Config{
			Kafka: c.Kafka, Names: c.Names, NodeID: c.NodeID, Capabilities: c.Capabilities, Capacity: c.Capacity, Logger: c.Logger,
		}); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// Handle says who runs the tasks of a name: "queue.task", or "queue.*" for
// every task of the queue that has no handler of its own.
func (e *Executor) Handle(name string, h Handler) error {
	queue := topics.QueueOf(name)
	switch {
	case queue == "" || len(name) < len(queue)+2:
		return fmt.Errorf("handle %q: want queue.task, or queue.* for every task of a queue", name)
	case h == nil:
		return fmt.Errorf("handle %q: the handler is nil", name)
	case e.handlers[name] != nil:
		return fmt.Errorf("handle %q: there is a handler already", name)
	}
	e.handlers[name] = h
	return nil
}

// HandleBuiltin is Handle for what comes with an executor: a handler of the same
// queue that is there already takes precedence, and Ready does not wait for the
// queue, which may never be used.
func (e *Executor) HandleBuiltin(name string, h Handler) error {
	queue := topics.QueueOf(name)
	if slices.Contains(e.Queues(), queue) && !e.builtin[queue] {
		return nil
	}
	e.builtin[queue] = true
	return e.Handle(name, h)
}

func (e *Executor) handler(task *events.Task) Handler {
	if h := e.handlers[task.TaskName]; h != nil {
		return h
	}
	return e.handlers[task.Queue+".*"]
}

// NodeID says who runs the tasks.
func (e *Executor) NodeID() string { return e.config.NodeID }

// Queues lists the queues that have a handler.
func (e *Executor) Queues() []string {
	set := make(map[string]bool)
	for name := range e.handlers {
		set[topics.QueueOf(name)] = true
	}
	return slices.Sorted(maps.Keys(set))
}

// Run runs tasks until ctx ends. Then it hands its partitions to others, waits
// for the running handlers for at most DrainTimeout, cancels those that are left,
// and returns when their reports are written. The error is nil after an orderly
// stop.
func (e *Executor) Run(ctx context.Context) error {
	if len(e.handlers) == 0 {
		return errors.New("executor: there is no handler; call Handle before Run")
	}
	if err := e.checkLimits(); err != nil {
		return err
	}
	producer, err := kafka.NewProducer(e.config.Kafka)
	if err != nil {
		return err
	}
	defer producer.Close()
	reporting, stopReports := context.WithCancel(context.Background())
	defer stopReports()
	e.report = &reporter{config: e.config, producer: producer, life: reporting}
	var watching sync.WaitGroup
	watching.Go(func() { e.watchCancels(reporting) })
	defer watching.Wait()
	defer stopReports()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	unseat := e.sit(ctx, stop)
	err = e.serve(ctx)
	return errors.Join(err, e.drain(stopReports), unseat())
}

// sit takes the executor's place among the nodes, and stops the executor when another
// process takes it away. The place is given up when ctx ends, or the func is called.
func (e *Executor) sit(ctx context.Context, stop func()) (unseat func() error) {
	e.seat.Join(e.Queues(), e.config.Concurrency)
	if e.config.Seat != nil {
		return func() error { e.seat.Leave(e.Queues(), e.config.Concurrency); return nil }
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { // its end is waited for below
		ended <- e.seat.Run(ctx)
		stop()
	}()
	return func() error { cancel(); return <-ended }
}

// serve runs one intake a queue until ctx ends or one of them fails.
func (e *Executor) serve(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	e.mu.Lock()
	for _, queue := range e.Queues() {
		e.intakes = append(e.intakes, newIntake(e, queue))
	}
	e.state = nil
	e.mu.Unlock()
	errs := make([]error, len(e.intakes))
	var running sync.WaitGroup
	for i, in := range e.intakes {
		running.Go(func() {
			if errs[i] = in.run(ctx); errs[i] != nil {
				cancel(errs[i])
			}
		})
	}
	running.Wait()
	e.closeLending()
	e.setState(errors.New("executor is stopping"))
	return errors.Join(errs...)
}

// drain waits for the running handlers. Partitions are revoked already.
func (e *Executor) drain(stopReports context.CancelFunc) error {
	defer e.stopAlarm()
	ended := make(chan struct{})
	go func() { e.attempts.Wait(); close(ended) }()
	if wait(ended, e.config.DrainTimeout) {
		e.abandon(errDrained)
		return nil
	}
	e.config.Logger.Warn("handlers run longer than the drain timeout and are cancelled", slog.String("tasks", e.runningTasks()))
	e.abandon(errDrained)
	e.mu.Lock()
	e.dispatch() // what waited for its turn is reported, not run
	e.mu.Unlock()
	if wait(ended, e.config.lastReports) {
		return nil
	}
	stopReports()
	if wait(ended, giveReportsUp) {
		return errors.New("executor: some reports could not be written before it stopped; the router's timers take over")
	}
	return fmt.Errorf("executor: handlers did not return within %s after their context ended: %s; the router issues their tasks again when it misses their heartbeats",
		e.config.lastReports+giveReportsUp, e.runningTasks())
}

// runningTasks names what has a slot, for people.
func (e *Executor) runningTasks() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	names := make([]string, 0, len(e.running))
	for j := range e.running {
		names = append(names, fmt.Sprintf("%s (task %s, attempt %d)", j.task.TaskName, j.task.TaskID, j.task.Attempt))
	}
	slices.Sort(names)
	const most = 5
	if more := len(names) - most; more > 0 {
		names = append(names[:most], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, ", ")
}

func wait(done <-chan struct{}, most time.Duration) bool {
	t := time.NewTimer(most)
	defer t.Stop()
	select {
	case <-done:
		return true
	case <-t.C:
		return false
	}
}

// Ready is nil while tasks are being taken: the executor runs, every queue has
// its topic and the group has let it in.
func (e *Executor) Ready() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.state != nil {
		return e.state
	}
	for _, in := range e.intakes {
		if err := in.ready(); err != nil {
			return err
		}
	}
	return nil
}

func (e *Executor) setState(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.state = err
}
