// Package timers measures how late timers fire and how many fire a second: an
// embedded broker and a router in this process, with nothing else to do, and
// instances that wait for an instant that their start names.
package timers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/devkafka"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/router"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/topics"
)

// Options say what to measure.
type Options struct {
	Spread time.Duration // between the due times of the first run's timers, first to last
	Talk   func(format string, args ...any)
}

// Result is one line of output. Lateness is from the instant that the timer
// names: to the time of the event that its firing wrote, and to when a consumer
// of committed events had that event.
type Result struct {
	Bench   string  `json:"bench"`
	Timers  int     `json:"timers"`
	Spread  float64 `json:"spread_s"` // between the first due time and the last
	P50     float64 `json:"late_p50_ms"`
	P99     float64 `json:"late_p99_ms"`
	Max     float64 `json:"late_max_ms"`
	SeenP50 float64 `json:"seen_p50_ms"`
	SeenP99 float64 `json:"seen_p99_ms"`
	// PerSecond is all timers over the time from the first due time to the last
	// event's arrival: the rate of firing where all are due at once.
	PerSecond float64 `json:"timers_per_s"`
}

const (
	waitType   = "wait"
	definition = `leat: v1
type: wait
version: 1
initial: waiting
states:
  waiting:
    after: {"timestamp(input.due) - now": over}
  over: {type: final}
`
	perSecond = 50     // timers of the spread run that are due in one second
	atOnce    = 10_000 // timers of the run in which all are due at one instant
	// startsPerSecond is a rate at which instances surely start: the first timer is
	// due only when all have.
	startsPerSecond = 500
)

// Run measures timers that are spread over a while, and then as many as are due
// at one instant.
func Run(ctx context.Context, o Options, emit func(any) error) (err error) {
	e, err := start(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.stop()) }()
	spread := int(o.Spread.Seconds() * perSecond)
	for _, r := range []struct {
		name   string
		timers int
		spread time.Duration
	}{{"warm_up", 100, 0}, {"timers_spread", spread, o.Spread}, {"timers_at_once", atOnce, 0}} {
		o.Talk("%s: %d timers over %v", r.name, r.timers, r.spread)
		line, err := e.measure(ctx, r.name, r.timers, r.spread)
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		if r.name == "warm_up" {
			continue
		}
		if err := emit(line); err != nil {
			return err
		}
	}
	return nil
}

// engine is a router in this process, and a client of it.
type engine struct {
	names    topics.Names
	broker   *devkafka.Broker
	dir      string
	end      context.CancelFunc
	group    *errgroup.Group
	producer *kafka.Producer
	fetcher  *kafka.Fetcher
}

func start(ctx context.Context) (e *engine, err error) {
	e = &engine{group: new(errgroup.Group), end: func() {}}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.stop())
		}
	}()
	if e.dir, err = os.MkdirTemp("", "leat-bench-*"); err != nil {
		return e, fmt.Errorf("make a folder for the router: %w", err)
	}
	if e.broker, err = devkafka.Start(devkafka.Options{Dir: e.dir + "/kafka"}); err != nil {
		return e, err
	}
	c := kafka.Config{Brokers: []string{e.broker.Addr()}, ClientID: "leat-bench"}
	if e.producer, err = kafka.NewProducer(c); err != nil {
		return e, err
	}
	if e.fetcher, err = kafka.NewFetcher(c); err != nil {
		return e, err
	}
	if err := e.deploy(ctx, c); err != nil {
		return e, fmt.Errorf("deploy: %w", err)
	}
	r, err := router.New(router.Config{Kafka: c, Names: e.names, Slot: "bench", Dir: e.dir + "/router"})
	if err != nil {
		return e, err
	}
	running, end := context.WithCancel(ctx)
	e.end = end
	e.group.Go(func() error { return r.Run(running) })
	return e, nil
}

func (e *engine) stop() error {
	e.end()
	err := e.group.Wait()
	if e.producer != nil {
		e.producer.Close()
	}
	if e.fetcher != nil {
		e.fetcher.Close()
	}
	if e.broker != nil {
		err = errors.Join(err, e.broker.Close())
	}
	return errors.Join(err, os.RemoveAll(e.dir))
}

// deploy makes the topics, follows the events, and writes the definition.
func (e *engine) deploy(ctx context.Context, c kafka.Config) error {
	admin, err := kafka.NewAdmin(c)
	if err != nil {
		return err
	}
	defer admin.Close()
	if err := admin.Provision(ctx, -1, append(e.names.Shared(), e.names.Type(waitType, topics.DevPartitions)...)...); err != nil {
		return err
	}
	for p := range int32(topics.DevPartitions) {
		e.fetcher.Add(kafka.TopicPartition{Topic: e.names.Events(waitType), Partition: p}, 0)
	}
	value, err := avro.EncodeDefinition(&events.DefinitionRecord{
		WorkflowType: waitType, Version: 1, Source: definition, Partitions: topics.DevPartitions, DeployedAt: events.Instant(time.Now()),
	})
	if err != nil {
		return err
	}
	return e.producer.Send(ctx, kafka.NewRecord(e.names.Definitions(), []byte(waitType+"@1"), value))
}

// measure starts instances, and looks at what their timers wrote.
func (e *engine) measure(ctx context.Context, name string, timers int, spread time.Duration) (Result, error) {
	lead := 3*time.Second + time.Duration(timers)*time.Second/startsPerSecond
	first := events.Instant(time.Now().Add(lead))
	due := make(map[events.UUID]time.Time, timers)
	starts := make([]*kafka.Record, 0, timers)
	for n := range timers {
		key := fmt.Sprintf("%s-%d", name, n)
		id := events.InstanceIDForKey(waitType, key)
		due[id] = events.Instant(first.Add(spread * time.Duration(n) / time.Duration(timers)))
		record, err := e.start(key, id, due[id])
		if err != nil {
			return Result{}, err
		}
		starts = append(starts, record)
	}
	if err := e.producer.Send(ctx, starts...); err != nil {
		return Result{}, err
	}
	return e.collect(ctx, Result{Bench: name, Timers: timers, Spread: spread.Seconds()}, first, due)
}

// start is the command that starts an instance.
func (e *engine) start(key string, id events.UUID, due time.Time) (*kafka.Record, error) {
	input, err := json.Marshal(map[string]any{"due": due})
	if err != nil {
		return nil, fmt.Errorf("write input: %w", err)
	}
	value, err := avro.EncodeCommand(&events.Command{
		Command: events.CommandStart, WorkflowType: waitType, InstanceID: id, Key: key, Payload: input,
		Timestamp: events.Instant(time.Now()), Source: "bench",
	})
	return kafka.NewRecord(e.names.Commands(waitType), []byte(id.String()), value), err
}

// patience is how long nothing may end.
const patience = 60 * time.Second

func (e *engine) collect(ctx context.Context, r Result, first time.Time, due map[events.UUID]time.Time) (Result, error) {
	var late, seen []time.Duration
	for len(late) < r.Timers {
		polling, cancel := context.WithTimeout(ctx, patience)
		records, err := e.fetcher.Poll(polling, 5000)
		cancel()
		now := time.Now()
		if err == nil && len(records) == 0 {
			err = fmt.Errorf("no event came for %v", patience)
		}
		if err != nil {
			return r, fmt.Errorf("%d of %d timers did not fire: %w", r.Timers-len(late), r.Timers, err)
		}
		for _, record := range records {
			event, err := avro.DecodeEvent(record.Value)
			if err != nil {
				return r, err
			}
			if event.EventType == events.EventWorkflowStarted && event.Timestamp.After(first) {
				return r, fmt.Errorf("the machine is too busy: not all of %d instances had started when the first timer was due", r.Timers)
			}
			if event.EventType == events.EventWorkflowCompleted {
				late = append(late, event.Timestamp.Sub(due[event.InstanceID]))
				seen = append(seen, now.Sub(due[event.InstanceID]))
			}
		}
		r.PerSecond = math.Round(float64(r.Timers) / now.Sub(first).Seconds())
	}
	slices.Sort(late)
	slices.Sort(seen)
	r.P50, r.P99, r.Max = quantile(late, 0.5), quantile(late, 0.99), quantile(late, 1)
	r.SeenP50, r.SeenP99 = quantile(seen, 0.5), quantile(seen, 0.99)
	return r, nil
}

// quantile of a sorted list, in milliseconds.
func quantile(sorted []time.Duration, q float64) float64 {
	at := sorted[int(q*float64(len(sorted)-1))]
	return math.Round(float64(at.Microseconds())/10) / 100
}
