package avro

import (
	"errors"
	"fmt"

	"github.com/leat-io/leat/pkg/events"
)

// ErrForeign says that a record on an event topic is no event that a router
// wrote there. Readers count it and pass over it.
var ErrForeign = errors.New("not an event that a router wrote")

// DecodeFact is [DecodeEvent] for a record of an event topic: what the record
// says of itself has to agree with its place. The error is [ErrForeign]
// when it does not, and for what is no record of any schema: garbage, nothing at
// all, a batch that was skipped. Only a fingerprint that is not known is another
// error, as a newer engine may have written it. A history has no gaps and lies in
// one partition, so that the sequence of an event is at most its offset and one.
func DecodeFact(key, value []byte, offset int64) (events.Event, error) {
	e, err := DecodeEvent(value)
	switch {
	case errors.Is(err, ErrFingerprint):
		return e, err
	case err != nil:
		return e, fmt.Errorf("%w: %w", ErrForeign, err)
	case e.InstanceID.String() != string(key):
		return e, fmt.Errorf("%w: it is about instance %s and has another key", ErrForeign, e.InstanceID)
	case e.SequenceNumber < 1 || e.SequenceNumber-1 > offset:
		return e, fmt.Errorf("%w: it has sequence %d at offset %d", ErrForeign, e.SequenceNumber, offset)
	case e.EventID != events.EventID(e.WorkflowType, e.InstanceID, e.SequenceNumber):
		return e, fmt.Errorf("%w: its id %s is not that of sequence %d", ErrForeign, e.EventID, e.SequenceNumber)
	}
	return e, nil
}

// History reads the events of one instance in the order of the log. It may
// begin in the middle, when the log does.
type History struct {
	Type string // workflow type of the topic
	Last int64  // sequence of the newest event, 0 before the first
}

// Next reads a record like [DecodeFact]. An event that does not follow the
// last one is foreign too: a repeated one, and one that leaves a gap.
func (h *History) Next(key, value []byte, offset int64) (events.Event, error) {
	e, err := DecodeFact(key, value, offset)
	switch {
	case err != nil:
		return e, err
	case e.WorkflowType != h.Type:
		return e, fmt.Errorf("%w: it is of workflow type %q", ErrForeign, e.WorkflowType)
	case h.Last > 0 && e.SequenceNumber != h.Last+1:
		return e, fmt.Errorf("%w: it has sequence %d where %d is next", ErrForeign, e.SequenceNumber, h.Last+1)
	}
	h.Last = e.SequenceNumber
	return e, nil
}
