package neighbours

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/devkafka"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/router"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/topics"
)

const (
	smallType = "small"
	largeType = "large"
	busyType  = "busy"
	small     = `leat: v1
type: small
version: 1
initial: waiting
states:
  waiting: {on: {go: over}}
  over: {type: final}
`
)

// engine is a broker and a router in this process, and a client of them.
type engine struct {
	names    topics.Names
	broker   *devkafka.Broker
	dir      string
	end      context.CancelFunc
	group    *errgroup.Group
	producer *kafka.Producer
	ends     *kafka.Fetcher // events of the small workflows
	large    *kafka.Fetcher // events of the large one
	tasks    *kafka.Fetcher
	done     atomic.Int64 // events of the large one
	inputs   atomic.Int64 // that were sent to it
}

func start(ctx context.Context, definition string) (e *engine, err error) {
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
	for _, f := range []**kafka.Fetcher{&e.ends, &e.large, &e.tasks} {
		if *f, err = kafka.NewFetcher(c); err != nil {
			return e, err
		}
	}
	if err := e.deploy(ctx, c, definition); err != nil {
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
	for _, f := range []*kafka.Fetcher{e.ends, e.large, e.tasks} {
		if f != nil {
			f.Close()
		}
	}
	if e.broker != nil {
		err = errors.Join(err, e.broker.Close())
	}
	return errors.Join(err, os.RemoveAll(e.dir))
}

// deploy makes the topics, follows the events, and writes the definitions.
func (e *engine) deploy(ctx context.Context, c kafka.Config, definition string) error {
	admin, err := kafka.NewAdmin(c)
	if err != nil {
		return err
	}
	defer admin.Close()
	const parts = topics.DevPartitions
	specs := append(e.names.Shared(), e.names.Type(smallType, parts)...)
	specs = append(append(specs, e.names.Type(largeType, parts)...), e.names.Type(busyType, parts)...)
	specs = append(specs, e.names.Queue("bench", parts)...)
	if err := admin.Provision(ctx, -1, specs...); err != nil {
		return err
	}
	for p := range int32(parts) {
		e.ends.Add(kafka.TopicPartition{Topic: e.names.Events(smallType), Partition: p}, 0)
		e.large.Add(kafka.TopicPartition{Topic: e.names.Events(largeType), Partition: p}, 0)
		e.tasks.Add(kafka.TopicPartition{Topic: e.names.Tasks("bench"), Partition: p}, 0)
	}
	for name, source := range map[string]string{smallType: small, largeType: definition, busyType: busy} {
		value, err := avro.EncodeDefinition(&events.DefinitionRecord{
			WorkflowType: name, Version: 1, Source: source, Partitions: parts, DeployedAt: events.Instant(time.Now()),
		})
		if err != nil {
			return err
		}
		if err := e.producer.Send(ctx, kafka.NewRecord(e.names.Definitions(), []byte(name+"@1"), value)); err != nil {
			return err
		}
	}
	return nil
}

// next waits for events.
func (e *engine) next(ctx context.Context, f *kafka.Fetcher) (list []events.Event, err error) {
	records, err := f.Poll(ctx, 2000)
	if err == nil && len(records) == 0 {
		err = context.Cause(ctx)
	}
	for _, record := range records {
		event, err := avro.DecodeEvent(record.Value)
		if err != nil {
			return nil, err
		}
		list = append(list, event)
	}
	return list, err
}

func command(c *events.Command) (*kafka.Record, error) {
	c.Timestamp, c.Source = events.Instant(time.Now()), "bench"
	value, err := avro.EncodeCommand(c)
	return kafka.NewRecord(topics.Names{}.Commands(c.WorkflowType), []byte(c.InstanceID.String()), value), err
}
