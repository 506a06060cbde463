package spitest

import (
	"context"
	"errors"
	"fmt"

	"github.com/leat-io/leat/internal/spi/workflow"
	"github.com/leat-io/leat/pkg/events"
)

func replayExact(ctx context.Context, s WorkflowSetup) error {
	const n = 12
	id := newID()
	other := s.neighbour(id)
	for _, begun := range []events.UUID{id, other} {
		if err := s.begin(ctx, begun, n); err != nil {
			return err
		}
	}
	if _, err := s.ask(ctx, s.signal(id, "note")); err != nil {
		return err
	}
	var p problems
	for _, c := range []struct {
		id       events.UUID
		from, to int64
	}{
		{id, 1, n + 1},
		{id, 2, n + 1},
		{id, n + 1, n + 1},
		{id, n + 2, 0},
		{id, 1 << 40, 0},
		{other, 1, n},
		{s.neighbour(id), 1, 0},
	} {
		history, err := s.Bus.ReplayEvents(ctx, s.Type, c.id, c.from)
		if err == nil {
			err = s.exactly(history, c.id, c.from, c.to)
		}
		if err != nil {
			p.addf("from sequence %d: %v", c.from, err)
		}
	}
	return p.err()
}

func replayRefuses(ctx context.Context, s WorkflowSetup) error {
	id := newID()
	if err := s.begin(ctx, id, s.MaxReplay+1); err != nil {
		return err
	}
	var p problems
	for _, c := range []struct {
		what         string
		ended        bool // the context
		workflowType string
		id           events.UUID
		from         int64
		want         error
	}{
		{"all of a long history", false, s.Type, id, 1, workflow.ErrTooLarge},
		{"all but one event of it", false, s.Type, id, 2, nil},
		{"sequence 0", false, s.Type, id, 0, workflow.ErrInvalid},
		{"the nil instance", false, s.Type, events.Nil, 1, workflow.ErrInvalid},
		{"an unknown type", false, unknownType, id, 1, workflow.ErrUnknownType},
		{"a context that has ended", true, s.Type, id, 1, context.Canceled},
	} {
		history, err := s.Bus.ReplayEvents(maybeEnded(ctx, c.ended), c.workflowType, c.id, c.from)
		if !errors.Is(err, c.want) {
			p.addf("%s: %v, want %v", c.what, err, c.want)
		}
		if err != nil && len(history) > 0 {
			p.addf("%s: an error and %d events", c.what, len(history))
		}
	}
	return p.err()
}

// read loops over a stream and leaves the loop after most events.
func (s WorkflowSetup) read(ctx context.Context, id events.UUID, limit, most int) (history []events.Event, err error) {
	for e, err := range s.Store.EventsStream(ctx, s.Type, id, limit) {
		if err != nil {
			return history, err
		}
		if history = append(history, e); len(history) == most {
			break
		}
	}
	return history, nil
}

func streamLimited(ctx context.Context, s WorkflowSetup) error {
	const n = workflow.DefaultStreamLimit + 3
	id := newID()
	if err := s.begin(ctx, s.neighbour(id), 5); err != nil {
		return err
	}
	if err := s.begin(ctx, id, n); err != nil {
		return err
	}
	var p problems
	for _, c := range []struct{ limit, most, want int }{
		{0, n, workflow.DefaultStreamLimit},
		{5, n, 5},
		{n, n + 1, n},
		{10 * n, n + 1, n},
		{n, 3, 3},
	} {
		history, err := s.read(ctx, id, c.limit, c.most)
		if err == nil {
			err = s.exactly(history, id, 1, int64(c.want))
		}
		if err != nil {
			p.addf("limit %d: %v", c.limit, err)
		}
	}
	if _, err := s.read(ctx, id, -1, n); !errors.Is(err, workflow.ErrInvalid) {
		p.addf("limit -1: %v", err)
	}
	if history, err := s.read(ctx, s.neighbour(id), 0, n); err != nil || len(history) > 0 {
		p.addf("an instance that is not there: %d events, %v", len(history), err)
	}
	return p.err()
}

func streamLazy(ctx context.Context, s WorkflowSetup) error {
	id := newID()
	reading, cancel := context.WithCancel(ctx)
	defer cancel()
	stream := s.Store.EventsStream(reading, s.Type, id, 0)
	for _, n := range []int{0, 4} { // each loop reads anew what is there when it begins
		if n > 0 {
			if err := s.begin(ctx, id, n); err != nil {
				return err
			}
		}
		var history []events.Event
		for e, err := range stream {
			if err != nil {
				return err
			}
			history = append(history, e)
		}
		if err := s.exactly(history, id, 1, int64(n)); err != nil {
			return fmt.Errorf("a loop over a stream that was made before: %w", err)
		}
	}
	seen, errs := 0, []error(nil)
	for e, err := range stream {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if seen++; e.SequenceNumber == 2 {
			cancel()
		}
	}
	if seen != 2 || len(errs) != 1 || !errors.Is(errs[0], context.Canceled) {
		return fmt.Errorf("cancelled at the second event: %d events, then %v", seen, errs)
	}
	return nil
}
