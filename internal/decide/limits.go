package decide

import (
	"fmt"

	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

// How large a tree of child workflows may be. Nobody sees a whole tree: its
// instances lie in many partitions, of many routers. So each partition has its
// share of MaxTree instances of one root, and at least MinTree, because chance
// does not share evenly.
const (
	MaxTree = 10_000
	MinTree = 200
)

// refuseLarge answers a start or a signal whose payload is larger than the
// definition lets one be. A result that is fails its task instead: the work is
// done, and somebody has to be told.
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
