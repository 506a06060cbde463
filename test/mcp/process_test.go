package mcp_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/leat-io/leat/pkg/client"
)

func startOf(workflowType, key string) client.StartRequest {
	return client.StartRequest{Type: workflowType, Key: key, Input: map[string]any{"name": "x"}}
}

// built is the program.
func built(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "leat")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, "../../cmd/leat").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

// replicas starts the program so many times, and gives a caller of each.
func replicas(t *testing.T, program, broker string, n int) (callers []*caller, kill func()) {
	t.Helper()
	var running []*exec.Cmd
	kill = func() {
		for _, cmd := range running {
			_ = cmd.Process.Kill() // SIGKILL
			_ = cmd.Wait()
		}
		running = nil
	}
	t.Cleanup(kill)
	for range n {
		cmd := exec.CommandContext(t.Context(), program, "--brokers", broker, "mcp", "serve", "--http", "127.0.0.1:0", "-o", "jsonl")
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		running = append(running, cmd)
		line, err := bufio.NewReader(out).ReadBytes('\n')
		if err != nil {
			t.Fatal(err)
		}
		var up struct{ URL string }
		if err := json.Unmarshal(line, &up); err != nil || up.URL == "" {
			t.Fatalf("%s: %v", line, err)
		}
		go func() { _, _ = io.Copy(io.Discard, out) }() // it ends with the program
		callers = append(callers, &caller{t: t, url: up.URL, capabilities: tasksClient()})
	}
	return callers, kill
}

// Every replica is killed in the middle of everything. New ones answer for the tasks
// of before: where they are, their questions, their cancellation, and their keys.
func TestTasksOutliveEveryReplica(t *testing.T) {
	e := start(t)
	program := built(t)
	before, kill := replicas(t, program, e.broker, 2)
	keyed := func(c *caller) { c.meta = map[string]any{"io.leat/idempotency-key": "once"} }
	slow := before[0].with(keyed).call("slow_compute", map[string]any{"seconds": 3}).TaskID
	endless := before[1].call("slow_compute", map[string]any{"seconds": 600}).TaskID
	asking := before[1].call("confirm_delete", map[string]any{"filename": "x"}).TaskID
	if got := before[0].until(asking, "input_required").Status; got == "" {
		t.Fatal("the other replica does not know it")
	}
	kill()
	after, _ := replicas(t, program, e.broker, 2)
	if again := after[1].with(keyed).call("slow_compute", map[string]any{"seconds": 3}); again.TaskID != slow && again.text() == "" {
		t.Errorf("the key is another task: %+v, not %s", again, slow)
	}
	if a := after[0].until(slow, "completed"); a.Result.text() != `{"computed":"","seconds":3}` {
		t.Errorf("got %+v", a.Result)
	}
	after[1].result("tasks/cancel", map[string]any{"taskId": endless})
	after[0].until(endless, "cancelled")
	answers := map[string]any{}
	for id := range after[0].task(asking).InputRequests {
		answers[id] = map[string]any{"action": "accept", "content": map[string]any{"confirm": true}}
	}
	after[1].result("tasks/update", map[string]any{"taskId": asking, "inputResponses": answers})
	if a := after[0].until(asking, "completed"); a.Result.text() != "deleted x" {
		t.Errorf("got %+v", a.Result)
	}
	if page, err := e.client.List(t.Context(), client.ListRequest{Type: "slow_compute"}); err != nil || len(page.Items) != 2 {
		t.Errorf("%d instances of slow_compute, want 2: %v", len(page.Items), err)
	}
}

// A desktop client starts the program and speaks on its streams. One of 2025-11-25
// is asked in the middle of a call what a person has to say.
func TestStandardStreams(t *testing.T) {
	e := start(t)
	program := built(t)
	for _, version := range []string{"2025-11-25", "2026-07-28"} {
		t.Run(version, func(t *testing.T) {
			c := mcp.NewClient(&mcp.Implementation{Name: "desktop", Version: "1"}, &mcp.ClientOptions{
				ElicitationHandler: func(context.Context, *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
					return &mcp.ElicitResult{Action: "accept", Content: map[string]any{"confirm": true}}, nil
				},
			})
			cmd := exec.CommandContext(t.Context(), program, "--brokers", e.broker, "mcp", "serve", "--stdio")
			cmd.Stderr = os.Stderr
			session, err := c.Connect(t.Context(), &mcp.CommandTransport{Command: cmd}, &mcp.ClientSessionOptions{ProtocolVersion: version})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = session.Close() }()
			if got := session.InitializeResult().ProtocolVersion; got != version {
				t.Errorf("they speak %s", got)
			}
			said := func(tool string, arguments map[string]any) string {
				r, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: arguments})
				if err != nil {
					t.Fatal(err)
				}
				text, _ := r.Content[0].(*mcp.TextContent)
				return text.Text
			}
			if got := said("greet", map[string]any{"name": "Bo"}); got != "Hello, Bo!" {
				t.Errorf("got %q", got)
			}
			if got := said("confirm_delete", map[string]any{"filename": "y"}); got != "deleted y" {
				t.Errorf("got %q", got)
			}
		})
	}
}
