package spitest

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/leat-io/leat/internal/spi/eventbus"
	"github.com/leat-io/leat/pkg/topics"
)

// send publishes one message and waits for it.
func (s EventBusSetup) send(ctx context.Context, m eventbus.Message) (eventbus.Message, error) {
	type result struct {
		message eventbus.Message
		err     error
	}
	done := make(chan result, 1)
	s.Bus.Publish(ctx, m, func(m eventbus.Message, err error) { done <- result{m, err} })
	r, err := wait(ctx, done, "a message to be durable")
	if err != nil {
		return m, err
	}
	return r.message, r.err
}

func (s EventBusSetup) publish(ctx context.Context, key []byte, value string) (eventbus.Message, error) {
	return s.send(ctx, eventbus.Message{Topic: s.Topic, Key: key, Value: []byte(value)})
}

// publishMany publishes messages under a few keys whose values rise as text.
func (s EventBusSetup) publishMany(ctx context.Context, from, n int) error {
	done := newCollector[error]()
	for i := range n {
		m := eventbus.Message{Topic: s.Topic, Key: fmt.Appendf(nil, "key-%d", i%11), Value: fmt.Appendf(nil, "%06d", from+i)}
		s.Bus.Publish(ctx, m, func(_ eventbus.Message, err error) { done.add(err) })
	}
	all, err := done.count(ctx, n)
	return errors.Join(append(all, err)...)
}

// publishRound publishes one message to each partition.
func (s EventBusSetup) publishRound(ctx context.Context, round int) error {
	for p := range s.Partitions {
		if _, err := s.publish(ctx, s.key(p), strconv.Itoa(round)); err != nil {
			return err
		}
	}
	return nil
}

// key is one that is placed in partition p.
func (s EventBusSetup) key(p int32) []byte {
	for i := 0; ; i++ {
		if key := fmt.Appendf(nil, "place-%d", i); topics.Partition(key, s.Partitions) == p {
			return key
		}
	}
}

func (s EventBusSetup) subscribe(ctx context.Context, group string) (*collector[eventbus.Message], eventbus.Unsubscribe, error) {
	got := newCollector[eventbus.Message]()
	unsubscribe, err := s.Bus.Subscribe(ctx, s.Topic, group, func(_ context.Context, m eventbus.Message) error {
		got.add(m)
		return nil
	})
	return got, unsubscribe, err
}

func pick[T any](all []T, wanted func(T) bool) (some []T) {
	for _, one := range all {
		if wanted(one) {
			some = append(some, one)
		}
	}
	return some
}
