//go:build unix

package endtoend

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	mcpservers "github.com/leat-io/leat/test/mcp/servers"
)

// allow lets an executor call servers at URLs of this machine.
func allow(t *testing.T, urls ...string) []string {
	t.Helper()
	var hosts []string
	for _, text := range urls {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		hosts = append(hosts, "http://"+u.Host)
	}
	return []string{"--mcp-allow", strings.Join(hosts, ","), "--mcp-allow-private"}
}

func command(name string, p mcpservers.Program) []string {
	flags := []string{"--mcp-command", name + "=" + strings.Join(p.Command, " ")}
	for _, variable := range p.Env {
		flags = append(flags, "--mcp-env", name+"="+variable)
	}
	return flags
}

// Servers behind commands and at URLs, of both generations, in Node, Python and Go: they
// are registered, approved and called with the command line.
func TestCalls(t *testing.T) {
	each(t, func(t *testing.T) ([]string, func(*engine)) {
		t.Helper()
		everything := mcpservers.EverythingHTTP(t)
		root, facts := t.TempDir(), filepath.Join(t.TempDir(), "facts.jsonl")
		if err := os.WriteFile(filepath.Join(root, "a.txt"), []byte("päron"), 0o600); err != nil {
			t.Fatal(err)
		}
		flags := append(allow(t, everything), command("files", mcpservers.Filesystem(t, root))...)
		flags = append(flags, command("memory", mcpservers.Memory(t, facts))...)
		flags = append(flags, command("time", mcpservers.Time(t))...)
		return append(flags, command("modern", mcpservers.EverythingGo(t))...), func(e *engine) {
			e.register(`
{id: everything, type: api, version: "1", http: "` + everything + `"}
---
{id: files, type: storage, version: "1", stdio: files}
---
{id: memory, type: storage, version: "1", stdio: memory}
---
{id: time, type: api, version: "1", stdio: time}
---
{id: modern, type: api, version: "1", stdio: modern}
`)
			if a := e.call("everything/get-sum", `{"a":2,"b":40}`); !strings.Contains(a.text(), "42") || a.Subsystem != "everything" || len(a.Sent) != 64 || len(a.Received) != 64 {
				e.t.Errorf("got %+v", a)
			}
			if a := e.call("everything/get-structured-content", `{"location":"Chicago"}`); !strings.Contains(string(a.Structured), "temperature") {
				e.t.Errorf("got %+v", a)
			}
			if a := e.call("/read_text_file", fmt.Sprintf(`{"path":%q}`, filepath.Join(root, "a.txt"))); a.text() != "päron" || a.Subsystem != "files" {
				e.t.Errorf("got %+v", a)
			}
			e.call("memory/create_entities", `{"entities":[{"name":"Ann","entityType":"person","observations":["likes pears"]}]}`)
			if text, _ := os.ReadFile(facts); strings.Count(string(text), "likes pears") != 1 {
				e.t.Errorf("the facts are %q", text)
			}
			if a := e.call("time/convert_time", `{"source_timezone":"UTC","time":"12:00","target_timezone":"Asia/Kathmandu"}`); !strings.Contains(a.text(), "17:45") {
				e.t.Errorf("got %+v", a)
			}
			if a := e.call("modern/test_simple_text", `{}`); a.text() == "" {
				e.t.Errorf("got %+v", a)
			}
			for tool, want := range map[string]string{
				"everything/get-sum":             "MCP_INVALID_ARGUMENTS", // before anything is sent
				"everything/absent":              "MCP_UNKNOWN_TOOL",
				"modern/test_error_handling":     "MCP_TOOL_ERROR",
				"files/read_text_file":           "MCP_INVALID_ARGUMENTS",
				"modern/test_missing_capability": "MCP_",
			} {
				if out, err := e.leat("", "mcp", "call", tool, "--args", `{}`); err == nil || !strings.Contains(err.Error(), want) {
					e.t.Errorf("%s: got %s, %v, want %s", tool, out, err, want)
				}
			}
		}
	})
}

// A tool asks; what runs the calls is killed while it waits; a person answers with
// `leat task`, and the call goes on with what the server gave to keep.
func TestAQuestionOutlivesTheExecutor(t *testing.T) {
	each(t, func(t *testing.T) ([]string, func(*engine)) {
		t.Helper()
		modern := mcpservers.EverythingGoHTTP(t, false)
		return allow(t, modern), func(e *engine) {
			e.register(`{id: modern, type: api, version: "1", http: "` + modern + `"}`)
			const tool = "modern/test_input_required_result_request_state"
			e.ok(nil, "mcp", "call", tool, "--args", `{}`, "--key", "ask", "--no-wait")
			question := e.question("")
			e.kill()
			e.launch()
			e.until("the answer is not taken", func() error { // the router may still be on its way
				_, err := e.leat("", "task", "complete", "mcp-call", "ask", question, "--result", `{"ok":true}`, "--as", "ann")
				return err
			})
			var a answer
			e.ok(&a, "mcp", "call", tool, "--args", `{}`, "--key", "ask") // the same call
			if !strings.Contains(a.text(), "state-ok") {
				e.t.Errorf("got %+v", a)
			}
		}
	})
}

// question waits until the call with key ask asks, and is the id of what it asks.
func (e *engine) question(not string) (id string) {
	e.t.Helper()
	e.until("nobody is asked", func() error {
		out, err := e.leat("", "task", "list", "--type", "mcp-call", "--state", "waiting_for_input", "-o", "json")
		if err != nil {
			return err
		}
		var page struct{ Items []map[string]any }
		var list []map[string]any
		if json.Unmarshal([]byte(out), &list) != nil {
			_ = json.Unmarshal([]byte(out), &page) // none then
			list = page.Items
		}
		for _, item := range list {
			if invocation, _ := item["invocation"].(string); invocation != "call" && invocation != not {
				id = invocation
				return nil
			}
		}
		return fmt.Errorf("there is %s", out)
	})
	return id
}

// A call has become a task at the server; what runs the calls is killed, and another one
// asks the server for the result. The tool has run once.
func TestATaskOutlivesTheExecutor(t *testing.T) {
	each(t, func(t *testing.T) ([]string, func(*engine)) {
		t.Helper()
		tasks := mcpservers.TasksHTTP(t)
		return allow(t, tasks), func(e *engine) {
			e.register(`{id: tasks, type: api, version: "1", http: "` + tasks + `"}`)
			e.ok(nil, "mcp", "call", "tasks/count", "--args", `{"to":7,"seconds":6}`, "--key", "count", "--no-wait")
			e.until("nobody counts", func() error {
				out, err := e.leat("", "history", "mcp-call", "count", "-o", "json")
				if err != nil || !strings.Contains(out, `"put_down": true`) {
					return fmt.Errorf("%w: %s", err, out)
				}
				return nil
			})
			e.kill()
			e.launch()
			var a answer
			e.ok(&a, "mcp", "call", "tasks/count", "--args", `{"to":7,"seconds":6}`, "--key", "count")
			if a.text() != "7" {
				e.t.Errorf("got %+v", a)
			}
			if a := e.call("tasks/counted", `{}`); a.text() != "1" {
				e.t.Errorf("it has counted %s times", a.text())
			}
		}
	})
}
