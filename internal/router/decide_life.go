package router

import (
	"fmt"
	"slices"
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

// wanted says to which state a command of those who look after instances leads.
var wanted = map[events.CommandType]events.WorkflowState{
	events.CommandPause: events.WorkflowPaused, events.CommandResume: events.WorkflowRunning,
	events.CommandCancel: events.WorkflowCancelled, events.CommandTerminate: events.WorkflowCancelled,
	events.CommandRetry: events.WorkflowRetrying,
}

// isLife reports whether a command changes where an instance stands in its life.
func isLife(c *events.Command) bool { return c != nil && wanted[c.Command] != "" }

// possible lists what can be asked of an instance as it stands.
func possible(s *events.Snapshot) []events.CommandType {
	switch s.State {
	case events.WorkflowPending, events.WorkflowInitializing:
		return []events.CommandType{events.CommandCancel, events.CommandTerminate}
	case events.WorkflowRunning, events.WorkflowWaitingForDependency:
		return []events.CommandType{events.CommandCancel, events.CommandTerminate}
	case events.WorkflowPaused:
		return []events.CommandType{events.CommandCancel, events.CommandTerminate}
	case events.WorkflowCompensating:
		return []events.CommandType{events.CommandTerminate}
	default:
		return nil
	}
}

// life decides a command that changes where an instance stands in its life.
func life(in input, snap *events.Snapshot) (decision, error) {
	c := in.command
	if !slices.Contains(possible(snap), c.Command) {
		return illegal(in, snap), nil
	}
	if c.Command == events.CommandTerminate {
		return terminate(in, snap), nil
	}
	if in.machine == nil {
		return answer(in, snap, events.OutcomeRejected, CodeUnknownVersion, fmt.Sprintf(
			"version %d of %q, which the instance runs on, is not deployed here: deploy it, or end the instance with `leat terminate`",
			snap.Version, snap.WorkflowType)), nil
	}
	return cancel(in, snap)
}

// illegal refuses a command and says what else could be asked.
func illegal(in input, snap *events.Snapshot) decision {
	can := "nothing can be asked of it any more"
	if list := possible(snap); len(list) > 0 {
		names := make([]string, len(list))
		for i, c := range list {
			names[i] = string(c)
		}
		can = "possible: " + strings.Join(names, ", ")
	}
	return answer(in, snap, events.OutcomeRejected, CodeIllegalTransition, fmt.Sprintf(
		"the instance is %s and cannot become %s; %s", snap.State, wanted[in.command.Command], can))
}

// cancel ends an instance in good order. Nothing that its exit actions get
// wrong keeps it from ending.
func cancel(in input, snap *events.Snapshot) (decision, error) {
	if len(snap.Chart.Active) == 0 {
		return terminate(in, snap), nil // it never began: there is nothing to leave
	}
	return step(in, snap, fsm.Input{Kind: fsm.InputStop, Stop: fsm.Stop{State: events.WorkflowCancelled, Error: endError(in.command)}},
		outsideCause(in.command))
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
func terminate(in input, snap *events.Snapshot) decision {
	r := newRecorder(in, snap, outsideCause(in.command))
	chart := &r.next.Chart
	chart.Outcome, chart.OutcomeError, chart.Timers = events.WorkflowCancelled, endError(in.command), nil
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

// why adds to the data of an event who asked for it, and why, when a person did.
func (r *recorder) why(data fields) fields {
	c := r.in.command
	if !isLife(c) {
		return data
	}
	if c.Reason != "" {
		data["reason"] = events.String(c.Reason)
	}
	if c.Source != "" {
		data["requested_by"] = events.String(c.Source)
	}
	if c.Command == events.CommandTerminate {
		data["terminated"] = events.Boolean(true)
	}
	return data
}

// become moves the instance to another state of its life. An illegal move is a
// defect: what may be asked for is checked before.
func (r *recorder) become(to events.WorkflowState) {
	if from := r.next.State; from != to && !fsm.LegalWorkflow(from, to) {
		panic(fmt.Sprintf("illegal transition of an instance [%s -> %s]", from, to))
	}
	r.next.State = to
}
