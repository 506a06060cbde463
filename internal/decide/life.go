package decide

import (
	"fmt"
	"strings"

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

// illegal refuses a command and says what else could be asked.
func illegal(in Input, snap *events.Snapshot) Decision {
	can := "nothing can be asked of it any more"
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

// cancel ends an instance in good order. Nothing that its exit actions get
// wrong keeps it from ending.
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
