package offer

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/leat-io/leat/internal/mcp/serve"
	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

// nothing is deployed.
type nothing struct{ Definitions }

func (nothing) Machine(string, int32) (*fsm.Machine, bool) { return nil, false }

// How an instance stands is how its task stands.
func TestTaskOfAnInstance(t *testing.T) {
	w := New(Config{Definitions: nothing{}})
	asks := events.TaskStatus{TaskID: events.UUID{1}, Name: humanTask, State: events.TaskWaitingForInput, Input: json.RawMessage(`{"form":"say something"}`)}
	claimed := asks
	claimed.State = events.TaskRunning
	other := asks
	other.Name = "mail.send"
	open := func(tasks ...events.TaskStatus) events.Chart { return events.Chart{Tasks: tasks} }
	ended := func(s events.WorkflowState, code string) events.Chart {
		return events.Chart{Outcome: s, OutcomeError: &events.Error{Code: code, Message: "by hand"}}
	}
	for name, c := range map[string]struct {
		instance client.Instance
		want     serve.Status
		says     string // of the result, the error or the message
	}{
		"running":                 {client.Instance{State: events.WorkflowRunning}, serve.Working, ""},
		"asks":                    {client.Instance{State: events.WorkflowRunning, Chart: open(asks)}, serve.InputRequired, ""},
		"claimed":                 {client.Instance{State: events.WorkflowRunning, Chart: open(claimed)}, serve.Working, ""},
		"another task":            {client.Instance{State: events.WorkflowRunning, Chart: open(other)}, serve.Working, ""},
		"paused":                  {client.Instance{State: events.WorkflowPaused, Chart: open(asks)}, serve.Working, "paused by an operator"},
		"incident":                {client.Instance{State: events.WorkflowRunning, Incident: &events.Incident{Code: "EXPRESSION"}, Chart: open(asks)}, serve.Working, "EXPRESSION"},
		"undoing":                 {client.Instance{State: events.WorkflowCompensating}, serve.Working, "compensating"},
		"text":                    {client.Instance{State: events.WorkflowCompleted, Output: json.RawMessage(` "a b" `)}, serve.Completed, "a b"},
		"list":                    {client.Instance{State: events.WorkflowCompleted, Output: json.RawMessage(`[1]`)}, serve.Completed, "[1]"},
		"nothing":                 {client.Instance{State: events.WorkflowCompleted}, serve.Completed, "completed"},
		"null":                    {client.Instance{State: events.WorkflowCompleted, Output: json.RawMessage(`null`)}, serve.Completed, "completed"},
		"failed":                  {client.Instance{State: events.WorkflowFailed, Error: &events.Error{Code: "E", Message: "why"}}, serve.Completed, "E: why"},
		"failed without an error": {client.Instance{State: events.WorkflowFailed}, serve.Completed, "WORKFLOW_FAILED"},
		"timeout":                 {client.Instance{State: events.WorkflowTimeout, Error: &events.Error{Code: "LIMIT_EXCEEDED"}}, serve.Failed, "LIMIT_EXCEEDED"},
		"cancelled":               {client.Instance{State: events.WorkflowCancelled, Chart: ended(events.WorkflowCancelled, "CANCELLED")}, serve.Cancelled, "by hand"},
		"terminated":              {client.Instance{State: events.WorkflowCancelled, Chart: ended(events.WorkflowCancelled, codeTerminated)}, serve.Failed, codeTerminated},
		"undone after a failure":  {client.Instance{State: events.WorkflowCompensated, Error: &events.Error{Code: "E"}}, serve.Completed, "E"},
		"undone after a cancel":   {client.Instance{State: events.WorkflowCompensated, Chart: ended(events.WorkflowCancelled, "CANCELLED")}, serve.Cancelled, "by hand"},
		"undone after a timeout":  {client.Instance{State: events.WorkflowCompensated, Chart: ended(events.WorkflowTimeout, "LIMIT_EXCEEDED")}, serve.Failed, "LIMIT_EXCEEDED"},
	} {
		c.instance.WorkflowType, c.instance.InstanceID = "order", events.UUID{2}
		got := w.taskOf(&c.instance)
		says := got.Message
		failed := false
		if got.Result != nil {
			says, failed = says+got.Result.Text, got.Result.Failed
		}
		if got.Err != nil {
			says += got.Err.Message
		}
		if got.Status != c.want || !strings.Contains(says, c.says) || got.Poll != time.Second {
			t.Errorf("%s: %s %q, want %s %q", name, got.Status, says, c.want, c.says)
		}
		if wrong := strings.HasPrefix(name, "failed") || name == "undone after a failure"; failed != wrong {
			t.Errorf("%s: failed is %t", name, failed)
		}
	}
}

// The name of a task is read as it is written, and nothing else is a name.
func TestTaskIDs(t *testing.T) {
	id := events.UUID{3}
	name := taskID("order", id)
	if workflowType, got, ok := parseTaskID(name); !ok || workflowType != "order" || got != id {
		t.Errorf("%s is read as %s %s", name, workflowType, got)
	}
	for _, bad := range []string{
		"", "order", "order/", "/" + id.String(), "order/" + strings.ToUpper("0f000000-0000-4000-8000-00000000000a"), "order/x",
		"Order/" + id.String(), name + "/", "order/order/" + id.String(), "order/00000000-0000-0000-0000-000000000000",
	} {
		if _, _, ok := parseTaskID(bad); ok {
			t.Errorf("%q is taken for the name of a task", bad)
		}
	}
}

// A key begins with whose it is; without an idempotency key no two are alike.
func TestKeys(t *testing.T) {
	ann, bob := serve.Caller{Name: "ann"}, serve.Caller{Name: "bob"}
	keys := map[string]bool{}
	for _, key := range []string{keyOf(ann, ""), keyOf(ann, ""), keyOf(ann, "k"), keyOf(ann, "l"), keyOf(bob, "k")} {
		if keys[key] || events.CheckKey("key", key) != nil {
			t.Errorf("the key %q", key)
		}
		keys[key] = true
	}
	if first, again := keyOf(ann, "k"), keyOf(ann, "k"); first != again {
		t.Errorf("the same idempotency key has the keys %s and %s", first, again)
	}
	for key, of := range map[string]bool{keyOf(ann, "k"): true, keyOf(bob, "k"): false, "mcp/ann/": false, "ann": false, keyOf(serve.Caller{Name: "ann.b"}, "k"): false} {
		if startedBy(ann, &client.Instance{Key: key}) != of {
			t.Errorf("the key %q is of ann: %t", key, !of)
		}
	}
}
