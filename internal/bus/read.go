package bus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/spi/workflow"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/topics"
)

// errEnough ends a scan early.
var errEnough = errors.New("enough was read")

// scan reads the records of one instance in a topic of its type, up to what is
// committed now. visit may return errEnough.
func (w *Workflow) scan(ctx context.Context, workflowType, topic string, id events.UUID, visit func(*kafka.Record) error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case id.IsNil():
		return fmt.Errorf("%w: no instance is named", workflow.ErrInvalid)
	case w.life.Err() != nil:
		return workflow.ErrClosed
	}
	if err := events.CheckWorkflowType("type", workflowType); err != nil {
		return fmt.Errorf("%w: %w", workflow.ErrInvalid, err)
	}
	ranges, err := w.bus.reader.Ranges(ctx, topic)
	if err != nil {
		return w.explain(workflowType, err)
	}
	key := []byte(id.String())
	p := kafka.TopicPartition{Topic: topic, Partition: topics.Partition(key, int32(len(ranges)))} //nolint:gosec // partition counts are small
	r := ranges[p]
	err = w.bus.reader.ReadTo(ctx, p, r.Start, r.End, func(record *kafka.Record) error {
		if !bytes.Equal(record.Key, key) {
			return nil
		}
		return visit(record)
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return w.explain(workflowType, err)
}

// history calls visit with the events of one instance, in order.
func (w *Workflow) history(ctx context.Context, workflowType string, id events.UUID, visit func(events.Event) error) error {
	h := avro.History{Type: workflowType}
	return w.scan(ctx, workflowType, w.config.Names.Events(workflowType), id, func(r *kafka.Record) error {
		e, err := h.Next(r.Key, r.Value, r.Offset)
		if errors.Is(err, avro.ErrForeign) {
			w.foreign(ctx, r, err)
			return nil
		}
		if err != nil {
			return fmt.Errorf("offset %d of %s/%d: %w", r.Offset, r.Topic, r.Partition, err)
		}
		return visit(e)
	})
}

// foreign says that a record on an event topic was passed over.
func (w *Workflow) foreign(ctx context.Context, r *kafka.Record, why error) {
	w.config.Skipped(r.Topic)
	w.config.Logger.LogAttrs(ctx, slog.LevelWarn, "record is not a router's, skipping it", slog.String("topic", r.Topic),
		slog.Int("partition", int(r.Partition)), slog.Int64("offset", r.Offset), slog.Any("error", why))
}

// ReplayEvents is the contract's.
func (w *Workflow) ReplayEvents(ctx context.Context, workflowType string, id events.UUID, from int64) ([]events.Event, error) {
	if from < 1 {
		return nil, fmt.Errorf("replay: %w: sequence numbers begin at 1", workflow.ErrInvalid)
	}
	list := []events.Event{}
	err := w.history(ctx, workflowType, id, func(e events.Event) error {
		switch {
		case e.SequenceNumber < from:
			return nil
		case len(list) == w.config.MaxReplay:
			return fmt.Errorf("%w: there are more than %d", workflow.ErrTooLarge, w.config.MaxReplay)
		}
		list = append(list, e)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("replay: %w", err)
	}
	return list, nil
}

// EventsStream is the contract's.
func (w *Workflow) EventsStream(ctx context.Context, workflowType string, id events.UUID, limit int) iter.Seq2[events.Event, error] {
	if limit == 0 {
		limit = workflow.DefaultStreamLimit
	}
	return func(yield func(events.Event, error) bool) {
		if limit < 0 {
			yield(events.Event{}, fmt.Errorf("stream: %w: limit %d is below 0", workflow.ErrInvalid, limit))
			return
		}
		n := 0
		err := w.history(ctx, workflowType, id, func(e events.Event) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			if n++; !yield(e, nil) || n == limit {
				return errEnough
			}
			return nil
		})
		if err != nil {
			yield(events.Event{}, fmt.Errorf("stream: %w", err))
		}
	}
}

// LoadSnapshot is the contract's.
func (w *Workflow) LoadSnapshot(ctx context.Context, workflowType string, id events.UUID) (events.Snapshot, error) {
	var s events.Snapshot
	found := false
	err := w.scan(ctx, workflowType, w.config.Names.State(workflowType), id, func(r *kafka.Record) error {
		if r.Value == nil {
			found = false
			return nil
		}
		newest, err := avro.DecodeSnapshot(r.Value)
		if err != nil { // it does not stand for what was readable before it
			w.foreign(ctx, r, err)
			return nil
		}
		s, found = newest, true
		return nil
	})
	if err == nil && !found {
		err = fmt.Errorf("%w: %s of %q", workflow.ErrNotFound, id, workflowType)
	}
	if err != nil {
		return events.Snapshot{}, fmt.Errorf("load snapshot: %w", err)
	}
	return s, nil
}
