package avro

import (
	"fmt"

	"github.com/leat-io/leat/pkg/events"
)

// longest is more events than any history has: a sequence behind it is made up,
// and counting on from it would overflow.
const longest = 1 << 53

// DecodeState is [DecodeSnapshot] for a record of a type's state topic: what the
// record says of itself has to agree with its place. The error is
// [ErrForeign] when it does not.
func DecodeState(workflowType string, key, value []byte) (events.Snapshot, error) {
	s, err := DecodeSnapshot(value)
	switch {
	case err != nil:
		return s, err
	case s.InstanceID.String() != string(key):
		return s, fmt.Errorf("%w: it is about instance %s and has another key", ErrForeign, s.InstanceID)
	case s.WorkflowType != workflowType:
		return s, fmt.Errorf("%w: it is of workflow type %q", ErrForeign, s.WorkflowType)
	case s.SequenceNumber < 0 || s.SequenceNumber > longest:
		return s, fmt.Errorf("%w: it has sequence %d", ErrForeign, s.SequenceNumber)
	}
	return s, nil
}
