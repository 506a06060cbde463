package spitest_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/leat-io/leat/internal/spi/eventbus"
	"github.com/leat-io/leat/internal/spi/spitest"
)

// brokenBus breaks one method or the other; nil keeps it.
type brokenBus struct {
	eventbus.EventBus
	publish   func(context.Context, eventbus.Message, func(eventbus.Message, error))
	subscribe func(ctx context.Context, topic, group string, handle eventbus.Handler) (eventbus.Unsubscribe, error)
}

func (b brokenBus) Publish(ctx context.Context, m eventbus.Message, done func(eventbus.Message, error)) {
	if b.publish == nil {
		b.EventBus.Publish(ctx, m, done)
		return
	}
	b.publish(ctx, m, done)
}

func (b brokenBus) Subscribe(ctx context.Context, topic, group string, handle eventbus.Handler) (eventbus.Unsubscribe, error) {
	if b.subscribe == nil {
		return b.EventBus.Subscribe(ctx, topic, group, handle)
	}
	return b.subscribe(ctx, topic, group, handle)
}

type busBreakage = breakage[spitest.EventBusSetup]

// breakPublish and breakHandler make breakages out of a changed method.
func breakPublish(name, found string, publish func(good eventbus.EventBus, ctx context.Context, m eventbus.Message, done func(eventbus.Message, error))) busBreakage {
	return busBreakage{name, func(s spitest.EventBusSetup) spitest.EventBusSetup {
		good := s.Bus
		s.Bus = brokenBus{EventBus: good, publish: func(ctx context.Context, m eventbus.Message, done func(eventbus.Message, error)) {
			publish(good, ctx, m, done)
		}}
		return s
	}, found}
}

func breakHandler(name, found string, broken func(eventbus.Handler) eventbus.Handler) busBreakage {
	return breakSubscribe(name, found, func(good eventbus.EventBus, ctx context.Context, topic, group string, handle eventbus.Handler) (eventbus.Unsubscribe, error) {
		return good.Subscribe(ctx, topic, group, broken(handle))
	})
}

func breakSubscribe(name, found string, subscribe func(good eventbus.EventBus, ctx context.Context, topic, group string, handle eventbus.Handler) (eventbus.Unsubscribe, error)) busBreakage {
	return busBreakage{name, func(s spitest.EventBusSetup) spitest.EventBusSetup {
		good := s.Bus
		s.Bus = brokenBus{EventBus: good, subscribe: func(ctx context.Context, topic, group string, handle eventbus.Handler) (eventbus.Unsubscribe, error) {
			return subscribe(good, ctx, topic, group, handle)
		}}
		return s
	}, found}
}

func TestBrokenEventBusesAreFound(t *testing.T) {
	ignore := func(context.Context, eventbus.Message) error { return nil }
	var groups atomic.Int64
	breakages := []busBreakage{
		breakPublish("tells no offset", "PublishTellsWhereTheMessageIs",
			func(good eventbus.EventBus, ctx context.Context, m eventbus.Message, done func(eventbus.Message, error)) {
				good.Publish(ctx, m, func(m eventbus.Message, err error) { m.Offset = 0; done(m, err) })
			}),
		breakPublish("ignores the key", "PublishTellsWhereTheMessageIs",
			func(good eventbus.EventBus, ctx context.Context, m eventbus.Message, done func(eventbus.Message, error)) {
				m.Key = nil
				good.Publish(ctx, m, done)
			}),
		breakPublish("completes before it returns", "PublishDoesNotWaitForCompletions",
			func(_ eventbus.EventBus, _ context.Context, m eventbus.Message, done func(eventbus.Message, error)) {
				done(m, nil)
			}),
		breakPublish("completes twice", "PublishDoesNotWaitForCompletions",
			func(good eventbus.EventBus, ctx context.Context, m eventbus.Message, done func(eventbus.Message, error)) {
				good.Publish(ctx, m, func(m eventbus.Message, err error) { done(m, err); done(m, err) })
			}),
		breakPublish("takes everything", "PublishRefuses",
			func(_ eventbus.EventBus, _ context.Context, m eventbus.Message, done func(eventbus.Message, error)) {
				go done(m, nil)
			}),
		breakSubscribe("subscribes to anything", "SubscribeRefuses",
			func(eventbus.EventBus, context.Context, string, string, eventbus.Handler) (eventbus.Unsubscribe, error) {
				return func(context.Context) error { return nil }, nil
			}),
		breakHandler("drops headers", "MessagesArriveWhole", func(handle eventbus.Handler) eventbus.Handler {
			return func(ctx context.Context, m eventbus.Message) error {
				m.Headers = nil
				return handle(ctx, m)
			}
		}),
		breakHandler("delivers in pairs, the wrong way round", "PartitionsKeepTheirOrder", func(handle eventbus.Handler) eventbus.Handler {
			held := make([]*eventbus.Message, partitions)
			return func(ctx context.Context, m eventbus.Message) error {
				first := held[m.Partition]
				if held[m.Partition] = nil; first == nil {
					held[m.Partition] = &m
					return nil
				}
				_ = handle(ctx, m)
				return handle(ctx, *first)
			}
		}),
		breakSubscribe("gives every member everything", "MembersOfAGroupSplitPartitions",
			func(good eventbus.EventBus, ctx context.Context, topic, group string, handle eventbus.Handler) (eventbus.Unsubscribe, error) {
				return good.Subscribe(ctx, topic, fmt.Sprint(group, groups.Add(1)), handle)
			}),
		breakSubscribe("has one group only", "GroupsAllGetEverything",
			func(good eventbus.EventBus, ctx context.Context, topic, _ string, handle eventbus.Handler) (eventbus.Unsubscribe, error) {
				return good.Subscribe(ctx, topic, "all", handle)
			}),
		breakHandler("forgets what failed", "AnErrorRedeliversAndStrandsNoSibling", func(handle eventbus.Handler) eventbus.Handler {
			return func(ctx context.Context, m eventbus.Message) error {
				_ = handle(ctx, m)
				return nil
			}
		}),
		breakHandler("lets a failure hold up everything", "AnErrorRedeliversAndStrandsNoSibling", func(handle eventbus.Handler) eventbus.Handler {
			turn := make(chan struct{}, 1)
			return func(ctx context.Context, m eventbus.Message) error {
				select {
				case turn <- struct{}{}:
					defer func() { <-turn }()
				case <-ctx.Done():
					return ctx.Err()
				}
				for ctx.Err() == nil {
					if handle(ctx, m) == nil {
						return nil
					}
				}
				return ctx.Err()
			}
		}),
		breakSubscribe("never unsubscribes", "UnsubscribeStopsAndTheGroupGoesOn",
			func(good eventbus.EventBus, ctx context.Context, topic, group string, handle eventbus.Handler) (eventbus.Unsubscribe, error) {
				_, err := good.Subscribe(ctx, topic, group, handle)
				return func(context.Context) error { return nil }, err
			}),
		breakSubscribe("forgets where the group was", "UnsubscribeStopsAndTheGroupGoesOn",
			func(good eventbus.EventBus, ctx context.Context, topic, group string, handle eventbus.Handler) (eventbus.Unsubscribe, error) {
				return good.Subscribe(ctx, topic, fmt.Sprint(group, groups.Add(1)), handle)
			}),
		breakSubscribe("unsubscribes with an error the second time", "UnsubscribeStopsAndTheGroupGoesOn",
			func(good eventbus.EventBus, ctx context.Context, topic, group string, handle eventbus.Handler) (eventbus.Unsubscribe, error) {
				if handle == nil {
					handle = ignore
				}
				end, err := good.Subscribe(ctx, topic, group, handle)
				var times atomic.Int64
				return func(ctx context.Context) error {
					if times.Add(1) > 1 {
						return eventbus.ErrInvalid
					}
					return end(ctx)
				}, err
			}),
	}
	expectFound(t, spitest.EventBusCases(), breakages, openBus)
}
