package decide

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

// seenNames are the names under which a command is recognised when it comes
// again. Reports of executors need none: their attempt number tells.
func seenNames(in Input) []events.UUID {
	c := in.Command
	if c == nil || isReport(c) {
		return nil
	}
	var names []events.UUID
	if in.Explicit {
		names = append(names, c.CommandID)
	}
	if c.IdempotencyKey != "" {
		names = append(names, events.DeriveUUID(events.Namespace, "idempotency/"+c.IdempotencyKey))
	}
	return names
}

func findSeen(snap *events.Snapshot, in Input) (events.SeenCommand, bool) {
	names := seenNames(in)
	for _, seen := range snap.Seen {
		if slices.Contains(names, seen.Name) {
			return seen, true
		}
	}
	return events.SeenCommand{}, false
}

// remember adds the command to those that the instance has seen.
func remember(seen []events.SeenCommand, in Input, sequence int64) []events.SeenCommand {
	names := seenNames(in)
	if len(names) == 0 {
		return seen
	}
	kept := slices.DeleteFunc(append(make([]events.SeenCommand, 0, len(seen)+len(names)), seen...),
		func(s events.SeenCommand) bool { return slices.Contains(names, s.Name) }) // what was held comes again
	for _, name := range names {
		kept = append(kept, events.SeenCommand{Name: name, Sequence: sequence})
	}
	return kept[max(0, len(kept)-events.MaxSeenCommands):]
}

// CodeExpectationMissing is the code of the outcome for a signal that does not
// say what it is based on, to an instance whose isolation level asks for that.
const CodeExpectationMissing = "EXPECTED_SEQUENCE_MISSING"

// conflict says why a command is not based on the instance's sequence, "" when
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

// How large a tree of child workflows may be. No router sees a whole tree: its
// instances lie in many partitions, of many routers. So each partition has its
// share of MaxTree instances of one root, and at least MinTree, because chance
// does not share evenly.
const (
	MaxTree = 10_000
	MinTree = 200
)

// refuseLarge answers a start or a signal whose payload is larger than the
// definition lets one be. A result that is fails its task instead: the work is
// done, and an operator has to know.
func refuseLarge(in Input, snap *events.Snapshot) (Decision, bool) {
	c := in.Command
	if kindOf(c.Command).from&clients == 0 {
		return Decision{}, false
	}
	bad := in.Machine.CheckPayload("the payload", len(c.Payload))
	if bad == nil {
		return Decision{}, false
	}
	return Answer(in, snap, events.OutcomeRejected, bad.Code, bad.Message), true
}

// bounded ends the instance when the decision made its history longer than it
// may be, and finishes the recording. What happened stays in the history; what
// was only asked for is not done. The end itself takes a few events more. One that
// is held ends when it goes on.
func (r *recorder) bounded() (Decision, error) {
	most := r.next.Limits[fsm.LimitEvents]
	ending := r.next.State.Finished() || r.next.Holding() || r.next.State == events.WorkflowCompensating
	if most == 0 || r.next.SequenceNumber <= most || ending || len(r.next.Chart.Active) == 0 {
		return r.decision(), nil
	}
	chart, effects, err := r.in.Machine.Step(r.next.Chart, fsm.Input{
		Kind: fsm.InputStop, Now: r.in.Now, Instance: instanceOf(r.next), Seed: r.in.Seed,
		Stop: fsm.Stop{State: events.WorkflowFailed, Error: &events.Error{
			Code:    fsm.CodeLimit,
			Message: fmt.Sprintf("%s: the history has %d events, at most %d", fsm.LimitEvents, r.next.SequenceNumber, most),
		}},
	})
	if err != nil {
		return Decision{}, fmt.Errorf("end %s %s: %w", r.next.WorkflowType, r.next.InstanceID, err)
	}
	r.made.Tasks, r.made.Signals, r.starts = nil, nil, nil
	r.next.Chart = chart
	for _, effect := range effects {
		r.record(effect)
	}
	return r.decision(), nil
}
