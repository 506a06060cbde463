package decide

import (
	"fmt"

	"github.com/leat-io/leat/pkg/events"
)

// How much of what it held an instance decides at once, in units of
// [fsm.MaxWork] and in bytes of records: everybody else of the lane waits for it.
// The decision that goes beyond is the last.
const (
	releaseWork  = 200_000
	releaseBytes = 4 << 20
)

// Behind reports whether what happens to the instance has to wait: it holds, or
// has gone on and is not through with what it held.
func Behind(s *events.Snapshot) bool { return s.Holding() || len(s.Held) > 0 }

// goOn is what an instance asks itself when it has decided a part of what it
// held: a resume that only goes on with the rest. Others have their turn first.
func goOn(in Input, next *events.Snapshot) events.Command {
	c := events.Command{
		CommandID: events.DeriveUUID(in.Command.CommandID, "go on"), Command: events.CommandResume,
		WorkflowType: next.WorkflowType, InstanceID: next.InstanceID, CorrelationID: next.CorrelationID,
		CausationID: events.EventID(next.WorkflowType, next.InstanceID, next.SequenceNumber),
		Source:      nameOf(next.WorkflowType, next.InstanceID), Timestamp: in.Now,
	}
	c.Resolve(c.CommandID)
	return c
}

// goesOn reports whether a command is an instance's own. A stranger who writes
// one does no more with it than the instance.
func goesOn(c *events.Command) bool {
	return typeOf(c).from&itself != 0 && !c.CausationID.IsNil() && c.Source == nameOf(c.WorkflowType, c.InstanceID)
}

// goFurther decides more of what an instance held. While it holds there is
// nothing to do: what is held waits for a person, as everything else.
func goFurther(in Input, snap *events.Snapshot) (Decision, error) {
	switch {
	case snap.Holding() || len(snap.Held) == 0:
		return Decision{}, nil
	case in.Machine == nil && !snap.State.Finished():
		return Decision{}, notDeployed(snap)
	}
	next := *snap
	return release(in, Decision{Next: &next})
}

// parkHeld parks an instance that cannot go on: with the first of what it holds.
func parkHeld(in Input, snap *events.Snapshot) (Input, *events.Snapshot, error) {
	if snap.Holding() || len(snap.Held) == 0 || snap.Held[0].Command == nil {
		return in, snap, fmt.Errorf("%s %s holds nothing", snap.WorkflowType, snap.InstanceID)
	}
	next := *snap
	in.Command, next.Held = snap.Held[0].Command, snap.Held[1:]
	return in, &next, nil
}

// bulk is about how many bytes of records a decision makes, without its snapshot.
func bulk(d *Decision) (size int) {
	const record = 400 // what else there is in one
	for i := range d.Events {
		size += record + len(d.Events[i].Payload)
	}
	for i := range d.Tasks {
		size += record + len(d.Tasks[i].Input)
	}
	for i := range d.Signals {
		size += record + len(d.Signals[i].Data)
	}
	for i := range d.Sends {
		size += record + len(d.Sends[i].Payload)
	}
	return size + record*len(d.Later)
}
