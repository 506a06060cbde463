package memory

import (
	"context"
	"fmt"
	"sync"

	"github.com/leat-io/leat/internal/spi/eventbus"
	"github.com/leat-io/leat/pkg/topics"
)

// EventBus is the contract [eventbus.EventBus] in memory. It has no bound on
// what is under way: a message is in its log before Publish returns, and only the
// completion comes later.
type EventBus struct {
	calls calls
	ends  ends

	mu     sync.Mutex
	closed bool
	topics map[string]*topic[eventbus.Message]
}

var _ eventbus.EventBus = (*EventBus)(nil)

// NewEventBus makes a bus without topics.
func NewEventBus() *EventBus {
	return &EventBus{topics: make(map[string]*topic[eventbus.Message])}
}

// CreateTopic makes a topic. A topic that is there stays as it is.
func (b *EventBus) CreateTopic(name string, partitions int32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.topics[name] == nil {
		b.topics[name] = newTopic[eventbus.Message](partitions)
	}
}

// Publish is the contract's.
func (b *EventBus) Publish(ctx context.Context, m eventbus.Message, done func(eventbus.Message, error)) {
	if err := b.publish(ctx, &m); err != nil {
		err = fmt.Errorf("publish to %q: %w", m.Topic, err)
		b.calls.add(func() { done(m, err) })
		return
	}
	b.calls.add(func() { done(m, nil) })
}

func (b *EventBus) publish(ctx context.Context, m *eventbus.Message) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case m.Topic == "":
		return fmt.Errorf("%w: no topic", eventbus.ErrInvalid)
	case eventbus.RouterOnly(m.Topic):
		return eventbus.ErrRouterOnly
	}
	t, err := b.topic(m.Topic)
	if err != nil {
		return err
	}
	m.Partition = topics.Partition(m.Key, int32(len(t.logs))) //nolint:gosec // partition counts are small
	t.add(m.Partition, func(offset int64) eventbus.Message {
		m.Offset = offset
		return *m
	})
	return nil
}

func (b *EventBus) topic(name string) (*topic[eventbus.Message], error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch t := b.topics[name]; {
	case b.closed:
		return nil, eventbus.ErrClosed
	case t == nil:
		return nil, eventbus.ErrNoTopic
	default:
		return t, nil
	}
}

// Subscribe is the contract's.
func (b *EventBus) Subscribe(ctx context.Context, name, group string, handle eventbus.Handler) (eventbus.Unsubscribe, error) {
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case name == "" || group == "" || handle == nil:
		return nil, fmt.Errorf("subscribe: %w: topic, group and handler are required", eventbus.ErrInvalid)
	}
	t, err := b.topic(name)
	if err != nil {
		return nil, fmt.Errorf("subscribe to %q: %w", name, err)
	}
	end := t.subscribe(group, handle)
	b.ends.add(end)
	return end, nil
}

// Close ends every subscription and refuses everything from then on. The
// handlers under way are waited for.
func (b *EventBus) Close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.ends.close()
}
