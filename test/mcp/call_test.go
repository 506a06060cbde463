package mcp_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
)

// The output of a workflow is the answer: a text as it is, anything else as JSON, and
// an object as structured content with every digit.
func TestAnswersWithinTheCall(t *testing.T) {
	e := start(t)
	e.deploy(`{leat: v1, type: give, version: 1, tool: {description: Gives., task: never}, initial: d,
	  states: {d: {type: final, output: {big: 9007199254740993, list: [1, 2]}}}}`)
	c := at(t, e.replica(nil).Handler(nil))
	if a := c.call("greet", map[string]any{"name": "Ann"}); a.text() != "Hello, Ann!" || a.ResultType != "complete" || a.TaskID != "" || a.Structured != nil {
		t.Errorf("got %+v", a)
	}
	a := c.call("give", map[string]any{})
	if want := `{"big":9007199254740993,"list":[1,2]}`; a.text() != want || string(a.Structured) != want {
		t.Errorf("got %q and %s", a.text(), a.Structured)
	}
	if uri, ok := a.Meta["io.leat/history"].(string); !ok || !strings.Contains(c.read(uri), `"events":[`) {
		t.Errorf("the history of %v cannot be read", a.Meta)
	}
	until(t, func() bool { return strings.Contains(c.read("leat://nodes"), `"ORCHESTRATOR"`) })
	// Wrong arguments are the model's to mend, and start nothing.
	if a := c.call("greet", map[string]any{"name": 7}); !a.IsError || !strings.Contains(a.text(), "INVALID_ARGUMENTS") || !strings.Contains(a.text(), "name") {
		t.Errorf("got %+v", a)
	}
	if page, err := e.client.List(t.Context(), client.ListRequest{Type: "greet"}); err != nil || len(page.Items) != 1 {
		t.Errorf("%d instances of greet, %v", len(page.Items), err)
	}
	if r := c.ask("tools/call", map[string]any{"name": "absent"}); r.Error == nil || r.Error.Code != -32602 {
		t.Errorf("got %+v", r)
	}
}

// read is a resource's text.
func (c *caller) read(uri string) string {
	c.t.Helper()
	var read struct{ Contents []struct{ Text string } }
	r := c.ask("resources/read", map[string]any{"uri": uri})
	if json.Unmarshal(r.Result, &read) != nil || len(read.Contents) != 1 {
		return fmt.Sprintf("error %+v", r.Error)
	}
	return read.Contents[0].Text
}

// A tool appears when it is deployed, and is what the newest version says.
func TestDeployedLater(t *testing.T) {
	e := start(t)
	c := at(t, e.replica(nil).Handler(nil))
	const late = `{leat: v1, type: late, version: %d, tool: {description: "%s", task: never}, initial: d, states: {d: {type: final, output: "'%s'"}}}`
	for version, says := range []string{"one", "two"} {
		e.deploy(fmt.Sprintf(late, version+1, says, says))
		until(t, func() bool {
			return strings.Contains(string(c.ask("tools/list", nil).Result), `"description":"`+says+`"`)
		})
		if a := c.call("late", nil); a.text() != says {
			t.Errorf("version %d says %q", version+1, a.text())
		}
	}
	e.deploy(`{leat: v1, type: late, version: 3, initial: d, states: {d: {type: final}}}`)
	until(t, func() bool { return !strings.Contains(string(c.ask("tools/list", nil).Result), `"late"`) })
}

// until waits for something to become true.
func until(t *testing.T, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); <-time.After(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it did not come about")
		}
	}
}

// The same idempotency key is the same task, at any replica, and not for other
// arguments; another key and another caller have their own.
func TestIdempotencyKey(t *testing.T) {
	e := start(t)
	keyed := func(key string) func(*caller) {
		return func(c *caller) { c.meta = map[string]any{"io.leat/idempotency-key": key} }
	}
	one, other := at(t, e.replica(nil).Handler(nil)), at(t, e.replica(nil).Handler(nil))
	arguments := map[string]any{"seconds": 60}
	first := one.with(keyed("k-1")).call("slow_compute", arguments)
	if first.TaskID == "" {
		t.Fatalf("got %+v", first)
	}
	if again := other.with(keyed("k-1")).call("slow_compute", arguments); again.TaskID != first.TaskID {
		t.Errorf("tasks %s and %s", first.TaskID, again.TaskID)
	}
	if second := one.with(keyed("k-2")).call("slow_compute", arguments); second.TaskID == first.TaskID || second.TaskID == "" {
		t.Errorf("two keys have the task %s", second.TaskID)
	}
	if r := one.with(keyed("k-1")).ask("tools/call", map[string]any{"name": "slow_compute", "arguments": map[string]any{"seconds": 61}}); r.Error == nil || r.Error.Code != -32602 {
		t.Errorf("other arguments are answered: %+v", r)
	}
	for _, key := range []any{"", 7, strings.Repeat("k", 257)} {
		bad := one.with(func(c *caller) { c.meta = map[string]any{"io.leat/idempotency-key": key} })
		if r := bad.ask("tools/call", map[string]any{"name": "greet", "arguments": map[string]any{"name": "x"}}); r.Error == nil || r.Error.Code != -32602 {
			t.Errorf("key %v: %+v", key, r)
		}
	}
}

// A call that is closed before it is answered cancels what it started; one with an
// idempotency key will be made again, and goes on.
func TestClosingACall(t *testing.T) {
	e := start(t)
	c := at(t, e.replica(nil).Handler(nil)).with(func(c *caller) { c.capabilities = map[string]any{} })
	closed := func(key string) events.WorkflowState {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		who := c
		if key != "" {
			who = c.with(func(c *caller) { c.meta = map[string]any{"io.leat/idempotency-key": key} })
		}
		gone := make(chan error, 1)
		label := "closing-" + key
		go func() {
			_, err := who.post(ctx, "tools/call", map[string]any{"name": "slow_compute", "arguments": map[string]any{"seconds": 600, "label": label}})
			gone <- err
		}()
		var id events.UUID
		until(t, func() bool {
			page, err := e.client.List(t.Context(), client.ListRequest{Type: "slow_compute"})
			if err != nil {
				t.Fatal(err)
			}
			for i := range page.Items {
				if strings.Contains(string(page.Items[i].Chart.Input), `"`+label+`"`) {
					id = page.Items[i].InstanceID
				}
			}
			return !id.IsNil()
		})
		cancel()
		<-gone
		state := func() events.WorkflowState {
			s, err := e.client.Get(t.Context(), "slow_compute", events.Ref{ID: id}.String(), client.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			return s.State
		}
		if key == "" {
			until(t, func() bool { return state().Finished() })
		} else {
			for range 10 { // there is nothing to wait for: a cancellation would come at once
				<-time.After(50 * time.Millisecond)
			}
		}
		return state()
	}
	if got := closed(""); got != events.WorkflowCancelled {
		t.Errorf("closed: %s", got)
	}
	if got := closed("k"); got != events.WorkflowRunning {
		t.Errorf("closed with a key: %s", got)
	}
}

// How a workflow ends is how its task ends; a client without tasks waits for it.
func TestEnds(t *testing.T) {
	e := start(t)
	c := at(t, e.replica(nil).Handler(nil))
	if a := c.until(c.call("failing_job", nil).TaskID, "completed"); !a.Result.IsError || !strings.HasPrefix(a.Result.text(), "JOB_FAILED: ") || a.Error != nil {
		t.Errorf("failed: %+v", a)
	}
	if a := c.until(c.call("protocol_error_job", nil).TaskID, "failed"); a.Error == nil || a.Error.Code != -32603 || a.Result != nil {
		t.Errorf("timeout: %+v", a)
	}
	slow := c.call("slow_compute", map[string]any{"seconds": 600}).TaskID
	if a := c.result("tasks/cancel", map[string]any{"taskId": slow}); a.ResultType != "complete" || a.TaskID != "" {
		t.Errorf("acknowledged: %+v", a)
	}
	c.until(slow, "cancelled")
	ended := c.call("slow_compute", map[string]any{"seconds": 600}).TaskID
	workflowType, id, _ := strings.Cut(ended, "/")
	uuid, err := events.ParseUUID(id)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.client.Do(t.Context(), client.LifeRequest{Type: workflowType, InstanceID: uuid, Command: events.CommandTerminate}); err != nil {
		t.Fatal(err)
	}
	if a := c.until(ended, "failed"); a.Error == nil || !strings.HasPrefix(a.Error.Message, "TERMINATED") {
		t.Errorf("terminated: %+v", a)
	}
	plain := c.with(func(c *caller) { c.capabilities = map[string]any{} })
	if a := plain.call("slow_compute", map[string]any{"seconds": 1}); a.ResultType != "complete" || string(a.Structured) != `{"computed":"","seconds":1}` {
		t.Errorf("without tasks: %+v %s", a, a.Structured)
	}
	if r := plain.ask("tools/call", map[string]any{"name": "failing_job"}); r.Error == nil || r.Error.Code != -32021 || !strings.Contains(string(r.Error.Data), "io.modelcontextprotocol/tasks") {
		t.Errorf("must, without tasks: %+v", r)
	}
}
