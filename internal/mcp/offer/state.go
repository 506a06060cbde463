package offer

import (
	"bytes"
	"encoding/json"

	"github.com/leat-io/leat/internal/mcp/serve"
	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
)

// codeTerminated is the error of an instance that an operator ended at once.
const codeTerminated = "TERMINATED"

// taskOf is an instance as a task.
func (w *Workflows) taskOf(s *client.Instance) *serve.Task {
	t := &serve.Task{
		ID: taskID(s.WorkflowType, s.InstanceID), Status: serve.Working,
		Created: s.CreatedAt, Updated: s.UpdatedAt, Poll: w.config.Poll,
	}
	if m, ok := w.config.Definitions.Machine(s.WorkflowType, s.Version); ok {
		t.Kept = m.Definition().Retention
	}
	if s.State.Finished() {
		endOf(s, t)
		return t
	}
	switch {
	case s.Incident != nil:
		t.Message = "waits for an operator: " + s.Incident.Code
	case s.State == events.WorkflowPaused:
		t.Message = "paused by an operator"
	default:
		if t.Asked = questionsOf(s); len(t.Asked) > 0 {
			t.Status = serve.InputRequired
		} else if s.State != events.WorkflowRunning {
			t.Message = string(s.State)
		}
	}
	return t
}

// endOf is how a finished instance ended.
func endOf(s *client.Instance, t *serve.Task) {
	why := errorOf(s)
	state := s.State
	if state == events.WorkflowCompensated { // what it did is undone, because of how it ended
		state = events.WorkflowFailed
		if s.Chart.Outcome != "" {
			state = s.Chart.Outcome
		}
	}
	switch {
	case state == events.WorkflowCompleted:
		t.Status, t.Result = serve.Completed, resultOf(s)
	case state == events.WorkflowTimeout, state == events.WorkflowCancelled && why.Code == codeTerminated:
		t.Status, t.Message = serve.Failed, why.Message
		data, _ := json.Marshal(map[string]string{"code": why.Code}) // a text encodes
		t.Err = &serve.Error{Code: serve.CodeInternal, Message: why.Code + ": " + why.Message, Data: data}
	case state == events.WorkflowCancelled:
		t.Status, t.Message = serve.Cancelled, why.Message
	default:
		t.Status, t.Result = serve.Completed, failure(why.Code, why.Message)
		t.Result.History = historyURI(s)
	}
}

// errorOf is why an instance did not complete.
func errorOf(s *client.Instance) events.Error {
	switch {
	case s.Error != nil:
		return *s.Error
	case s.Chart.OutcomeError != nil:
		return *s.Chart.OutcomeError
	default:
		return events.Error{Code: "WORKFLOW_" + upper(s.State), Message: "the workflow ended as " + string(s.State)}
	}
}

func upper(s events.WorkflowState) string { return string(bytes.ToUpper([]byte(s))) }

// resultOf is what an instance gave. A text is its text; anything else is JSON, and
// an object is structured content as well.
func resultOf(s *client.Instance) *serve.Result {
	r := &serve.Result{Text: "completed", History: historyURI(s)}
	output := bytes.TrimSpace(s.Output)
	var text string
	switch {
	case len(output) == 0 || string(output) == "null":
	case output[0] == '"' && json.Unmarshal(output, &text) == nil:
		r.Text = text
	default:
		if r.Text = string(output); output[0] == '{' {
			r.Structured = json.RawMessage(output)
		}
	}
	return r
}
