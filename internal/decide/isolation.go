package decide

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/leat-io/leat/pkg/events"
)

// CodeExpectationMissing is the code of the outcome for a signal that does not
// say what it is based on, to an instance whose isolation level asks for that.
const CodeExpectationMissing = "EXPECTED_SEQUENCE_MISSING"

// conflict says why a command is not based on where the instance stands, "" when
// it is. Without expected_sequence it is based on nothing.
//
// With repeatable_read the command holds as long as what its sender can have
// read is still so: configuration, data and payloads. Claims, retries and other
// events that change none of these do not stand in its way. With every other
// level it holds only while nothing at all has happened.
func conflict(c *events.Command, snap *events.Snapshot) string {
	if c.ExpectedSequence == nil {
		return ""
	}
	expected, now := *c.ExpectedSequence, sequenceOf(snap)
	switch {
	case expected == now:
		return ""
	case snap != nil && snap.Isolation == events.RepeatableRead && expected < now && expected >= snap.ChangedAt:
		return ""
	default:
		return fmt.Sprintf("expected_sequence is %d and the instance is at %d", expected, now)
	}
}

// mustExpect reports whether a command has to carry expected_sequence and does
// not: a signal from outside to an instance that is isolated from writers who
// have not read it. What an event caused (a send of another instance) reacts to
// a fact; it has read nothing that could be out of date.
func mustExpect(c *events.Command, snap *events.Snapshot) bool {
	isolated := snap.Isolation == events.RepeatableRead || snap.Isolation == events.Serializable
	return isolated && c.Command == events.CommandSignal && c.ExpectedSequence == nil && c.CausationID.IsNil()
}

// noteChange keeps, for a level that asks for it, the newest sequence after
// which something that can be read was another.
func (r *recorder) noteChange() {
	if r.next.Isolation == events.RepeatableRead && !sameReading(r.before, &r.next.Chart) {
		r.next.ChangedAt = r.next.SequenceNumber
	}
}

func sameReading(a, b *events.Chart) bool {
	return slices.Equal(a.Active, b.Active) &&
		maps.EqualFunc(a.Data, b.Data, events.ContextValue.Equal) &&
		maps.EqualFunc(a.Payloads, b.Payloads, func(x, y json.RawMessage) bool { return bytes.Equal(x, y) })
}
