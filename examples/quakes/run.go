package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leat-io/leat/examples/internal/devleat"
	"github.com/leat-io/leat/examples/internal/progress"
	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/executor"
	"github.com/leat-io/leat/pkg/topics"
)

// run does everything, on a cluster or on a leat dev of its own.
func run(ctx context.Context, o options) error {
	r, err := o.run(ctx)
	if err != nil || !o.once {
		return err
	}
	return r.printJSON(os.Stdout) // last of all: programs read the last line
}

func (o options) run(ctx context.Context) (r results, err error) {
	quakes, err := readFeed(feedText)
	if err != nil {
		return r, err
	}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	bar := progress.New(os.Stderr, len(quakes))
	if o.brokers == "" {
		d, err := devleat.Start(o.data, bar.Say, fail)
		if err != nil {
			return r, err
		}
		defer d.Stop()
		o.brokers, o.api, o.partitions = d.Kafka, cmp.Or(o.api, d.API), topics.DevPartitions
		bar.Say("leat dev: %s, Kafka %s, data in %s", d.API, d.Kafka, o.data)
	}
	o.out = cmp.Or(o.out, filepath.Join(o.data, "out"))
	c, err := client.New(client.Config{Brokers: o.seeds(), API: o.api, ClientID: "quakes"})
	if err != nil {
		return r, err
	}
	defer c.Close()

	r, stopWorker, err := o.all(ctx, c, quakes, bar, fail)
	if stopWorker != nil {
		defer stopWorker()
	}
	bar.End()
	if err != nil {
		return r, stopped(ctx, err)
	}
	r.print(os.Stdout, expected(quakes))
	next(os.Stdout, o.brokers, o.api, o.out)
	if !o.once {
		fmt.Println("\nCtrl-C stops.")
		<-ctx.Done()
		return r, because(ctx, nil)
	}
	return r, nil
}

// errStopped is a Ctrl-C before there were results.
var errStopped = errors.New("stopped before all were finished; the same command goes on from here")

func stopped(ctx context.Context, err error) error {
	return cmp.Or(because(ctx, err), errStopped)
}

// because is why ctx ended; a Ctrl-C is no error.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// all deploys, works, starts, signals and waits.
func (o options) all(ctx context.Context, c *client.Client, quakes []Quake, bar *progress.Bar, fail func(error)) (r results, stopWorker func(), err error) {
	if err := deploy(ctx, c, o.partitions); err != nil {
		return r, nil, err
	}
	if r.before, err = look(ctx, c, keysOf(quakes)); err != nil {
		return r, nil, err
	}
	r.own = true
	begin := time.Now()
	var m meter
	if stopWorker, err = o.startWorker(ctx, &m, fail); err != nil {
		return r, nil, err
	}
	sent, err := send(ctx, c, quakes, o.reviewWithin, bar.Say)
	if err != nil {
		return r, stopWorker, err
	}
	r.signals = sent.signals
	if r.before.finished == len(quakes) { // nothing will happen: see that it has not happened
		if err := sent.decided(ctx, c); err != nil {
			return r, stopWorker, err
		}
	}
	if r.view, err = await(ctx, c, quakes, bar); err != nil {
		return r, stopWorker, err
	}
	r.took = time.Since(begin)
	r.tasks = int(m.tasks.Load())
	r.busy = max(0, time.Unix(0, m.last.Load()).Sub(begin))
	return r, stopWorker, nil
}

// meter counts the tasks that were done here.
type meter struct{ tasks, last atomic.Int64 }

// startWorker runs an executor in the background until it is stopped.
func (o options) startWorker(ctx context.Context, m *meter, fail func(error)) (stop func(), err error) {
	d, err := openDesk(o.out)
	if err != nil {
		return nil, err
	}
	e, err := executor.New(executor.Config{
		Brokers: o.seeds(), ClientID: "quakes-worker", Concurrency: o.concurrency,
		Metrics: executor.Metrics{TaskFinished: func(string, events.TaskState, time.Duration) {
			m.tasks.Add(1)
			m.last.Store(time.Now().UnixNano())
		}},
	})
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	d.handle(e)
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := e.Run(ctx); err != nil && ctx.Err() == nil {
			fail(fmt.Errorf("the executor ended: %w", err))
		}
	}()
	return func() {
		cancel()
		<-done
		_ = d.Close()
	}, nil
}

// worker only does tasks.
func worker(ctx context.Context, o options) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	stop, err := o.startWorker(ctx, &meter{}, fail)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "doing quakes.* of %s; effects in %s\n", o.brokers, o.out)
	<-ctx.Done()
	stop()
	return because(ctx, nil)
}

// start only deploys, starts and signals.
func start(ctx context.Context, o options) error {
	quakes, err := readFeed(feedText)
	if err != nil {
		return err
	}
	c, err := client.New(client.Config{Brokers: o.seeds(), ClientID: "quakes"})
	if err != nil {
		return err
	}
	defer c.Close()
	if err := deploy(ctx, c, 0); err != nil {
		return because(ctx, err)
	}
	say := func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
	sent, err := send(ctx, c, quakes, o.reviewWithin, say)
	if err != nil {
		return stopped(ctx, err)
	}
	fmt.Printf("%s starts and %d signals are in Kafka\n", thousands(len(quakes)), sent.signals)
	return nil
}

// wait only waits and reports.
func wait(ctx context.Context, o options) error {
	quakes, err := readFeed(feedText)
	if err != nil {
		return err
	}
	c, err := client.New(client.Config{Brokers: o.seeds(), API: o.api, ClientID: "quakes"})
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeoutCause(ctx, o.timeout, fmt.Errorf("not all were finished after %s", o.timeout))
	defer cancel()
	bar := progress.New(os.Stderr, len(quakes))
	begin := time.Now()
	v, err := await(ctx, c, quakes, bar)
	bar.End()
	if err != nil {
		return stopped(ctx, err)
	}
	r := results{view: v, took: time.Since(begin)}
	r.print(os.Stdout, expected(quakes))
	return r.printJSON(os.Stdout)
}

// deploy makes the cluster know quake.yaml. The count of partitions is fixed for
// the life of the type; 0 is the default.
func deploy(ctx context.Context, c *client.Client, partitions int32) error {
	_, err := c.Deploy(ctx, client.DeployRequest{Name: "quake.yaml", Source: source, Partitions: partitions})
	return err
}

// patience is how often something that failed is tried again.
const patience = 500 * time.Millisecond

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// batch is what send has made durable.
type batch struct {
	signals int
	newest  map[int32]client.Receipt // by partition
}

// decided waits until the routers have decided all of it.
func (s batch) decided(ctx context.Context, c *client.Client) error {
	for _, r := range s.newest {
		if _, err := c.Wait(ctx, r); err != nil && !errors.Is(err, client.ErrRejected) {
			return err
		}
	}
	return nil
}

// send starts every quake and signals those that the desk reviews, pipelined.
// What fails is sent again: the business key, and the idempotency key of the
// signal, make that harmless. A signal directly follows its start.
func send(ctx context.Context, c *client.Client, quakes []Quake, reviewWithin time.Duration, say func(string, ...any)) (batch, error) {
	s := batch{newest: map[int32]client.Receipt{}}
	for todo := quakes; len(todo) > 0; {
		var (
			wg     sync.WaitGroup
			mu     sync.Mutex
			failed error
			again  []Quake
		)
		for _, q := range todo {
			requests, err := requestsFor(q, reviewWithin)
			if err != nil {
				return s, err
			}
			for _, r := range requests {
				wg.Add(1)
				c.Go(ctx, r, func(receipt client.Receipt, err error) {
					defer wg.Done()
					mu.Lock()
					defer mu.Unlock()
					switch {
					case err != nil:
						failed = err
						again = append(again, q)
					case receipt.Offset >= s.newest[receipt.Partition].Offset:
						s.newest[receipt.Partition] = receipt
					}
				})
			}
		}
		wg.Wait()
		if failed == nil {
			break
		}
		if ctx.Err() != nil || errors.Is(failed, client.ErrInvalid) {
			return s, failed
		}
		say("Kafka did not take %d of %d: %v; trying again", len(again), len(todo), failed)
		if err := sleep(ctx, patience); err != nil {
			return s, err
		}
		todo = again
	}
	for _, q := range quakes {
		if reviewedAtOnce(q) {
			s.signals++
		}
	}
	return s, nil
}

// requestsFor is what a quake needs from outside.
func requestsFor(q Quake, reviewWithin time.Duration) ([]client.Request, error) {
	input, err := startInput(q, reviewWithin)
	if err != nil {
		return nil, err
	}
	requests := []client.Request{client.StartRequest{Type: workflowType, Key: q.ID, Input: input}}
	if reviewedAtOnce(q) {
		requests = append(requests, client.SignalRequest{Type: workflowType, Key: q.ID, Event: "reviewed", IdempotencyKey: "desk"})
	}
	return requests, nil
}

// startInput is what a quake's instance starts with.
func startInput(q Quake, reviewWithin time.Duration) (json.RawMessage, error) {
	q.ReviewWithin = reviewWithin.Round(time.Millisecond).String()
	return json.Marshal(q)
}

// await waits until every quake is finished. Whoever answers may be away for a
// while.
func await(ctx context.Context, c *client.Client, quakes []Quake, bar *progress.Bar) (view, error) {
	const often = 100 * time.Millisecond
	keys := keysOf(quakes)
	complained := time.Now()
	for {
		v, finished, err := glance(ctx, c, keys)
		switch {
		case err == nil:
			if bar.Set(finished); v.finished == len(quakes) {
				return v, nil
			}
		case ctx.Err() != nil:
			return view{}, err
		case time.Since(complained) > 5*time.Second:
			complained = time.Now()
			bar.Say("cannot see how far it is: %v; trying again", err)
		}
		if err := sleep(ctx, often); err != nil {
			return view{}, err
		}
	}
}

// glance counts, which is cheap, and looks closely when all seem to be finished.
func glance(ctx context.Context, c *client.Client, keys map[string]bool) (v view, finished int, err error) {
	counts, err := c.Counts(ctx, workflowType)
	if err != nil {
		return v, 0, err
	}
	for state, n := range counts.Workflow {
		if state.Finished() {
			finished += int(n)
		}
	}
	if finished < len(keys) {
		return v, finished, nil
	}
	if v, err = look(ctx, c, keys); err != nil {
		return v, 0, err
	}
	return v, v.finished, nil
}
