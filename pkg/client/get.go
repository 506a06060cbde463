package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/follow"
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
	w := &follow.Watch{Record: func(r *kafka.Record) {
		s, err := avro.DecodeState(q.workflowType, r.Key, r.Value)
		if err == nil && s.SequenceNumber >= sequence {
			select {
			case fresh <- &s:
			default: // it has one
			}
		}
	}}
	var places []follow.Place
	for _, id := range q.ids {
		places = append(places, follow.Place{Topic: c.names.State(q.workflowType), Key: id})
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

// Codes of outcomes that say what is left out of an answer, or that there is none.
const (
	codeNotFound  = "NOT_FOUND"
	codeForgotten = "FORGOTTEN"
	codeTooLarge  = "TOO_LARGE"
)

// whereabouts is what a router says of an instance. Both are nil when there is
// none.
type whereabouts struct {
	instance *Instance
	err      error // ErrForgotten, or errLeftOut
}

// errLeftOut says that an instance is too large for an answer: only the state
// topic has the whole of it.
var errLeftOut = errors.New("the instance is too large for an answer of the router")

// ask lets the router that owns an instance answer for its state, behind every command
// that is durable by now. It writes one command and reads one record, however
// many instances there are. got is called once, unless ctx ends or forget is called
// before: with the answer, or with why the question could not be asked. It must be
// quick, and may be called before ask returns.
func (c *Client) ask(ctx context.Context, workflowType string, id events.UUID, got func(whereabouts)) (forget func(), err error) {
	command, err := complete(&events.Command{Command: events.CommandDescribe, WorkflowType: workflowType, InstanceID: id}, c.config.Source, time.Now())
	if err != nil {
		return nil, invalid(err)
	}
	var reported atomic.Bool
	report := func(w whereabouts) {
		if !reported.Swap(true) {
			got(w)
		}
	}
	w := &follow.Watch{
		Over: func() { report(whereabouts{err: errClosed()}) },
		Record: func(r *kafka.Record) {
			if o, err := avro.DecodeOutcome(r.Value); err == nil && o.CommandID == command.CommandID {
				report(c.whereabouts(&o))
			}
		},
	}
	forget, err = c.watch(ctx, w, follow.Place{Topic: c.names.Outcomes(workflowType), Key: command.CommandID})
	if err != nil {
		return nil, err
	}
	c.produce(ctx, command, func(_ Receipt, err error) {
		if err != nil {
			report(whereabouts{err: err})
		}
	})
	return forget, nil
}

// whereabouts reads the answer to a describe.
func (c *Client) whereabouts(o *events.Outcome) whereabouts {
	name := events.Ref{ID: o.InstanceID}.String()
	why := ""
	if o.Error != nil {
		why = o.Error.Code
	}
	switch {
	case o.Status == events.OutcomeRejected && why == codeNotFound:
		return whereabouts{}
	case o.Status == events.OutcomeRejected:
		return whereabouts{err: refusal(o)}
	case o.Snapshot == nil && why == codeTooLarge:
		return whereabouts{err: errLeftOut}
	}
	s, err := avro.DecodeState(o.WorkflowType, []byte(o.InstanceID.String()), o.Snapshot)
	switch {
	case err != nil:
		return whereabouts{err: unreadable(c.names.Outcomes(o.WorkflowType), err)}
	case !s.ForgottenAt.IsZero():
		return whereabouts{instance: &s, err: forgotten(o.WorkflowType, name)}
	}
	return whereabouts{instance: &s}
}

// question is about an instance that may have one of several ids.
type question struct {
	workflowType string
	name         string // for messages
	ids          []events.UUID
	within       time.Duration   // how long an answer is waited for; 0 for any time
	until        <-chan struct{} // closed when the answer is not wanted any more; may be nil
}

// describe asks for the first of the ids that there is: nil for none of them, and
// when the answer is not wanted any more. The error is [ErrNoRouter] when there is
// no answer in time, or [ErrForgotten].
func (c *Client) describe(ctx context.Context, q question) (*Instance, error) {
	for _, id := range q.ids {
		answer := make(chan whereabouts, 1)
		forget, err := c.ask(ctx, q.workflowType, id, func(w whereabouts) { answer <- w })
		if err != nil {
			return nil, c.explain(ctx, q.workflowType, err)
		}
		w, over, err := q.answered(ctx, answer)
		forget()
		switch {
		case over || err != nil:
			return nil, c.explain(ctx, q.workflowType, err)
		case w.err == errLeftOut: //nolint:errorlint // it is never wrapped
			return c.scanFor(ctx, q.workflowType, []events.UUID{id}, nil)
		case w.instance != nil || w.err != nil:
			return w.instance, c.explain(ctx, q.workflowType, w.err)
		}
	}
	return nil, nil //nolint:nilnil // no instance is an answer
}

func (q *question) answered(ctx context.Context, answer <-chan whereabouts) (w whereabouts, over bool, err error) {
	var late <-chan time.Time
	if q.within > 0 {
		timer := time.NewTimer(q.within)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case w := <-answer:
		return w, false, nil
	case <-q.until:
		return w, true, nil
	case <-late:
		return w, false, newError(ErrNoRouter, nil, "no router answered within %s for %s %s", q.within, q.workflowType, q.name)
	case <-ctx.Done():
		return w, false, failed(fmt.Sprintf("ask a router for %s %s", q.workflowType, q.name), ctx.Err())
	}
}
