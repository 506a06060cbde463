//go:build synctests

package sim

import (
	"reflect"
	"slices"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/pkg/events"
)

// descriptions is I16: a describe is answered once for each
// record, with an instance that has everything that stands before it in the
// partition and nothing that stands behind, and that is as the state topic says.
func (a *auditor) descriptions() {
	last := a.lastDecided()
	for p, list := range a.books.commands {
		answered := make(map[events.UUID]int)
		for i := range list {
			c := &list[i]
			if c.Command.Command != events.CommandDescribe || home(c.InstanceID) != p {
				continue
			}
			outcomes, n := a.books.outcomes[c.CommandID], answered[c.CommandID]
			answered[c.CommandID]++
			if n >= len(outcomes) {
				a.failf("I16", "describe %s at %d@%d has no answer: %v", c.CommandID, p, c.offset, statuses(outcomes))
				continue
			}
			a.description(list, i, &outcomes[n], last)
		}
		for id, n := range answered {
			if len(a.books.outcomes[id]) != n {
				a.failf("I16", "describe %s stands %d times in the log and has outcomes %v", id, n, statuses(a.books.outcomes[id]))
			}
			a.world.seen.addN("describes", n)
		}
	}
}

// description checks the answer to the i-th command of a partition.
func (a *auditor) description(list []command, i int, o *events.Outcome, last map[events.UUID]int64) {
	asked, seen := &list[i], make(map[events.UUID]bool)
	least, most := int64(0), int64(1)<<62
	for at := range list {
		c := &list[at]
		sequence, decided := last[c.CommandID]
		if c.InstanceID != asked.InstanceID || seen[c.CommandID] || !decided {
			continue
		}
		seen[c.CommandID] = true // what comes again is a duplicate
		if at < i {
			least = max(least, sequence)
		} else {
			most = min(most, sequence-1)
		}
	}
	s, err := avro.DecodeState(workflowType, []byte(asked.InstanceID.String()), o.Snapshot)
	if err != nil || o.Status != events.OutcomeDescribed || s.SequenceNumber != o.InstanceSequence || s.State != o.InstanceState {
		a.failf("I16", "describe %s of %s: %s, sequence %d, %v, %v", asked.CommandID, asked.InstanceID, o.Status, o.InstanceSequence, o.Error, err)
		return
	}
	if s.SequenceNumber < least || s.SequenceNumber > most {
		a.failf("I16", "describe %s at offset %d shows %s at sequence %d, want %d to %d", asked.CommandID, asked.offset, s.InstanceID, s.SequenceNumber, least, most)
	}
	states := a.books.states[s.InstanceID]
	of := func(other events.Snapshot) bool { return other.SequenceNumber == s.SequenceNumber }
	same := func(other events.Snapshot) bool { return reflect.DeepEqual(other, s) }
	if slices.ContainsFunc(states, of) && !slices.ContainsFunc(states, same) {
		a.failf("I16", "describe %s shows %s at sequence %d otherwise than the state topic: %+v", asked.CommandID, s.InstanceID, s.SequenceNumber, s)
	}
}

// lastDecided is the sequence of the last event of each command's decision.
func (a *auditor) lastDecided() map[events.UUID]int64 {
	last := make(map[events.UUID]int64)
	for _, list := range a.books.events {
		for i := range list {
			if id, err := events.ParseUUID(text(&list[i], events.MetadataCommandID)); err == nil {
				last[id] = list[i].SequenceNumber
			}
		}
	}
	return last
}

// places is I16 of where a history is read from: no event of an instance is
// below the offset that any of its snapshots names.
func (a *auditor) places(id events.UUID, list []event) {
	for i := range a.books.states[id] {
		s := &a.books.states[id][i]
		newest := list[min(int64(len(list)), s.SequenceNumber)-1].offset
		if s.FirstOffset > list[0].offset || s.NewestOffset > newest || s.FirstOffset > s.NewestOffset {
			a.failf("I16", "%s at sequence %d says that its events are from %d on and the newest from %d on; they are at %d and %d",
				id, s.SequenceNumber, s.FirstOffset, s.NewestOffset, list[0].offset, newest)
		}
	}
}
