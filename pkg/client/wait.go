package client

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/follow"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/topics"
)

// Decision is what a command led to: events, or an outcome that says why there
// are none.
type Decision struct {
	Receipt Receipt         `json:"receipt"`
	Events  []events.Event  `json:"events,omitempty"`  // in the order of the history
	Outcome *events.Outcome `json:"outcome,omitempty"` // duplicate, conflict, rejected or ignored
}

// Duplicate reports whether the command had been decided before.
func (d Decision) Duplicate() bool {
	return d.Outcome != nil && d.Outcome.Status == events.OutcomeDuplicate
}

// Sequence is the newest sequence number that the decision knows of: read with
// it as MinSequence to see what the command led to.
func (d Decision) Sequence() int64 {
	if n := len(d.Events); n > 0 {
		return d.Events[n-1].SequenceNumber
	}
	if d.Outcome != nil {
		return d.Outcome.SequenceNumber
	}
	return 0
}

// clockSkew is how far apart the clocks of a client and a router may be.
const clockSkew = time.Minute

// Do makes a command durable and waits until it is decided. The error is
// [ErrConflict] or [ErrRejected] when the router refused it; the decision is then
// filled in too. Nothing but ctx bounds the waiting: a router may be away. When
// it ends, the command stays accepted. Do needs Brokers.
func (c *Client) Do(ctx context.Context, r Request) (Decision, error) {
	command, err := r.command(c.config.Source, time.Now())
	if err != nil {
		return Decision{}, invalid(err)
	}
	ctx, cancel := c.living(ctx)
	defer cancel()
	p, err := c.expect(ctx, command.WorkflowType, command.InstanceID, command.CommandID)
	if err != nil {
		return Decision{}, err
	}
	defer p.forget()
	receipt, err := c.sendCommand(ctx, command)
	if err != nil {
		return Decision{}, err
	}
	p.mu.Lock()
	p.decision.Receipt = receipt
	p.mu.Unlock()
	return p.wait(ctx)
}

// Wait waits until a command that was sent before is decided; of this process or
// of another one. [Client.Do] is cheaper, because Wait also looks at what was
// written since the receipt. An outcome can be waited for as long as it is kept,
// a day. Errors and bounds are those of Do.
func (c *Client) Wait(ctx context.Context, r Receipt) (Decision, error) {
	ctx, cancel := c.living(ctx)
	defer cancel()
	p, err := c.expect(ctx, r.Type, r.InstanceID, r.CommandID)
	if err != nil {
		return Decision{}, err
	}
	defer p.forget()
	p.decision.Receipt = r
	p.recalling(true)
	for _, topic := range []string{c.names.Events(r.Type), c.names.Outcomes(r.Type), c.names.State(r.Type)} {
		if err := c.recall(ctx, topic, p, r); err != nil {
			return Decision{}, failed("wait for "+r.CommandID.String(), err)
		}
	}
	p.recalling(false)
	p.settle()
	return p.wait(ctx)
}

// recall shows p what was written since the receipt.
func (c *Client) recall(ctx context.Context, topic string, p *pending, r Receipt) error {
	reader, err := c.reading()
	if err != nil {
		return err
	}
	ranges, err := reader.Ranges(ctx, topic)
	if err != nil {
		return err
	}
	since := make(map[kafka.TopicPartition]int64)
	if !r.At.IsZero() {
		if since, err = reader.OffsetsAt(ctx, topic, r.At.Add(-clockSkew)); err != nil {
			return err
		}
	}
	mine := topics.Partition([]byte(r.InstanceID.String()), int32(len(ranges))) //nolint:gosec // partition counts are small
	for at, bounds := range ranges {
		if topic != c.names.Outcomes(r.Type) && at.Partition != mine {
			continue
		}
		err := reader.ReadTo(ctx, at, max(bounds.Start, since[at]), bounds.End, func(record *kafka.Record) error {
			if key := string(record.Key); key == r.InstanceID.String() || key == r.CommandID.String() {
				p.watch.Record(record)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// pending is a command whose decision is waited for. What belongs together is
// committed together but may be read in pieces, so the decision is complete only
// when it is known what the instance's history says behind it.
type pending struct {
	watch  *follow.Watch
	forget func()
	done   chan struct{}

	mu       sync.Mutex
	decision Decision // complete when done is closed
	reached  int64    // sequence number of the newest snapshot of the instance
	behind   int64    // highest sequence number of an event that another command led to
	recalls  bool     // the past is being read: what was seen has gaps
	closed   bool
}

// expect begins to wait, before the command is there.
func (c *Client) expect(ctx context.Context, workflowType string, instance, command events.UUID) (*pending, error) {
	p := &pending{done: make(chan struct{})}
	outcomes, states, id := c.names.Outcomes(workflowType), c.names.State(workflowType), command.String()
	p.watch = &follow.Watch{
		Record: func(r *kafka.Record) {
			switch r.Topic {
			case outcomes:
				p.outcome(r, command)
			case states:
				p.snapshot(r)
			default:
				p.event(r, id)
			}
		},
		Settled: p.settle,
	}
	err := c.whenRemade(ctx, workflowType, func() (err error) {
		p.forget, err = c.watch(ctx, p.watch, follow.Place{Topic: c.names.Events(workflowType), Key: instance}, follow.Place{Topic: outcomes, Key: command}, follow.Place{Topic: states, Key: instance})
		return err
	})
	if err != nil {
		return nil, c.explain(ctx, workflowType, err)
	}
	return p, nil
}

// event takes an event in. It may be shown twice.
func (p *pending) event(r *kafka.Record, command string) {
	e, err := avro.DecodeFact(r.Key, r.Value, r.Offset) // one that no router wrote is none
	if err != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	if e.Metadata[events.MetadataCommandID].Str() != command {
		p.behind = max(p.behind, e.SequenceNumber)
		return
	}
	at, seen := slices.BinarySearchFunc(p.decision.Events, e.SequenceNumber, func(e events.Event, n int64) int {
		return cmp.Compare(e.SequenceNumber, n)
	})
	if !seen {
		p.decision.Events = slices.Insert(p.decision.Events, at, e)
	}
}

func (p *pending) snapshot(r *kafka.Record) {
	s, err := avro.DecodeSnapshot(r.Value)
	if err != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reached = max(p.reached, s.SequenceNumber)
}

func (p *pending) outcome(r *kafka.Record, command events.UUID) {
	o, err := avro.DecodeOutcome(r.Value)
	if err != nil || o.CommandID != command {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.decision.Outcome = &o
	}
}

func (p *pending) recalling(now bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.recalls = now
}

// settle ends the wait if the decision is complete.
func (p *pending) settle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed && !p.recalls && p.complete() {
		p.closed = true
		close(p.done)
	}
}

func (p *pending) complete() bool {
	n := len(p.decision.Events)
	if n == 0 {
		return p.decision.Outcome != nil
	}
	last := p.decision.Events[n-1].SequenceNumber
	return p.behind > last || p.reached == last
}

func (p *pending) wait(ctx context.Context) (Decision, error) {
	select {
	case <-p.done:
		return p.decision, refusal(p.decision.Outcome)
	case <-ctx.Done():
		p.mu.Lock()
		receipt := p.decision.Receipt
		p.mu.Unlock()
		return Decision{Receipt: receipt}, &Error{
			Code: ErrTimeout.Code, Err: ctx.Err(),
			Message: fmt.Sprintf("command %s is accepted and was not decided in time", receipt.CommandID),
			Fix:     "check that a router runs; the command will be decided when one does",
		}
	}
}
