package spitest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/leat-io/leat/internal/spi/eventbus"
)

// errorRedelivers has one message fail until every other partition is through.
func errorRedelivers(ctx context.Context, s EventBusSetup) (err error) {
	const rounds = 5
	bad, err := s.publish(ctx, s.key(0), "bad")
	if err != nil {
		return err
	}
	for round := range rounds {
		if err := s.publishRound(ctx, round); err != nil {
			return err
		}
	}
	var (
		healed atomic.Bool
		tries  = newCollector[eventbus.Message]()
		good   = newCollector[eventbus.Message]()
	)
	unsubscribe, err := s.Bus.Subscribe(ctx, s.Topic, newName("redelivery"), func(_ context.Context, m eventbus.Message) error {
		if m.Partition == bad.Partition && m.Offset == bad.Offset {
			tries.add(m)
			if !healed.Load() {
				return errors.New("not yet")
			}
		}
		good.add(m)
		return nil
	})
	defer end(ctx, unsubscribe, &err)
	if err != nil {
		return err
	}
	siblings := rounds * (int(s.Partitions) - 1)
	before, err := good.count(ctx, siblings)
	if err != nil {
		return fmt.Errorf("a failing message held up other partitions: %w", err)
	}
	for _, m := range before {
		if m.Partition == bad.Partition {
			return fmt.Errorf("offset %d was delivered before offset %d of its partition was handled", m.Offset, bad.Offset)
		}
	}
	if again, err := tries.count(ctx, 3); err != nil {
		return fmt.Errorf("a failing message came %d times: %w", len(again), err)
	}
	healed.Store(true)
	all, err := good.count(ctx, siblings+rounds+1)
	if err != nil {
		return fmt.Errorf("after the failing message was handled: %w", err)
	}
	return risingFrom(bad.Offset, pick(all, func(m eventbus.Message) bool { return m.Partition == bad.Partition }))
}

// risingFrom wants messages whose offsets rise from first on.
func risingFrom(first int64, all []eventbus.Message) error {
	last := first - 1
	for i, m := range all {
		if m.Offset <= last || i == 0 && m.Offset != first {
			return fmt.Errorf("offset %d came after %d", m.Offset, last)
		}
		last = m.Offset
	}
	return nil
}

func unsubscribeStops(ctx context.Context, s EventBusSetup) (err error) {
	group := newName("stops")
	before, unsubscribe, err := s.subscribe(ctx, group)
	if err != nil {
		return err
	}
	if err := s.publishRound(ctx, 1); err != nil {
		return err
	}
	if _, err := before.count(ctx, int(s.Partitions)); err != nil {
		return err
	}
	for range 2 { // the second time changes nothing
		if err := unsubscribe(ctx); err != nil {
			return fmt.Errorf("unsubscribe: %w", err)
		}
	}
	had := len(before.all())
	if err := s.publishRound(ctx, 2); err != nil {
		return err
	}
	// A witness sees the second round, so the first member had its chance.
	witness, endWitness, err := s.subscribe(ctx, newName("witness"))
	defer end(ctx, endWitness, &err)
	if err != nil {
		return err
	}
	if _, err := witness.count(ctx, 2*int(s.Partitions)); err != nil {
		return err
	}
	after, endAfter, err := s.subscribe(ctx, group)
	defer end(ctx, endAfter, &err)
	if err != nil {
		return err
	}
	all, err := after.count(ctx, int(s.Partitions))
	if err != nil {
		return fmt.Errorf("the group does not go on: %w", err)
	}
	for _, m := range all {
		if string(m.Value) != "2" {
			return fmt.Errorf("offset %d of partition %d was handled before the member left and came again", m.Offset, m.Partition)
		}
	}
	if now := len(before.all()); now != had {
		return fmt.Errorf("the handler was called %d times after its subscription had ended", now-had)
	}
	return nil
}
