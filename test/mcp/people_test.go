package mcp_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/leat-io/leat/pkg/client"
)

// What a workflow asks people, a task asks; its form is the schema, and an answer
// that does not fit is refused and leaves the question open.
func TestQuestionsOfATask(t *testing.T) {
	e := start(t)
	c := at(t, e.replica(nil).Handler(nil))
	ask := func() (task, question string) {
		task = c.call("confirm_delete", map[string]any{"filename": "a.txt"}).TaskID
		a := c.until(task, "input_required")
		ids := slices.Collect(maps.Keys(a.InputRequests))
		if len(ids) != 1 {
			t.Fatalf("got %+v", a)
		}
		asked := a.InputRequests[ids[0]]
		if asked.Method != "elicitation/create" || asked.Params.Message != "Delete a.txt?" || !strings.Contains(string(asked.Params.Schema), `"confirm":{"type":"boolean"}`) {
			t.Errorf("asked %+v %s", asked, asked.Params.Schema)
		}
		return task, ids[0]
	}
	update := func(task, question string, answer any) map[string]any {
		return map[string]any{"taskId": task, "inputResponses": map[string]any{question: answer}}
	}
	task, question := ask()
	for _, wrong := range []any{
		map[string]any{"action": "accept", "content": map[string]any{"confirm": "yes"}},
		map[string]any{"action": "accept"},
		map[string]any{"action": "perhaps"},
	} {
		if r := c.ask("tasks/update", update(task, question, wrong)); r.Error == nil || r.Error.Code != -32602 {
			t.Errorf("%v: %+v", wrong, r)
		}
	}
	if a := c.task(task); a.Status != "input_required" {
		t.Errorf("after wrong answers it is %s", a.Status)
	}
	c.result("tasks/update", update(task, question, map[string]any{"action": "accept", "content": map[string]any{"confirm": true}}))
	if a := c.until(task, "completed"); a.Result.text() != "deleted a.txt" {
		t.Errorf("got %+v", a.Result)
	}
	// A late answer, and one to nothing, are passed over.
	c.result("tasks/update", update(task, question, map[string]any{"action": "decline"}))
	for _, action := range []string{"decline", "cancel"} {
		task, question := ask()
		c.result("tasks/update", update(task, question, map[string]any{"action": action}))
		if a := c.until(task, "completed"); a.Result.text() != "kept a.txt" {
			t.Errorf("%s: %+v", action, a.Result)
		}
	}
}

// A client without tasks is asked within the call, and makes it again with the
// answers. What it brings back is bound to its caller and its tool.
func TestQuestionsWithinACall(t *testing.T) {
	e := start(t)
	c := at(t, e.replica(nil).Handler(nil)).with(func(c *caller) { c.capabilities = map[string]any{"elicitation": map[string]any{}} })
	arguments := map[string]any{"filename": "b.txt"}
	a := c.call("confirm_delete", arguments)
	if a.ResultType != "input_required" || len(a.InputRequests) != 1 || a.RequestState == "" || a.TaskID != "" {
		t.Fatalf("got %+v", a)
	}
	answers := map[string]any{}
	for id := range a.InputRequests {
		answers[id] = map[string]any{"action": "accept", "content": map[string]any{"confirm": false}}
	}
	params := func(tool, state string) map[string]any {
		return map[string]any{"name": tool, "arguments": arguments, "requestState": state, "inputResponses": answers}
	}
	for _, wrong := range []map[string]any{params("slow_compute", a.RequestState), params("confirm_delete", a.RequestState+"0"), params("confirm_delete", "confirm_delete/x")} {
		if r := c.ask("tools/call", wrong); r.Error == nil || r.Error.Code != -32602 {
			t.Errorf("%v: %+v", wrong, r)
		}
	}
	if a := c.result("tools/call", params("confirm_delete", a.RequestState)); a.text() != "kept b.txt" {
		t.Errorf("got %+v", a)
	}
	page, err := e.client.List(t.Context(), client.ListRequest{Type: "confirm_delete"})
	if err != nil || len(page.Items) != 1 {
		t.Errorf("%d instances, %v", len(page.Items), err)
	}
}
