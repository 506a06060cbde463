package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/devkafka"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/router"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/topics"
)

// Types are workflow types and the text of their definitions, version 1.
type Types map[string]string

// Deploy makes the topics of types and queues, so that they can be followed at
// once, and writes the definitions.
func Deploy(ctx context.Context, c kafka.Config, names topics.Names, partitions int32, types Types, queues ...string) error {
	admin, err := kafka.NewAdmin(c)
	if err != nil {
		return err
	}
	defer admin.Close()
	specs := names.Shared()
	for name := range types {
		specs = append(specs, names.Type(name, partitions)...)
	}
	for _, queue := range queues {
		specs = append(specs, names.Queue(queue, partitions)...)
	}
	if err := admin.Provision(ctx, -1, specs...); err != nil {
		return err
	}
	producer, err := kafka.NewProducer(c)
	if err != nil {
		return err
	}
	defer producer.Close()
	for name, source := range types {
		value, err := avro.EncodeDefinition(&events.DefinitionRecord{
			WorkflowType: name, Version: 1, Source: source, Partitions: partitions, DeployedAt: events.Instant(time.Now()),
		})
		if err != nil {
			return err
		}
		if err := producer.Send(ctx, kafka.NewRecord(names.Definitions(), []byte(name+"@1"), value)); err != nil {
			return err
		}
	}
	return nil
}

// Engine is an embedded broker and a router in this process, and a producer.
type Engine struct {
	Names    topics.Names
	Producer *kafka.Producer

	config   kafka.Config
	dir      string
	broker   *devkafka.Broker
	end      context.CancelFunc
	group    *errgroup.Group
	fetchers []*kafka.Fetcher
}

// Start runs an engine on which types are deployed, until Stop.
func Start(ctx context.Context, types Types, queues ...string) (e *Engine, err error) {
	e = &Engine{group: new(errgroup.Group), end: func() {}}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.Stop())
		}
	}()
	if e.dir, err = os.MkdirTemp("", "leat-bench-*"); err != nil {
		return e, fmt.Errorf("make a folder for the router: %w", err)
	}
	if e.broker, err = devkafka.Start(devkafka.Options{Dir: e.dir + "/kafka"}); err != nil {
		return e, err
	}
	e.config = kafka.Config{Brokers: []string{e.broker.Addr()}, ClientID: "leat-bench"}
	if e.Producer, err = kafka.NewProducer(e.config); err != nil {
		return e, err
	}
	if err := Deploy(ctx, e.config, e.Names, topics.DevPartitions, types, queues...); err != nil {
		return e, fmt.Errorf("deploy: %w", err)
	}
	r, err := router.New(router.Config{Kafka: e.config, Names: e.Names, Slot: "bench", Dir: e.dir + "/router"})
	if err != nil {
		return e, err
	}
	running, end := context.WithCancel(ctx)
	e.end = end
	e.group.Go(func() error { return r.Run(running) })
	return e, nil
}

// Follow reads a topic from its beginning. Stop closes the fetcher.
func (e *Engine) Follow(topic string) (*kafka.Fetcher, error) {
	f, err := kafka.NewFetcher(e.config)
	if err != nil {
		return nil, err
	}
	for p := range int32(topics.DevPartitions) {
		f.Add(kafka.TopicPartition{Topic: topic, Partition: p}, 0)
	}
	e.fetchers = append(e.fetchers, f)
	return f, nil
}

// Stop ends the router and the broker, and removes what they left.
func (e *Engine) Stop() error {
	e.end()
	err := e.group.Wait()
	if e.Producer != nil {
		e.Producer.Close()
	}
	for _, f := range e.fetchers {
		f.Close()
	}
	if e.broker != nil {
		err = errors.Join(err, e.broker.Close())
	}
	return errors.Join(err, os.RemoveAll(e.dir))
}

// Command is the record of a command that is given now.
func Command(names topics.Names, c *events.Command) (*kafka.Record, error) {
	c.Timestamp, c.Source = events.Instant(time.Now()), "bench"
	value, err := avro.EncodeCommand(c)
	return kafka.NewRecord(names.Commands(c.WorkflowType), []byte(c.InstanceID.String()), value), err
}
