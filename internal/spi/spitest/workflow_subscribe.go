package spitest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/leat-io/leat/internal/spi/workflow"
	"github.com/leat-io/leat/pkg/events"
)

// subscribersInSequence has some events fail at first.
func subscribersInSequence(ctx context.Context, s WorkflowSetup) (err error) {
	const instances, n = 6, 5
	ours := make(map[events.UUID]bool)
	for range instances {
		id := newID()
		ours[id] = true
		if err := s.begin(ctx, id, n); err != nil {
			return err
		}
	}
	var failures atomic.Int32
	got := newCollector[events.Event]()
	unsubscribe, err := s.Bus.SubscribeEvents(ctx, workflow.Subscription{Type: s.Type, Group: newName("sequence")},
		func(_ context.Context, e events.Event) error {
			if !ours[e.InstanceID] {
				return nil
			}
			if e.SequenceNumber == 2 && failures.Add(1) <= 3 {
				return errors.New("not yet")
			}
			got.add(e)
			return nil
		})
	defer end(ctx, unsubscribe, &err)
	if err != nil {
		return err
	}
	all, err := got.count(ctx, instances*n)
	if err != nil {
		return err
	}
	for id := range ours {
		history := pick(all, func(e events.Event) bool { return e.InstanceID == id })
		if err := s.exactly(history, id, 1, n); err != nil {
			return err
		}
	}
	return nil
}

func filtersAdvance(ctx context.Context, s WorkflowSetup) (err error) {
	id, group := newID(), newName("filter")
	if err := s.begin(ctx, id, 4); err != nil {
		return err
	}
	if _, err := s.ask(ctx, s.signal(id, "close")); err != nil {
		return err
	}
	// The last event matches: when it is there, the others are behind it.
	if err := s.seeFiltered(ctx, group, id); err != nil {
		return err
	}
	// Without a filter the group now begins behind all of them.
	next := s.neighbour(id)
	if err := s.begin(ctx, next, 3); err != nil {
		return err
	}
	whole, endWhole, err := s.subscribe(ctx, group)
	defer end(ctx, endWhole, &err)
	if err != nil {
		return err
	}
	isNext := func(e events.Event) bool { return e.InstanceID == next }
	all, err := whole.until(ctx, func(all []events.Event) bool { return len(pick(all, isNext)) >= 3 })
	if err != nil {
		return err
	}
	for _, e := range all {
		if e.InstanceID == id {
			return fmt.Errorf("%s with sequence %d did not match, and came later", e.EventType, e.SequenceNumber)
		}
	}
	return s.exactly(pick(all, isNext), next, 1, 3)
}

// seeFiltered subscribes to the first and the last event of id, and leaves.
func (s WorkflowSetup) seeFiltered(ctx context.Context, group string, id events.UUID) (err error) {
	want := []events.EventType{events.EventWorkflowCreated, events.EventWorkflowCompleted}
	got, unsubscribe, err := s.subscribe(ctx, group, want...)
	defer end(ctx, unsubscribe, &err)
	if err != nil {
		return err
	}
	isLast := func(e events.Event) bool { return e.InstanceID == id && e.EventType == events.EventWorkflowCompleted }
	all, err := got.until(ctx, func(all []events.Event) bool { return slices.ContainsFunc(all, isLast) })
	if err != nil {
		return err
	}
	var types []events.EventType
	for _, e := range pick(all, func(e events.Event) bool { return e.InstanceID == id }) {
		types = append(types, e.EventType)
	}
	if !slices.Equal(types, want) {
		return fmt.Errorf("got %v, want %v", types, want)
	}
	return nil
}

func (s WorkflowSetup) subscribe(ctx context.Context, group string, types ...events.EventType) (*collector[events.Event], workflow.Unsubscribe, error) {
	got := newCollector[events.Event]()
	unsubscribe, err := s.Bus.SubscribeEvents(ctx, workflow.Subscription{Type: s.Type, Group: group, EventTypes: types},
		func(_ context.Context, e events.Event) error {
			got.add(e)
			return nil
		})
	return got, unsubscribe, err
}

func eventsRefused(ctx context.Context, s WorkflowSetup) error {
	ignore := func(context.Context, events.Event) error { return nil }
	var p problems
	for _, c := range []struct {
		what         string
		subscription workflow.Subscription
		handle       workflow.Handler
		want         error
	}{
		{"an unknown type", workflow.Subscription{Type: unknownType, Group: "g"}, ignore, workflow.ErrUnknownType},
		{"no group", workflow.Subscription{Type: s.Type}, ignore, workflow.ErrInvalid},
		{"no handler", workflow.Subscription{Type: s.Type, Group: "g"}, nil, workflow.ErrInvalid},
		{"no such event type", workflow.Subscription{Type: s.Type, Group: "g", EventTypes: []events.EventType{"quake"}}, ignore, workflow.ErrInvalid},
	} {
		unsubscribe, err := s.Bus.SubscribeEvents(ctx, c.subscription, c.handle)
		if !errors.Is(err, c.want) {
			p.addf("%s: %v, want %v", c.what, err, c.want)
		}
		if unsubscribe != nil {
			_ = unsubscribe(ctx)
		}
	}
	return p.err()
}
