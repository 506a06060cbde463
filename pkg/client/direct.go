package client

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/topics"
)

// getDirect reads the instance's partition of the state topic.
func (c *Client) getDirect(ctx context.Context, workflowType, idOrKey string, o GetOptions) (Instance, error) {
	ids := candidates(workflowType, idOrKey)
	fresh := make(chan struct{}, 1)
	if o.MinSequence > 0 {
		var places []place
		for _, id := range ids {
			places = append(places, place{c.names.State(workflowType), id})
		}
		forget, err := c.watch(ctx, &watch{record: func(*kafka.Record) {
			select {
			case fresh <- struct{}{}:
			default: // told already
			}
		}}, places...)
		if err != nil {
			return Instance{}, c.explain(ctx, workflowType, err)
		}
		defer forget()
	}
	for {
		s, err := c.scanFor(ctx, workflowType, ids)
		if err != nil {
			return Instance{}, err
		}
		switch {
		case s != nil && !s.ForgottenAt.IsZero():
			return Instance{}, forgotten(workflowType, idOrKey)
		case s == nil && o.MinSequence == 0:
			return Instance{}, notFound(workflowType, idOrKey)
		case s != nil && s.SequenceNumber >= o.MinSequence:
			return *s, nil
		}
		select {
		case <-fresh:
		case <-ctx.Done():
			return Instance{}, newError(ErrTimeout, ctx.Err(), "%s %s has not reached sequence %d in time", workflowType, idOrKey, o.MinSequence)
		}
	}
}

// scanFor is the newest snapshot of the first of ids that there is, nil for none.
func (c *Client) scanFor(ctx context.Context, workflowType string, ids []events.UUID) (*Instance, error) {
	for _, id := range ids {
		key := []byte(id.String())
		var newest *Instance
		var poison error
		topic := c.names.State(workflowType)
		err := c.scan(ctx, workflowType, topic, key, func(r *kafka.Record) error {
			switch {
			case !bytes.Equal(r.Key, key):
			case r.Value == nil:
				newest, poison = nil, nil
			default:
				if s, err := avro.DecodeSnapshot(r.Value); err == nil {
					newest = &s
				} else {
					poison = err
					c.foreign(r, err)
				}
			}
			return nil
		})
		switch {
		case err != nil:
			return nil, err
		case newest != nil:
			return newest, nil
		case poison != nil:
			return nil, unreadable(topic, poison)
		}
	}
	return nil, nil //nolint:nilnil // no instance is an answer
}

// scan reads the key's partition of a topic, or all of it for a nil key.
func (c *Client) scan(ctx context.Context, workflowType, topic string, key []byte, visit func(*kafka.Record) error) error {
	reader, err := c.reading()
	if err != nil {
		return err
	}
	ranges, err := reader.Ranges(ctx, topic)
	if kafka.NoTopic(err) {
		return c.unknownType(ctx, workflowType, err)
	}
	if err != nil {
		return failed("read "+topic, err)
	}
	mine := int32(-1)
	if key != nil {
		mine = topics.Partition(key, int32(len(ranges))) //nolint:gosec // partition counts are small
	}
	for p, r := range ranges {
		if mine >= 0 && p.Partition != mine {
			continue
		}
		if err := reader.ReadTo(ctx, p, r.Start, r.End, visit); err != nil {
			return failed("read "+topic, err)
		}
	}
	return nil
}

func unreadable(topic string, err error) error {
	return &Error{Code: ErrAnswer.Code, Message: fmt.Sprintf("a record of %s cannot be read: %v", topic, err), Err: err, Fix: "leat version: a newer engine may have written it"}
}

// all calls visit with the newest snapshot of every instance of a type, in no order.
func (c *Client) all(ctx context.Context, workflowType string, visit func(*Instance)) error {
	newest := make(map[string][]byte)
	if err := c.scan(ctx, workflowType, c.names.State(workflowType), nil, func(r *kafka.Record) error {
		if r.Value == nil {
			delete(newest, string(r.Key))
			return nil
		}
		if events.Internal(string(r.Key)) {
			return nil
		}
		// What cannot be read does not stand for what was readable before it.
		if _, err := avro.DecodeSnapshot(r.Value); err != nil {
			c.foreign(r, err)
			return nil
		}
		newest[string(r.Key)] = r.Value
		return nil
	}); err != nil {
		return err
	}
	for _, value := range newest {
		s, err := avro.DecodeSnapshot(value)
		if err != nil {
			return err // it was readable
		}
		if s.ForgottenAt.IsZero() {
			visit(&s)
		}
	}
	return nil
}

func (c *Client) listDirect(ctx context.Context, r ListRequest) (Page, error) {
	var after *cursor
	if r.Cursor != "" {
		after = &cursor{}
		if err := json.Unmarshal([]byte(r.Cursor), after); err != nil {
			return Page{}, invalid(errors.New("the cursor is not one of this list"))
		}
	}
	wanted, err := readConditions(r.Where)
	if err != nil {
		return Page{}, err
	}
	page := Page{Items: []Instance{}}
	err = c.all(ctx, r.Type, func(s *Instance) {
		if wanted.hold(s) && (r.WorkflowState == "" || s.State == r.WorkflowState) && (r.State == "" || slices.Contains(s.Chart.Active, r.State)) &&
			(after == nil || newerFirst(at(s), *after) > 0) {
			page.Items = append(page.Items, *s)
		}
	})
	if err := cmp.Or(err, wanted.unknown(r.Type)); err != nil {
		return Page{}, err
	}
	slices.SortFunc(page.Items, func(a, b Instance) int { return newerFirst(at(&a), at(&b)) })
	if len(page.Items) > r.Limit {
		page.Items = page.Items[:r.Limit]
		page.NextCursor = at(&page.Items[r.Limit-1]).String()
	}
	return page, nil
}

func at(s *Instance) cursor { return cursor{s.CreatedAt.UnixMicro(), s.InstanceID} }

func newerFirst(a, b cursor) int {
	return cmp.Or(cmp.Compare(b.Created, a.Created), bytes.Compare(a.ID[:], b.ID[:]))
}

func (c *Client) countsDirect(ctx context.Context, workflowType string, where []string) (Counts, error) {
	wanted, err := readConditions(where)
	if err != nil {
		return Counts{}, err
	}
	n := Counts{Workflow: make(map[events.WorkflowState]int64), State: make(map[string]int64)}
	err = c.all(ctx, workflowType, func(s *Instance) {
		if !wanted.hold(s) {
			return
		}
		n.Instances++
		n.Workflow[s.State]++
		for _, state := range s.Chart.Active {
			n.State[state]++
		}
	})
	return n, cmp.Or(err, wanted.unknown(workflowType))
}

// historyDirect reads the instance's partition of the event store.
func (c *Client) historyDirect(ctx context.Context, workflowType, idOrKey string, r HistoryRequest) ([]events.Event, error) {
	topic := c.names.Events(workflowType)
	for _, id := range candidates(workflowType, idOrKey) {
		key, seen := []byte(id.String()), false
		list := []events.Event{}
		h := avro.History{Type: workflowType}
		err := c.scan(ctx, workflowType, topic, key, func(record *kafka.Record) error {
			if !bytes.Equal(record.Key, key) || r.Limit > 0 && len(list) == r.Limit {
				return nil
			}
			e, err := h.Next(record.Key, record.Value, record.Offset)
			if errors.Is(err, avro.ErrForeign) {
				c.foreign(record, err)
				return nil
			}
			seen = true
			if err != nil {
				return unreadable(topic, err)
			}
			if e.SequenceNumber >= r.From {
				list = append(list, e)
			}
			return nil
		})
		if err != nil || seen {
			return list, err
		}
	}
	return nil, notFound(workflowType, idOrKey)
}

// followDirect reads the instance's partitions of events and state until the
// newest snapshot says that it is finished and its last event was yielded.
func (c *Client) followDirect(ctx context.Context, workflowType, idOrKey string, from int64, yield func(events.Event) bool) error {
	next, err := c.starts(ctx, workflowType, candidates(workflowType, idOrKey))
	if err != nil {
		return err
	}
	ctx, cancel := c.living(ctx)
	defer cancel()
	fetcher, err := kafka.NewFetcher(c.kafka)
	if err != nil {
		return invalid(err)
	}
	defer fetcher.Close()
	fetcher.AddAll(next)
	t := &trail{client: c, keys: make(map[string]*avro.History), states: c.names.State(workflowType), from: from, yield: yield, last: -1}
	for _, id := range candidates(workflowType, idOrKey) {
		t.keys[id.String()] = &avro.History{Type: workflowType}
	}
	for more := true; more; {
		records, err := fetcher.Poll(ctx, pollLimit)
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		if err != nil {
			return failed("follow "+workflowType+" "+idOrKey, err)
		}
		if more, err = t.read(records); err != nil {
			return err
		}
	}
	return nil
}

// foreign says that a record on an event topic was passed over.
func (c *Client) foreign(r *kafka.Record, why error) {
	if c.config.Skipped != nil {
		c.config.Skipped(r.Topic)
	}
	c.config.Logger.Warn("record is not a router's, skipping it", slog.String("topic", r.Topic),
		slog.Int("partition", int(r.Partition)), slog.Int64("offset", r.Offset), slog.Any("error", why))
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

// starts is where the partitions of events and state begin in which ids are.
func (c *Client) starts(ctx context.Context, workflowType string, ids []events.UUID) (map[kafka.TopicPartition]int64, error) {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	reader, err := c.reading()
	if err != nil {
		return nil, err
	}
	next := make(map[kafka.TopicPartition]int64)
	for _, topic := range []string{c.names.Events(workflowType), c.names.State(workflowType)} {
		ranges, err := reader.Ranges(ctx, topic)
		if kafka.NoTopic(err) {
			return nil, c.unknownType(ctx, workflowType, err)
		}
		if err != nil {
			return nil, failed("read "+topic, err)
		}
		for _, id := range ids {
			p := kafka.TopicPartition{Topic: topic, Partition: topics.Partition([]byte(id.String()), int32(len(ranges)))} //nolint:gosec // partition counts are small
			next[p] = ranges[p].Start
		}
	}
	return next, nil
}
