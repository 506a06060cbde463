package decide

import (
	"time"

	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

// CodeCompensationFailed is the incident of a task that undoes and has failed
// for good.
const CodeCompensationFailed = "COMPENSATION_FAILED"

// retry tries again what failed: an incident, an instance that has ended badly,
// or tasks that wait for their next attempt.
func retry(in Input, snap *events.Snapshot) (Decision, error) {
	i := snap.Incident
	if i == nil || i.Input == nil {
		return retryStep(in, snap)
	}
	r := newRecorder(in, snap, outsideCause(in.Command))
	r.next.Incident, r.next.Error = nil, nil
	parked := i.Input
	starts := parked.Command != nil && parked.Command.Command == events.CommandStart
	if why := unskippable(parked, snap); in.Command.Skip && why != "" {
		return Answer(in, snap, events.OutcomeRejected, CodeIllegalTransition, why), nil
	}
	r.event(events.EventWorkflowRetrying, events.WorkflowRetryingData{
		Incident: &events.RetriedIncident{Code: i.Code, Input: inputName(parked)}, ByOperator: r.operator(),
	}, nil)
	d := r.decision()
	switch {
	case starts:
		// Its events are of the retry: the start was answered when it was parked.
		more, err := step(in, d.Next, fsm.Input{Kind: fsm.InputStart, Data: parked.Command.Payload}, r.rest)
		if err != nil {
			return Decision{}, err
		}
		d = join(d, more)
		if again := d.Next.Incident; again != nil {
			again.Input.Command = parked.Command
		}
	case in.Command.Skip:
		more, err := skipped(in, parked, d.Next)
		if err != nil {
			return Decision{}, err
		}
		d = join(d, more)
	case in.replay: // a history says by itself what followed
	default:
		more, err := again(in, parked, d.Next, false)
		if err != nil {
			return Decision{}, err
		}
		d = join(d, more)
	}
	return release(in, d)
}

// retryStep lets the statechart try again what it knows to have failed.
func retryStep(in Input, snap *events.Snapshot) (Decision, error) {
	next := *snap
	next.Incident = nil
	if snap.Incident != nil || snap.State.Finished() {
		next.Error = nil
	}
	d, err := step(in, &next, fsm.Input{Kind: fsm.InputRetry, Skip: in.Command.Skip}, outsideCause(in.Command))
	if err != nil || d.Next == nil {
		return d, err
	}
	return release(in, d)
}

// inputName says for people what led to an incident.
func inputName(h *events.HeldInput) string {
	switch {
	case h.Command == nil:
		return "timer"
	case h.Command.Command == events.CommandSignal:
		return "signal " + h.Command.Event
	default:
		return string(h.Command.Command)
	}
}

// notUndone parks the instance: undoing stands still until a person decides.
func (r *recorder) notUndone(e fsm.CompensationFailed) {
	r.event(events.EventCompensationFailed, events.CompensationFailedData{
		Invocation: e.Invocation, TaskID: e.TaskID, ErrorData: *errorData(e.Error),
	}, nil)
	r.next.Incident = &events.Incident{
		Code: CodeCompensationFailed, Message: events.Cut(e.Invocation+" failed: "+e.Error.Error(), events.MaxMessageLength), At: r.in.Now, TaskID: e.TaskID,
	}
	r.next.Error = &events.Error{Code: r.next.Incident.Code, Message: r.next.Incident.Message}
}

// retried records that the instance left its end.
func (r *recorder) retried(e fsm.Retried) {
	from := r.next.State
	r.become(events.WorkflowRetrying)
	r.next.Output, r.next.Error, r.next.FinishedAt = nil, nil, time.Time{}
	r.event(events.EventWorkflowRetrying, events.WorkflowRetryingData{
		Ended: &events.RetriedEnd{From: from, Active: e.Active, Entered: e.Entered}, ByOperator: r.operator(),
	}, nil)
	r.become(events.WorkflowRunning)
}
