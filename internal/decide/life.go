package decide

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

// CodeIllegalTransition answers a command that the state of the instance does
// not allow.
const CodeIllegalTransition = "ILLEGAL_TRANSITION"

// The codes of instances that were ended from outside.
const (
	CodeCancelled  = "CANCELLED"
	CodeTerminated = "TERMINATED"
)

// illegal refuses a command and says which ones are possible.
func illegal(in Input, snap *events.Snapshot) Decision {
	can := "no command is possible any more"
	if list := possible(snap); len(list) > 0 {
		names := make([]string, len(list))
		for i, c := range list {
			names[i] = string(c)
		}
		can = "possible: " + strings.Join(names, ", ")
	}
	return Answer(in, snap, events.OutcomeRejected, CodeIllegalTransition, fmt.Sprintf(
		"the instance is %s and cannot become %s; %s", snap.State, kindOf(in.Command.Command).to, can))
}

// cancel ends an instance in good order. A failing exit action does not keep it
// from ending.
func cancel(in Input, snap *events.Snapshot) (Decision, error) {
	if len(snap.Chart.Active) == 0 {
		return dropHeld(in, end(in, snap)), nil // it never began: there is nothing to leave
	}
	done := absorb(in, unparked(in, snap))
	next := *done.Next
	next.Incident, next.Error, next.Paused = nil, nil, nil
	d, err := step(in, &next, fsm.Input{Kind: fsm.InputStop, Stop: fsm.Stop{State: events.WorkflowCancelled, Error: endError(in.Command)}},
		outsideCause(in.Command))
	if err != nil || d.Next == nil {
		return d, err
	}
	return release(in, dropHeld(in, join(done, d)))
}

// endError says who ended an instance from outside, and why.
func endError(c *events.Command) *events.Error {
	e := &events.Error{Code: CodeCancelled, Message: "cancelled"}
	if c.Command == events.CommandTerminate {
		e.Code, e.Message = CodeTerminated, "terminated"
	}
	if c.Source != "" {
		e.Message += " by " + c.Source
	}
	if c.Reason != "" {
		e.Message += ": " + c.Reason
	}
	return e
}

// terminate ends an instance at once. It needs no definition, so that it works
// for every instance, whatever is wrong with it.
func terminate(in Input, snap *events.Snapshot) (Decision, error) {
	return dropHeld(in, end(in, unparked(in, snap))), nil
}

// end is the end of an instance that leaves nothing in good order.
func end(in Input, snap *events.Snapshot) Decision {
	r := newRecorder(in, snap, outsideCause(in.Command))
	r.next.Paused, r.next.Incident = nil, nil
	chart := &r.next.Chart
	chart.Outcome, chart.OutcomeError, chart.Timers = events.WorkflowCancelled, endError(in.Command), nil
	var done []events.TaskStatus
	for i := range snap.Chart.Tasks {
		t := snap.Chart.Tasks[i]
		switch {
		case t.State == events.TaskCompleted:
			done = append(done, t) // a retry may come to undo it
		case !t.State.Finished() && t.Attempt > 0:
			r.taskChanged(fsm.TaskChanged{
				TaskID: t.TaskID, StateID: t.StateID, Invocation: t.Invocation, Name: t.Name, From: t.State, To: events.TaskCancelled,
				Attempt: t.Attempt, NodeID: t.NodeID,
			})
			if fsm.Runs(&t, t.State) {
				r.record(fsm.CancelTask{TaskID: t.TaskID, Attempt: t.Attempt, TokenHash: t.TokenHash, Code: CodeTerminated})
			}
		}
	}
	chart.Tasks = done
	r.ended(fsm.Ended{State: events.WorkflowCancelled, Outcome: events.WorkflowCancelled, Error: chart.OutcomeError})
	return r.decision()
}

// operator is who asked for what is recorded, and why, when a person did.
func (r *recorder) operator() (by events.ByOperator) {
	if c := r.in.Command; OfOperator(c) {
		by = events.ByOperator{Reason: c.Reason, RequestedBy: c.Source, Skip: c.Skip}
	}
	return by
}

// become moves the instance to another state of its life. An illegal move is a
// defect: what may be asked for is checked before.
func (r *recorder) become(to events.WorkflowState) {
	if from := r.next.State; from != to && !fsm.LegalWorkflow(from, to) {
		panic(fmt.Sprintf("illegal transition of an instance [%s -> %s]", from, to))
	}
	r.next.State = to
}

// pause makes an instance hold what happens to it.
func pause(in Input, snap *events.Snapshot) (Decision, error) {
	r := newRecorder(in, snap, outsideCause(in.Command))
	r.next.Paused = &events.Pause{From: snap.State, At: in.Now, Reason: in.Command.Reason, By: in.Command.Source}
	r.become(events.WorkflowPaused)
	r.event(events.EventWorkflowPaused, events.WorkflowPausedData{From: snap.State, ByOperator: r.operator()}, nil)
	return r.decision(), nil
}

// resume lets a paused instance go on: what it held is decided at once, and the
// timers that became due fire as soon as they are known to be.
func resume(in Input, snap *events.Snapshot) (Decision, error) {
	r := newRecorder(in, snap, outsideCause(in.Command))
	to := events.WorkflowRunning
	switch {
	case snap.Paused != nil:
		to = snap.Paused.From
	case snap.State != events.WorkflowPaused:
		to = snap.State // it goes on with what it held
	}
	r.next.Paused = nil
	r.become(to)
	r.event(events.EventWorkflowResumed, events.WorkflowResumedData{State: to, ByOperator: r.operator()}, nil)
	return release(in, r.decision())
}

// CodeCompensationFailed is the incident of a compensation that has failed
// permanently.
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

// notUndone parks the instance: compensation waits until an operator decides.
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
