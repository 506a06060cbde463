package decide

import (
	"fmt"
	"slices"

	"github.com/leat-io/leat/pkg/events"
)

// CodeForgotten is the code of the outcome for a command to an instance whose
// retention is over.
const CodeForgotten = "FORGOTTEN"

// retain sets the timer of a finished instance that is kept for a while only. One
// that is terminated because its definition is gone is kept.
func (r *recorder) retain() {
	if r.in.Machine == nil {
		return
	}
	keep := r.in.Machine.Definition().Retention
	chart := &r.next.Chart
	chart.Timers = slices.DeleteFunc(slices.Clone(chart.Timers), isRetention)
	if keep > 0 {
		chart.Counter++
		chart.Timers = append(chart.Timers, events.Timer{
			ID: chart.Counter, Kind: events.TimerRetention, Due: events.Instant(r.in.Now.Add(keep)),
		})
	}
}

func isRetention(t events.Timer) bool { return t.Kind == events.TimerRetention }

// forget leaves of a finished instance what answers for its id: the sequence,
// how it ended, and when. A start with the same key still is a duplicate, and no
// other instance ever continues, or repeats, its sequence. Its history stays.
func forget(in Input, snap *events.Snapshot) Decision {
	next := *snap
	next.Chart.Timers = slices.DeleteFunc(slices.Clone(snap.Chart.Timers), isRetention)
	if snap.State.Finished() {
		next = events.Snapshot{
			WorkflowType: snap.WorkflowType, InstanceID: snap.InstanceID, Version: snap.Version, SequenceNumber: snap.SequenceNumber,
			State: snap.State, CorrelationID: snap.CorrelationID, Isolation: snap.Isolation,
			CreatedAt: snap.CreatedAt, UpdatedAt: snap.UpdatedAt, FinishedAt: snap.FinishedAt, ForgottenAt: in.Now,
		}
	}
	return Decision{Next: &next}
}

// refuseForgotten answers every command to an instance that is forgotten.
func refuseForgotten(in Input, snap *events.Snapshot) (Decision, bool) {
	switch {
	case snap == nil || snap.ForgottenAt.IsZero():
		return Decision{}, false
	case in.Command.Command == events.CommandStart:
		return Duplicate(in, snap, 1), true
	default:
		return Answer(in, snap, events.OutcomeRejected, CodeForgotten, fmt.Sprintf(
			"the instance ended as %s and its retention is over; its history is still in the event topic", snap.State)), true
	}
}
