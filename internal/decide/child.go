package decide

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

// The codes with which a child workflow fails its parent's task. A child that
// failed by itself gives its own code.
const (
	CodeUnknownType    = "UNKNOWN_TYPE"      // no definition of the child's type is deployed
	CodeAlreadyStarted = "ALREADY_STARTED"   // the key names an instance that is not this task's child
	CodeTooDeep        = "TOO_DEEP"          // more than events.MaxGenerations below one another
	CodeTooMany        = "TOO_MANY_CHILDREN" // the tree is as large as a tree may be
	CodeChildFailed    = "CHILD_FAILED"      // it failed and says no more
	CodeChildCancelled = "CHILD_CANCELLED"   // it was cancelled or terminated, or ended so by itself
	CodeChildTimeout   = "CHILD_TIMEOUT"     // it ran for longer than its definition lets it
)

// childStart is a child workflow that an attempt of a task asks for.
type childStart struct {
	command events.Command
	child   events.Child
	refused *events.Error // it cannot even be asked for
}

// childRequest is the input of a task that starts a child workflow.
type childRequest struct {
	Type        string             `json:"type"`
	Version     json.RawMessage    `json:"version"`
	Key         json.RawMessage    `json:"key"`
	ParentClose events.ParentClose `json:"parentClose"`
	Input       json.RawMessage    `json:"input"`
}

// prepare says what a task that no executor works on leads to, and adds to the
// data of its task.scheduled event what people want to find there.
func (r *recorder) prepare(s *fsm.StartTask, data *events.TaskScheduledData) (start childStart) {
	switch s.Kind {
	case fsm.InvokeHuman:
		var asked struct {
			Assignee json.RawMessage `json:"assignee"`
		}
		_ = json.Unmarshal(s.Input, &asked) // the engine wrote it
		data.State = events.TaskWaitingForInput
		if assignee, ok := text(asked.Assignee); ok {
			data.Assignee = &assignee
		}
	case fsm.InvokeWorkflow:
		start = r.childOf(s)
		data.Child = &events.ChildData{Type: start.child.WorkflowType, ID: start.child.InstanceID}
	default:
	}
	return start
}

// childOf builds the start of a child workflow. Without a key every attempt has
// a child of its own, so that a retry begins anew.
func (r *recorder) childOf(s *fsm.StartTask) childStart {
	var ask childRequest
	err := json.Unmarshal(s.Input, &ask)
	parent := &events.Parent{
		WorkflowType: r.next.WorkflowType, InstanceID: r.next.InstanceID, TaskID: s.TaskID, Attempt: s.Attempt, Generation: 1,
		Token: s.Token,
	}
	parent.Root = r.next.InstanceID
	if above := r.next.Parent; above != nil {
		parent.Generation = above.Generation + 1
		if !above.Root.IsNil() {
			parent.Root = above.Root
		}
	}
	start := childStart{
		child: events.Child{WorkflowType: ask.Type, InstanceID: events.DeriveUUID(s.TaskID, childName(s.Attempt, "")), ParentClose: ask.ParentClose},
		command: events.Command{
			CommandID: events.DeriveUUID(s.TaskID, childName(s.Attempt, "start")), Command: events.CommandStart, WorkflowType: ask.Type,
			Payload: ask.Input, CorrelationID: r.next.CorrelationID, Priority: s.Priority, Timestamp: r.in.Now, Source: r.self(), Parent: parent,
		},
	}
	if start.child.ParentClose == "" {
		start.child.ParentClose = events.CloseCancel
		if s.Semantics == events.FireAndForget {
			start.child.ParentClose = events.CloseAbandon
		}
	}
	if err == nil {
		err = start.name(&ask)
	}
	switch {
	case err != nil:
		start.refused = &events.Error{Code: CodeInvalidInput, Message: "the child workflow cannot be asked for: " + err.Error()}
	case parent.Generation > events.MaxGenerations:
		start.refused = &events.Error{Code: CodeTooDeep, Message: fmt.Sprintf(
			"%d child workflows below one another, at most %d: does one start itself?", parent.Generation, events.MaxGenerations)}
	}
	start.command.InstanceID = start.child.InstanceID
	return start
}

// name takes the key and the version that were computed.
func (s *childStart) name(ask *childRequest) error {
	if given(ask.Key) {
		key, ok := text(ask.Key)
		if !ok || key == "" {
			return fmt.Errorf("workflow.key is %.40s, and not a text", ask.Key)
		}
		if err := cmp.Or(json.Unmarshal(ask.Key, new(events.KeyText)), events.CheckKey("workflow.key", key)); err != nil {
			return err
		}
		s.command.Key, s.child.InstanceID = key, events.InstanceIDForKey(ask.Type, key)
	}
	if given(ask.Version) {
		version, err := strconv.ParseInt(string(ask.Version), 10, 32)
		if err != nil || version < 0 {
			return fmt.Errorf("workflow.version is %.40s, and not a version", ask.Version)
		}
		s.command.Version = int32(version)
	}
	return nil
}

func given(value json.RawMessage) bool { return len(value) > 0 && !bytes.Equal(value, []byte("null")) }

// text is a JSON text; ok is false for everything else.
func text(value json.RawMessage) (s string, ok bool) {
	return s, given(value) && json.Unmarshal(value, &s) == nil
}

func childName(attempt int32, what string) string {
	return "child/" + strconv.Itoa(int(attempt)) + "/" + what
}

// self names the instance for the source and the node of commands.
func (r *recorder) self() string { return nameOf(r.next.WorkflowType, r.next.InstanceID) }

func nameOf(workflowType string, id events.UUID) string { return workflowType + "/" + id.String() }

// children says what the decision means for others: children that begin,
// children that are no longer waited for, and a parent that waits for the end.
func (r *recorder) children() {
	chain := r.rest
	if chain == nil {
		chain = r.cause
	}
	for i := range r.starts {
		r.begin(&r.starts[i], chain)
	}
	for i := range r.before.Tasks {
		r.close(&r.before.Tasks[i], chain)
	}
	if r.end != nil && r.next.Parent != nil {
		r.made.Sends = append(r.made.Sends, childEnd(r.next, r.end.Outcome, r.in))
	}
}

// waiting is the task, when the same attempt is still waited for.
func (r *recorder) waiting(task events.UUID, attempt int32) *events.TaskStatus {
	for i := range r.next.Chart.Tasks {
		if t := &r.next.Chart.Tasks[i]; t.TaskID == task && t.Attempt == attempt && open(t.State) {
			return t
		}
	}
	return nil
}

func open(s events.TaskState) bool { return s == events.TaskScheduled || s == events.TaskRunning }

// begin starts a child. One that is not waited for at the end of the decision
// begins only if it was to outlive that.
func (r *recorder) begin(s *childStart, chain []events.UUID) {
	c := &s.command
	t := r.waiting(c.Parent.TaskID, c.Parent.Attempt)
	if t == nil && (s.child.ParentClose != events.CloseAbandon || s.refused != nil) {
		return
	}
	c.CausationID = r.asked[c.Parent.TaskID]
	c.CorrelationChain = extend(chain, c.CausationID)
	if s.refused == nil {
		c.Resolve(c.CommandID)
		if err := c.Validate(); err != nil {
			s.refused = &events.Error{Code: CodeInvalidInput, Message: "the child workflow cannot be asked for: " + err.Error()}
		}
	}
	if s.refused != nil {
		r.made.Sends = append(r.made.Sends, childResult(c.Parent, c.InstanceID, nil, s.refused, r.in))
		return
	}
	if t != nil {
		child := s.child
		t.Child = &child
	}
	r.made.Sends = append(r.made.Sends, *c)
}

// close ends the child of a task whose attempt was abandoned, as the
// definition wants it. A child that has said how it ended needs no telling.
func (r *recorder) close(t *events.TaskStatus, chain []events.UUID) {
	if t.Child == nil || t.Child.ParentClose == events.CloseAbandon || !open(t.State) || r.waiting(t.TaskID, t.Attempt) != nil {
		return
	}
	if c := r.in.Command; c != nil && c.Command == events.CommandResult && c.Result.TaskID == t.TaskID &&
		c.Result.NodeID == nameOf(t.Child.WorkflowType, t.Child.InstanceID) {
		return
	}
	c := events.Command{
		CommandID: events.DeriveUUID(t.TaskID, childName(t.Attempt, "close")), Command: events.CommandCancel,
		WorkflowType: t.Child.WorkflowType, InstanceID: t.Child.InstanceID, Reason: "its parent does not wait for it any more",
		CorrelationID: r.next.CorrelationID, CorrelationChain: chain, Timestamp: r.in.Now, Source: r.self(),
		Parent: &events.Parent{WorkflowType: r.next.WorkflowType, InstanceID: r.next.InstanceID, TaskID: t.TaskID, Attempt: t.Attempt, Generation: 1},
	}
	if t.Child.ParentClose == events.CloseTerminate {
		c.Command = events.CommandTerminate
	}
	if n := len(chain); n > 0 {
		c.CausationID = chain[n-1]
	}
	c.Resolve(c.CommandID)
	r.made.Sends = append(r.made.Sends, c)
}

// childEnd tells the parent how its child ended. A failure may be tried again if
// the parent's definition says so, unless a key names the child: then another
// attempt would only find the same instance.
func childEnd(s *events.Snapshot, outcome events.WorkflowState, in Input) events.Command {
	failure := &events.Error{Code: CodeChildFailed, Message: "the child workflow is " + string(s.State), Retryable: s.Key == ""}
	if s.Error != nil {
		failure.Code, failure.Message = s.Error.Code, s.Error.Message
	}
	switch outcome {
	case events.WorkflowCompleted:
		failure = nil
	case events.WorkflowCancelled:
		failure.Code, failure.Retryable = CodeChildCancelled, false
	case events.WorkflowTimeout:
		failure.Code = CodeChildTimeout
	default:
	}
	c := childResult(s.Parent, s.InstanceID, s.Output, failure, in)
	c.Result.NodeID, c.CorrelationID = nameOf(s.WorkflowType, s.InstanceID), s.CorrelationID
	c.CausationID, c.Source = events.EventID(s.WorkflowType, s.InstanceID, s.SequenceNumber), c.Result.NodeID
	if err := c.Validate(); err != nil { // a parent must not wait for what cannot be said
		c.Payload, c.Result.State = nil, events.TaskFailed
		c.Result.Error = &events.Error{Code: CodeChildFailed, Message: "how the child workflow ended cannot be told: " + err.Error()}
	}
	return c
}

// childResult is the result of a task that waits for a child.
func childResult(p *events.Parent, child events.UUID, output json.RawMessage, failure *events.Error, in Input) events.Command {
	c := events.Command{
		CommandID: events.DeriveUUID(p.TaskID, childName(p.Attempt, "result/"+child.String())), Command: events.CommandResult,
		WorkflowType: p.WorkflowType, InstanceID: p.InstanceID, Timestamp: in.Now, Source: in.Source,
		Result: &events.TaskResult{TaskID: p.TaskID, Attempt: p.Attempt, State: events.TaskCompleted, Token: p.Token},
	}
	if failure != nil {
		c.Result.State, c.Result.Error = events.TaskFailed, failure
	} else {
		c.Payload = output
	}
	c.Resolve(c.CommandID)
	return c
}

// NoChild is the result of a task whose child cannot begin, because no
// definition of its type is deployed.
func NoChild(in Input, start *events.Command) events.Command {
	return childResult(start.Parent, start.InstanceID, nil, &events.Error{
		Code: CodeUnknownType, Message: "no definition of workflow type " + start.WorkflowType + " is deployed",
	}, in)
}

// asChild decides what only a parent asks: the end of its child, which is nobody
// else's to ask for, and the start of one that is there already.
func asChild(in Input, snap *events.Snapshot) (Decision, bool) {
	c := in.Command
	if c == nil || c.Parent == nil || snap == nil || kindOf(c.Command).from&parents == 0 {
		return Decision{}, false
	}
	mine := snap.Parent.SameTask(c.Parent)
	switch {
	case c.Command != events.CommandStart: // it is to end
		return Decision{}, !mine || snap.Parent.Attempt != c.Parent.Attempt || snap.State.Finished()
	case !mine:
		return Decision{Sends: []events.Command{childResult(c.Parent, snap.InstanceID, nil, &events.Error{
			Code: CodeAlreadyStarted, Message: fmt.Sprintf("key %q of %s names an instance that is not the child of this task", snap.Key, snap.WorkflowType),
		}, in)}}, true
	default:
		return rejoin(in, snap), true
	}
}

// rejoin lets a further attempt wait for the child that an earlier one started
// under the same key.
func rejoin(in Input, snap *events.Snapshot) Decision {
	if in.Command.Parent.Attempt <= snap.Parent.Attempt {
		return Decision{} // it came twice
	}
	next := *snap
	next.Parent = in.Command.Parent
	d := Decision{Next: &next}
	if snap.State.Finished() {
		outcome := snap.State
		if outcome == events.WorkflowCompensated {
			outcome = events.WorkflowFailed
		}
		d.Sends = append(d.Sends, childEnd(&next, outcome, in))
	}
	return d
}

// tellParent turns the refusal of a child into a failed result: the parent would
// wait for ever.
func (d *Decision) tellParent(in Input) {
	c := in.Command
	if c == nil || c.Parent == nil || c.Command != events.CommandStart || d.Outcome == nil || d.Outcome.Error == nil {
		return
	}
	d.Sends = append(d.Sends, childResult(c.Parent, c.InstanceID, nil, &events.Error{
		Code:    d.Outcome.Error.Code,
		Message: events.Cut(fmt.Sprintf("the start of %s was refused: %s", c.WorkflowType, d.Outcome.Error.Message), events.MaxMessageLength),
	}, in))
}

// statusOf says what it means for the one who reported that nothing follows.
func statusOf(code string) events.OutcomeStatus {
	switch code {
	case fsm.InvalidResult:
		return events.OutcomeRejected
	case fsm.TaskClaimed:
		return events.OutcomeConflict
	default:
		return events.OutcomeIgnored
	}
}

// parentData says in workflow.created whose child it is; internal/facts reads it.
func parentData(p *events.Parent) *events.ParentData {
	if p == nil {
		return nil
	}
	return &events.ParentData{
		Parent: nameOf(p.WorkflowType, p.InstanceID), Task: p.TaskID, Attempt: p.Attempt, Generation: p.Generation, Root: p.Root,
	}
}
