package workflow3

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/leat-io/leat/bench/rig"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/router"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/executor"
	"github.com/leat-io/leat/pkg/topics"
)

// The workflow: three states in a row, each with a task that does nothing.
const (
	engineType  = "noop3"
	engineQueue = "bench"
	definition  = `leat: v1
type: noop3
version: 1
initial: one
states:
  one: {invoke: {task: bench.noop, node: {type: COMPUTE}, onDone: two, onError: failed}}
  two: {invoke: {task: bench.noop, node: {type: COMPUTE}, onDone: three, onError: failed}}
  three: {invoke: {task: bench.noop, node: {type: COMPUTE}, onDone: done, onError: failed}}
  done: {type: final}
  failed: {type: final, outcome: failed}
`
)

// engine is a router and an executor in this process.
type engine struct {
	side  *side
	names topics.Names
	group *errgroup.Group
	end   context.CancelFunc
	dir   string

	partitions int32
}

// concurrency is how many tasks the executor runs at once; the bare one has no bound.
const concurrency = 512

func startEngine(ctx context.Context, c kafka.Config, prefix string, partitions int32) (*engine, error) {
	names := topics.Names{Prefix: prefix}
	if err := rig.Deploy(ctx, c, names, partitions, rig.Types{engineType: definition}, engineQueue); err != nil {
		return nil, fmt.Errorf("deploy: %w", err)
	}
	dir, err := os.MkdirTemp("", "leat-bench-*")
	if err != nil {
		return nil, fmt.Errorf("make a folder for the router: %w", err)
	}
	counter := new(txnCounter)
	r, err := router.New(router.Config{
		Kafka: c, Names: names, Slot: "bench", Dir: dir,
		Metrics: router.Metrics{Committed: func(commands, _, _ int, took time.Duration) { counter.committed(commands, took) }},
	})
	if err != nil {
		return nil, err
	}
	x, err := executor.New(executor.Config{Brokers: c.Brokers, Prefix: prefix, NodeID: "bench-executor", Concurrency: concurrency})
	if err != nil {
		return nil, err
	}
	x.HandleTask("bench.noop", func(context.Context, executor.Task) (executor.Result, error) { return nil, nil })
	running, end := context.WithCancel(ctx)
	group, running := errgroup.WithContext(running)
	group.Go(func() error { return r.Run(running) })
	group.Go(func() error { return x.Run(running) })
	e := &engine{names: names, group: group, end: end, dir: dir, partitions: partitions}
	d, err := newDriver(ctx, c, names.Events(engineType), partitions, e.command)
	if err != nil {
		return nil, errors.Join(err, e.stop())
	}
	e.side = &side{name: "engine", driver: d, txns: counter, topics: []string{
		names.Commands(engineType), names.Events(engineType), names.State(engineType), names.Tasks(engineQueue),
	}}
	return e, nil
}

// command starts an instance.
func (e *engine) command(id events.UUID) (*kafka.Record, error) {
	return rig.Command(e.names, &events.Command{Command: events.CommandStart, WorkflowType: engineType, InstanceID: id})
}

// Restored is one line of output: a router with an empty store reads the state
// topic that the run left, on the real Kafka, all partitions side by side.
type Restored struct {
	Bench     string  `json:"bench"`
	Records   int     `json:"records"`
	Seconds   float64 `json:"seconds"` // until the last partition is open
	PerSecond float64 `json:"records_per_s"`
}

// restore stops the engine and starts a router without a store in its place.
func (e *engine) restore(ctx context.Context, c kafka.Config) (Restored, error) {
	e.end()
	if err := e.group.Wait(); err != nil {
		return Restored{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	type opened struct {
		records int
		took    time.Duration
	}
	each := make(chan opened, 1024)
	r, err := router.New(router.Config{
		Kafka: c, Names: e.names, Slot: "bench-restore", Dir: filepath.Join(e.dir, "empty"),
		Metrics: router.Metrics{Restored: func(records int, took time.Duration) { each <- opened{records, took} }},
	})
	if err != nil {
		return Restored{}, err
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- r.Run(running) }()
	result := Restored{Bench: "restore_kafka"}
	for range e.partitions {
		select {
		case o := <-each: // all were begun together, so the slowest is the whole
			result.Records += o.records
			result.Seconds = max(result.Seconds, o.took.Seconds())
		case <-ctx.Done():
			stop()
			return result, errors.Join(ctx.Err(), <-ended)
		}
	}
	stop()
	result.PerSecond = rig.Digits(float64(result.Records)/result.Seconds, 0)
	result.Seconds = rig.Digits(result.Seconds, 3)
	return result, <-ended
}

func (e *engine) stop() error {
	e.end()
	err := e.group.Wait()
	if e.side != nil {
		e.side.driver.close()
	}
	return errors.Join(err, os.RemoveAll(e.dir))
}
