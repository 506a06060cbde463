package client

import (
	"bytes"
	"context"
	"errors"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/topics"
)

// nearRecords is how far apart the first and the newest event of an instance lie
// at most for its events to lie together.
const nearRecords = 1000

// historyDirect reads the event store: from where the router says that the
// instance's history begins to its newest event, or the whole partition where no
// router answers.
func (c *Client) historyDirect(ctx context.Context, workflowType, name string, r HistoryRequest) ([]events.Event, error) {
	ids := candidates(workflowType, name)
	s, err := c.describe(ctx, question{workflowType: workflowType, name: name, ids: ids, within: c.config.RouterTimeout})
	switch {
	case s != nil: // also of one that is forgotten: its events are still there
		near := s.FirstOffset > 0 && s.NewestOffset-s.FirstOffset < nearRecords
		list, first, err := c.eventsOf(ctx, s.InstanceID, part{from: s.FirstOffset, near: near}, s, r)
		if err != nil || first == 1 || s.FirstOffset == 0 {
			return list, err
		}
		ids = []events.UUID{s.InstanceID} // the topic is another than the one in which the router noted it
	case err == nil:
		return nil, notFound(workflowType, name)
	case !errors.Is(err, ErrNoRouter):
		return nil, err
	}
	for _, id := range ids {
		list, first, err := c.eventsOf(ctx, id, part{}, &Instance{WorkflowType: workflowType}, r)
		if err != nil || first > 0 {
			return list, err
		}
	}
	return nil, notFound(workflowType, name)
}

// eventsOf reads the events of an instance that is at least where s is. first is
// the sequence of the first that was found, 0 for none.
func (c *Client) eventsOf(ctx context.Context, id events.UUID, of part, s *Instance, r HistoryRequest) (list []events.Event, first int64, err error) {
	of.topic, of.key = c.names.Events(s.WorkflowType), []byte(id.String())
	list = []events.Event{}
	h := avro.History{Type: s.WorkflowType}
	err = c.scan(ctx, s.WorkflowType, of, func(record *kafka.Record) error {
		if !bytes.Equal(record.Key, of.key) {
			return nil
		}
		e, err := h.Next(record.Key, record.Value, record.Offset)
		switch {
		case errors.Is(err, avro.ErrForeign):
			c.foreign(record, err)
			return nil
		case err != nil:
			first = max(first, 1)
			return unreadable(of.topic, err)
		case first == 0:
			first = e.SequenceNumber
		}
		if e.SequenceNumber >= r.From {
			list = append(list, e)
		}
		if e.SequenceNumber == s.SequenceNumber || r.Limit > 0 && len(list) == r.Limit {
			return errEnough
		}
		return nil
	})
	return list, first, err
}

// pollLimit is how many records a follower takes at once.
const pollLimit = 5000

// followDirect reads the instance's events from where the router says that they
// begin, or its whole partition where no router answers, until a snapshot says that
// it is finished and its last event was yielded.
func (c *Client) followDirect(ctx context.Context, workflowType, name string, from int64, yield func(events.Event) bool) error {
	ctx, cancel := c.living(ctx)
	defer cancel()
	t := &trail{client: c, keys: make(map[string]*avro.History), states: c.names.State(workflowType), from: from, yield: yield, last: -1}
	next, err := c.begins(ctx, workflowType, name, t)
	if err != nil {
		return err
	}
	fetcher, err := kafka.NewFetcher(c.kafka)
	if err != nil {
		return invalid(err)
	}
	defer fetcher.Close()
	fetcher.AddAll(next)
	for more := true; more; {
		records, err := fetcher.Poll(ctx, pollLimit)
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		if err != nil {
			return failed("follow "+workflowType+" "+name, err)
		}
		if more, err = t.read(records); err != nil {
			return err
		}
	}
	return nil
}

// trail is what followDirect knows of one instance.
type trail struct {
	client *Client
	keys   map[string]*avro.History // of its records: the ids that it may have
	states string                   // the topic of snapshots
	from   int64                    // the first event to yield
	yield  func(events.Event) bool
	seen   int64 // its newest event
	last   int64 // its last event; -1 while it is not finished
}

// read takes the next records; more is false after the last event, or when
// yield says so.
func (t *trail) read(records []*kafka.Record) (more bool, err error) {
	for _, r := range records {
		h := t.keys[string(r.Key)]
		if h == nil {
			continue
		}
		if r.Topic == t.states {
			if s, err := avro.DecodeSnapshot(r.Value); err == nil && s.State.Finished() {
				t.last = s.SequenceNumber
			}
			continue
		}
		e, err := h.Next(r.Key, r.Value, r.Offset)
		if errors.Is(err, avro.ErrForeign) {
			t.client.foreign(r, err)
			continue
		}
		if err != nil {
			return false, unreadable(r.Topic, err)
		}
		t.seen = e.SequenceNumber
		if t.seen >= t.from && !t.yield(e) {
			return false, nil
		}
	}
	return t.last < 0 || t.seen < t.last, nil
}

// begins is where a trail has to be read from: the instance's partitions of events
// and of snapshots.
func (c *Client) begins(ctx context.Context, workflowType, name string, t *trail) (map[kafka.TopicPartition]int64, error) {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	reader, err := c.reading()
	if err != nil {
		return nil, err
	}
	ids := candidates(workflowType, name)
	all := make(map[string]map[kafka.TopicPartition]kafka.Range)
	for _, topic := range []string{c.names.Events(workflowType), t.states} {
		// Before the router is asked: what it does not know is behind.
		if all[topic], err = reader.Ranges(ctx, topic); err != nil {
			return nil, failed("read "+topic, c.explain(ctx, workflowType, err))
		}
	}
	s, err := c.describe(ctx, question{workflowType: workflowType, name: name, ids: ids, within: c.config.RouterTimeout})
	switch {
	case s != nil: // also of one that is forgotten: its events are still there
		if ids = []events.UUID{s.InstanceID}; s.State.Finished() {
			t.last = s.SequenceNumber
		}
	case err != nil && !errors.Is(err, ErrNoRouter):
		return nil, err
	}
	next := make(map[kafka.TopicPartition]int64)
	for _, id := range ids {
		t.keys[id.String()] = &avro.History{Type: workflowType}
		for topic, ranges := range all {
			p := kafka.TopicPartition{Topic: topic, Partition: topics.Partition([]byte(id.String()), int32(len(ranges)))} //nolint:gosec // partition counts are small
			switch {
			case s == nil && err != nil: // no router: all that there is may be of the instance
				next[p] = ranges[p].Start
			case s != nil && topic != t.states:
				next[p] = firstOf(s, ranges[p])
			default:
				next[p] = ranges[p].End
			}
		}
	}
	return next, nil
}

// firstOf is where the history of s begins in a partition of the event topic. An
// offset behind its end was noted in another topic of the same name.
func firstOf(s *Instance, r kafka.Range) int64 {
	if s.FirstOffset > r.End {
		return r.Start
	}
	return max(r.Start, s.FirstOffset)
}
