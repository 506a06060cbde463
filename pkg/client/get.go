package client

import (
	"bytes"
	"context"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
)

// getDirect asks the router that decides for the instance.
func (c *Client) getDirect(ctx context.Context, workflowType, name string, o GetOptions) (Instance, error) {
	q := question{workflowType: workflowType, name: name, ids: candidates(workflowType, name), within: c.config.RouterTimeout}
	return c.reaching(ctx, q, o, func() (*Instance, error) { return c.describe(ctx, q) })
}

// getScan reads the instance's partition of the state topic.
func (c *Client) getScan(ctx context.Context, workflowType, name string, o GetOptions) (Instance, error) {
	q := question{workflowType: workflowType, name: name, ids: candidates(workflowType, name)}
	return c.reaching(ctx, q, o, func() (*Instance, error) {
		s, err := c.scanFor(ctx, workflowType, q.ids, o.Progress)
		if err == nil && s != nil && !s.ForgottenAt.IsZero() {
			return s, forgotten(workflowType, name)
		}
		return s, err
	})
}

// reaching looks, and if that is not as new as it has to be, waits for what comes.
func (c *Client) reaching(ctx context.Context, q question, o GetOptions, look func() (*Instance, error)) (Instance, error) {
	s, err := look()
	switch {
	case err != nil:
		return Instance{}, err
	case s == nil && o.MinSequence == 0:
		return Instance{}, notFound(q.workflowType, q.name)
	case s != nil && s.SequenceNumber >= o.MinSequence:
		return *s, nil
	}
	fresh, forget, err := c.fresh(ctx, q, o.MinSequence)
	if err != nil {
		return Instance{}, c.explain(ctx, q.workflowType, err)
	}
	defer forget()
	// It may have come between the look and the watch.
	if s, err = look(); err != nil || s != nil && s.SequenceNumber >= o.MinSequence {
		return valueOf(s), err
	}
	select {
	case s := <-fresh:
		return *s, nil
	case <-ctx.Done():
		return Instance{}, newError(ErrTimeout, ctx.Err(), "%s %s has not reached sequence %d in time", q.workflowType, q.name, o.MinSequence)
	}
}

// fresh watches for a snapshot of the instance that has come to a sequence.
func (c *Client) fresh(ctx context.Context, q question, sequence int64) (came <-chan *Instance, forget func(), err error) {
	fresh := make(chan *Instance, 1)
	w := &watch{record: func(r *kafka.Record) {
		s, err := avro.DecodeState(q.workflowType, r.Key, r.Value)
		if err == nil && s.SequenceNumber >= sequence {
			select {
			case fresh <- &s:
			default: // it has one
			}
		}
	}}
	var places []place
	for _, id := range q.ids {
		places = append(places, place{c.names.State(q.workflowType), id})
	}
	forget, err = c.watch(ctx, w, places...)
	return fresh, forget, err
}

// valueOf is what p points to, or zero.
func valueOf[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// scanFor is the newest snapshot of the first of ids that there is, nil for none.
func (c *Client) scanFor(ctx context.Context, workflowType string, ids []events.UUID, progress func(done, total int64)) (*Instance, error) {
	for _, id := range ids {
		key := []byte(id.String())
		var newest *Instance
		var poison error
		topic := c.names.State(workflowType)
		p := part{topic: topic, key: key, progress: progress}
		err := c.scan(ctx, workflowType, p, func(r *kafka.Record) error {
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
