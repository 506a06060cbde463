package client

import (
	"bytes"
	"context"
	"errors"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
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
