package decide

import "github.com/leat-io/leat/pkg/events"

// whereIs answers a describe, whatever state the instance is in, and changes
// nothing: the command is not even remembered as seen. The router adds the
// snapshot.
func whereIs(in Input, snap *events.Snapshot) (Decision, error) {
	if why := conflict(in.Command, snap); why != "" {
		return Answer(in, snap, events.OutcomeConflict, CodeSequenceConflict, why), nil
	}
	if snap == nil {
		return notFound(in), nil
	}
	return Decision{Outcome: whereabouts(in, snap, events.OutcomeDescribed, snap.SequenceNumber)}, nil
}

func notFound(in Input) Decision {
	return Answer(in, nil, events.OutcomeRejected, CodeNotFound,
		"no such instance: it was never started, or its key is of another type; an id is written id:UUID")
}

// whereabouts is an outcome that says where the instance is.
func whereabouts(in Input, snap *events.Snapshot, status events.OutcomeStatus, sequence int64) *events.Outcome {
	o := &events.Outcome{
		CommandID: in.Command.CommandID, WorkflowType: snap.WorkflowType, InstanceID: snap.InstanceID,
		Status: status, SequenceNumber: sequence, Timestamp: in.Now,
		InstanceState: snap.State, InstanceSequence: snap.SequenceNumber, InstanceOutput: snap.Output, InstanceError: snap.Error,
	}
	if !snap.ForgottenAt.IsZero() {
		o.Error = &events.Error{Code: CodeForgotten, Message: "the retention of the instance is over, its output and its error are not kept"}
	}
	return o
}
