package router

import (
	"context"
	"errors"
	"fmt"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/decide"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
)

// describe answers where an instance is, as this transaction sees it. It writes
// the outcome and nothing else, needs no definition, and never leads to an
// incident: who only asks changes nothing.
func (t *transaction) describe(ctx context.Context, r *kafka.Record, at instance, e *entry, in decide.Input) error {
	d, err := decide.Decide(in, e.cur)
	if err != nil {
		t.deadLetter(r, err)
		return nil
	}
	if o := d.Outcome; o.Status == events.OutcomeDescribed {
		if o.Snapshot, err = t.stateOf(at, e); err != nil {
			return err
		}
		if e.asked = true; len(o.Snapshot) >= largeRecord {
			e.told += len(o.Snapshot)
		}
	}
	if err := t.add(at, e, d, maxRecord); err != nil {
		t.deadLetter(r, err)
	}
	t.logDecided(ctx, r, in.Command, d)
	return nil
}

// stateOf is an instance as the transaction sees it, the way the state topic has
// it. However many ask, it is encoded once, and what they get goes into the topic.
func (t *transaction) stateOf(at instance, e *entry) (record []byte, err error) {
	switch {
	case e.recorded == e.cur:
		return e.record, nil
	case e.changed:
		if record, err = encodeState(e.cur, e.room); err != nil {
			err = fmt.Errorf("%w: %w", errUnwritten, err)
		}
	default:
		record, err = t.lane.book.record(at.partition, at.id)
	}
	if err == nil {
		e.record, e.recorded = record, e.cur
	}
	return record, err
}

// weight is what an instance adds to a transaction, in bytes: its snapshot, and
// the answers with a large one.
func (e *entry) weight() int {
	if e.changed {
		return e.told + len(e.record)
	}
	return e.told
}

// putOutcome adds an outcome. What makes it too large for its topic is left out,
// and it says so: a client that waits for it must not wait for ever.
func (t *transaction) putOutcome(o *events.Outcome) error {
	for {
		r, err := t.outcome(o)
		if err == nil {
			err = t.fits(r, events.MaxOutcomeLength)
		}
		unwritable := errors.As(err, new(*unwritableError))
		switch {
		case err == nil:
			t.records = append(t.records, r)
			return nil
		case (unwritable || errors.Is(err, avro.ErrTooLarge)) && leaveOut(o):
		case unwritable:
			return t.unanswered(r, err)
		default:
			return err
		}
	}
}

// outcome is an outcome as a record. The snapshot of an instance has its output
// and its error, which are not told twice.
func (t *transaction) outcome(o *events.Outcome) (*kafka.Record, error) {
	if o.Snapshot != nil {
		only := *o
		only.InstanceOutput, only.InstanceError = nil, nil
		o = &only
	}
	value, err := avro.AppendOutcome(make([]byte, 0, outcomeRoom+len(o.Snapshot)+len(o.InstanceOutput)), o)
	return kafka.NewRecord(t.lane.config.Names.Outcomes(o.WorkflowType), []byte(o.CommandID.String()), value), err
}

// outcomeRoom is about what an outcome takes beside what it carries.
const outcomeRoom = 320

// leaveOut takes the largest thing out of an outcome; false when nothing is left
// that could make it smaller.
func leaveOut(o *events.Outcome) bool {
	what, size := "snapshot", len(o.Snapshot)
	switch {
	case o.Snapshot != nil:
		o.Snapshot = nil
	case o.InstanceOutput != nil:
		what, size, o.InstanceOutput = "output", len(o.InstanceOutput), nil
	default:
		return false
	}
	o.Error = &events.Error{Code: decide.CodeTooLarge, Message: fmt.Sprintf(
		"the topic of outcomes does not take the instance's %s of %d bytes: read the instance from the state topic", what, size)}
	return true
}
