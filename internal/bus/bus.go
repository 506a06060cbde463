// Package bus keeps the contracts of pkg/spi on Kafka: [EventBus] on any topic,
// [Workflow] on the topics of workflow types that routers serve. It writes
// commands and messages, never events, state or tasks.
//
// Reading a history or a snapshot reads one partition of a topic. That needs no
// projector and takes longer the more the partition holds; pkg/client asks a
// projector.
package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/spi/eventbus"
	"github.com/leat-io/leat/pkg/topics"
)

// Config says how to reach a cluster. Kafka.Brokers is required.
type Config struct {
	Kafka     kafka.Config
	Names     topics.Names
	MaxReplay int          // how many events ReplayEvents lists; default 10,000
	Logger    *slog.Logger // default: none
	// Skipped counts records of an event topic that no router wrote and that are
	// passed over; default: not counted.
	Skipped func(topic string)
}

func (c Config) withDefaults() Config {
	if c.MaxReplay == 0 {
		c.MaxReplay = 10_000
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Skipped == nil {
		c.Skipped = func(string) {}
	}
	return c
}

// EventBus is the contract [eventbus.EventBus] on Kafka. Topics have their full
// names. Up to 10,000 messages are under way before Publish blocks.
type EventBus struct {
	config   Config
	producer *kafka.Producer
	reader   *kafka.Reader

	mu            sync.Mutex
	closed        bool
	subscriptions map[*subscription]bool
}

var _ eventbus.EventBus = (*EventBus)(nil)

// NewEventBus makes a bus. It connects when it is first used.
func NewEventBus(c Config) (*EventBus, error) {
	c = c.withDefaults()
	producer, err := kafka.NewProducer(c.Kafka)
	if err != nil {
		return nil, err
	}
	reader, err := kafka.NewReader(c.Kafka)
	if err != nil {
		producer.Close()
		return nil, err
	}
	return &EventBus{config: c, producer: producer, reader: reader, subscriptions: make(map[*subscription]bool)}, nil
}

// Publish is the contract's.
func (b *EventBus) Publish(ctx context.Context, m eventbus.Message, done func(eventbus.Message, error)) {
	if err := b.mayPublish(ctx, m.Topic); err != nil {
		go done(m, fmt.Errorf("publish to %q: %w", m.Topic, err))
		return
	}
	record := kafka.NewRecord(m.Topic, m.Key, m.Value)
	for _, h := range m.Headers {
		record.Headers = append(record.Headers, kafka.Header(h))
	}
	b.producer.Go(ctx, record, func(err error) {
		if err != nil {
			done(m, fmt.Errorf("publish to %q: %w", m.Topic, b.explain(err)))
			return
		}
		m.Partition, m.Offset = record.Partition, record.Offset
		done(m, nil)
	})
}

func (b *EventBus) mayPublish(ctx context.Context, topic string) error {
	switch {
	case topic == "":
		return fmt.Errorf("%w: no topic", eventbus.ErrInvalid)
	case eventbus.RouterOnly(strings.TrimPrefix(topic, b.config.Names.Prefix)):
		return eventbus.ErrRouterOnly
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return b.usable()
}

func (b *EventBus) usable() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return eventbus.ErrClosed
	}
	return nil
}

// explain gives an error of Kafka the contract's name, if it has one.
func (b *EventBus) explain(err error) error {
	switch {
	case b.usable() != nil:
		return errors.Join(eventbus.ErrClosed, err)
	case kafka.NoTopic(err):
		return fmt.Errorf("%w: %w", eventbus.ErrNoTopic, err)
	default:
		return err
	}
}

// Subscribe is the contract's.
func (b *EventBus) Subscribe(ctx context.Context, topic, group string, handle eventbus.Handler) (eventbus.Unsubscribe, error) {
	if topic == "" || group == "" || handle == nil {
		return nil, fmt.Errorf("subscribe: %w: topic, group and handler are required", eventbus.ErrInvalid)
	}
	end, err := b.subscribe(ctx, topic, group, func(ctx context.Context, r *kafka.Record) error { return handle(ctx, message(r)) })
	if err != nil {
		return nil, fmt.Errorf("subscribe to %q: %w", topic, err)
	}
	return end, nil
}

func message(r *kafka.Record) eventbus.Message {
	m := eventbus.Message{Topic: r.Topic, Key: r.Key, Value: r.Value, Partition: r.Partition, Offset: r.Offset}
	for _, h := range r.Headers {
		m.Headers = append(m.Headers, eventbus.Header(h))
	}
	return m
}

// subscribe joins group; the func leaves it and waits for the handlers.
func (b *EventBus) subscribe(ctx context.Context, topic, group string, handle handler) (func(context.Context) error, error) {
	if err := b.usable(); err != nil {
		return nil, err
	}
	if _, err := b.reader.Ranges(ctx, topic); err != nil {
		return nil, b.explain(err)
	}
	s, err := newSubscription(b, topic, group, handle)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	closed := b.closed
	b.subscriptions[s] = true
	b.mu.Unlock()
	if closed { // while it was being made
		_ = s.end(context.Background())
		return nil, eventbus.ErrClosed
	}
	return s.end, nil
}

func (b *EventBus) forget(s *subscription) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.subscriptions, s)
}

// Close ends every subscription, waits for the handlers under way, and drops
// what is still being published.
func (b *EventBus) Close() {
	b.mu.Lock()
	b.closed = true
	var open []*subscription
	for s := range b.subscriptions {
		open = append(open, s)
	}
	b.mu.Unlock()
	for _, s := range open {
		_ = s.end(context.Background()) // bounded by the handlers and by its own limits
	}
	b.producer.Close()
	b.reader.Close()
}
