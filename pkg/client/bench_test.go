package client

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/leat-io/leat/internal/kafka"
	engine "github.com/leat-io/leat/internal/router"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/executor"
)

const steps = `leat: v1
type: steps
version: 1
initial: one
states:
  one:
    invoke: {task: bench.step, onDone: two, onError: failed}
  two:
    invoke: {task: bench.step, onDone: three, onError: failed}
  three:
    invoke: {task: bench.step, onDone: done, onError: failed}
  done: {type: final, output: {ok: true}}
  failed: {type: final, outcome: failed}
`

// BenchmarkStartAndResult starts workflows of three steps and waits for their
// results, with a broker, a router and an executor in the same process: ns/op is
// the time a workflow, cpu-ms/op the CPU time of all of them. bare leaves the
// waiting to one reader of the event topic, which is the least that waiting can cost.
func BenchmarkStartAndResult(b *testing.B) {
	for _, inflight := range []int{1, 128} {
		for _, wait := range []string{"result", "bare"} {
			b.Run(fmt.Sprintf("%s/inflight=%d", wait, inflight), func(b *testing.B) { benchRuns(b, wait, inflight) })
		}
	}
}

func benchRuns(b *testing.B, wait string, inflight int) {
	b.Helper()
	c := benchEngine(b)
	ctx := b.Context()
	start := func(i int) error {
		run, err := c.Start(ctx, StartRequest{Type: "steps", Key: strconv.Itoa(i)})
		if err != nil {
			return err
		}
		return run.Result(ctx, nil)
	}
	if wait == "bare" {
		bare := newBare(b, c)
		start = func(i int) error {
			done := bare.expect(events.InstanceIDForKey("steps", strconv.Itoa(i)))
			if _, err := c.Send(ctx, StartRequest{Type: "steps", Key: strconv.Itoa(i)}); err != nil {
				return err
			}
			<-done
			return nil
		}
	}
	if err := start(-1); err != nil { // connections, topics, readers
		b.Fatal(err)
	}
	var next atomic.Int64
	before := cpu(b)
	b.ResetTimer()
	var all sync.WaitGroup
	for range inflight {
		all.Go(func() {
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				if err := start(int(i)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	b.StopTimer()
	b.ReportMetric(float64((cpu(b)-before).Microseconds())/1000/float64(b.N), "cpu-ms/op")
}

func cpu(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// benchEngine is a client with an engine.
func benchEngine(b *testing.B) *Client {
	b.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(cluster.Close)
	quiet := slog.New(slog.DiscardHandler)
	c, err := New(Config{Brokers: cluster.ListenAddrs(), Logger: quiet})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(c.Close)
	if _, err := c.Deploy(b.Context(), DeployRequest{Name: "steps.yaml", Source: []byte(steps), Partitions: 8}); err != nil {
		b.Fatal(err)
	}
	r, err := engine.New(engine.Config{Kafka: c.kafka, Names: c.names, Slot: "slot", Logger: quiet})
	if err != nil {
		b.Fatal(err)
	}
	e, err := executor.New(executor.Config{Brokers: c.config.Brokers, Logger: quiet})
	if err != nil {
		b.Fatal(err)
	}
	executor.Handle(e, "bench.step", func(context.Context, any) (any, error) { return nil, nil })
	ctx, stop := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for _, run := range []func(context.Context) error{r.Run, e.Run} {
		all.Go(func() {
			if err := run(ctx); err != nil {
				b.Error(err)
			}
		})
	}
	b.Cleanup(func() { stop(); all.Wait() })
	return c
}

// bare reads the event topic and looks at headers only.
type bare struct {
	mu      sync.Mutex
	waiting map[string]chan struct{}
}

func newBare(b *testing.B, c *Client) *bare {
	b.Helper()
	reader, err := c.reading()
	if err != nil {
		b.Fatal(err)
	}
	ends, err := reader.Ends(b.Context(), c.names.Events("steps"))
	if err != nil {
		b.Fatal(err)
	}
	fetcher, err := kafka.NewFetcher(c.kafka)
	if err != nil {
		b.Fatal(err)
	}
	fetcher.AddAll(ends)
	r := &bare{waiting: make(map[string]chan struct{})}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		for ctx.Err() == nil {
			records, _ := fetcher.Poll(ctx, pollLimit)
			for _, record := range records {
				r.hand(record)
			}
		}
	})
	b.Cleanup(func() { stop(); running.Wait(); fetcher.Close() })
	return r
}

func (r *bare) expect(id events.UUID) <-chan struct{} {
	done := make(chan struct{})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting[id.String()] = done
	return done
}

func (r *bare) hand(record *kafka.Record) {
	for _, h := range record.Headers {
		if h.Key == "ce_type" && string(h.Value) == string(events.EventWorkflowCompleted) {
			r.mu.Lock()
			close(r.waiting[string(record.Key)])
			delete(r.waiting, string(record.Key))
			r.mu.Unlock()
		}
	}
}
