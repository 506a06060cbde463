package decide

import (
	"slices"

	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

// cancellation tells executors of a run that is over.
func cancellation(in Input, s *events.Snapshot, e fsm.CancelTask) events.Cancellation {
	return events.Cancellation{
		TaskID: e.TaskID, Attempt: e.Attempt, WorkflowType: s.WorkflowType, InstanceID: s.InstanceID,
		TokenHash: e.TokenHash, NodeID: e.NodeID, Code: e.Code, Timestamp: in.Now,
	}
}

// stopReporter tells who claims an attempt, or beats for one, that has no meaning
// any more: so nobody goes on who missed that it ended.
func stopReporter(in Input, s *events.Snapshot) []events.Cancellation {
	c := in.Command
	if c == nil || c.Command != events.CommandClaim && c.Command != events.CommandHeartbeat || alive(s, c.Result) {
		return nil
	}
	stop := fsm.CancelTask{TaskID: c.Result.TaskID, Attempt: c.Result.Attempt, NodeID: c.Result.NodeID, Code: fsm.StaleAttempt}
	if c.Result.Token != "" {
		stop.TokenHash = events.HashToken(c.Result.Token)
	}
	return []events.Cancellation{cancellation(in, s, stop)}
}

// alive reports whether a report is of a run that an instance still waits for.
func alive(s *events.Snapshot, r *events.TaskResult) bool {
	at := slices.IndexFunc(s.Chart.Tasks, func(t events.TaskStatus) bool { return t.TaskID == r.TaskID })
	if at < 0 {
		return false
	}
	t := &s.Chart.Tasks[at]
	if !fsm.Queued(t) {
		return true // people are answered
	}
	return isOpen(t.State) && t.Attempt == r.Attempt && t.Knows(r.Token) &&
		(t.State != events.TaskRunning || t.NodeID == "" || t.NodeID == r.NodeID)
}
