package mcp_test

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	mcpservers "github.com/leat-io/leat/test/mcp/servers"
)

// A client that nobody here wrote, fastmcp-tasks, calls workflows as tools: one that
// answers at once, one that becomes a task, and one that asks.
func TestAClientOfTasks(t *testing.T) {
	client := mcpservers.TasksClient(t)
	e := start(t)
	callers, _ := replicas(t, built(t), e.broker, 1)
	for _, c := range []struct{ tool, arguments, want string }{
		{"greet", `{"name":"Ann"}`, "Hello, Ann!"},
		{"slow_compute", `{"seconds":1}`, `"seconds":1`},
		{"confirm_delete", `{"filename":"a.txt"}`, "deleted a.txt"},
		{"failing_job", `{}`, ""},
	} {
		command := append(append([]string{}, client...), callers[0].url, c.tool, c.arguments)
		out, err := exec.CommandContext(t.Context(), command[0], command[1:]...).Output()
		if err != nil {
			t.Errorf("%s: %v: %s", c.tool, err, out)
			continue
		}
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		var result struct {
			Text    []string
			IsError bool
		}
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &result); err != nil {
			t.Errorf("%s: %v: %s", c.tool, err, out)
		}
		if text := strings.Join(result.Text, " "); !strings.Contains(text, c.want) || result.IsError != (c.tool == "failing_job") {
			t.Errorf("%s: got %+v, want %s", c.tool, result, c.want)
		}
		if asked := len(lines) > 1; asked != (c.tool == "confirm_delete") {
			t.Errorf("%s: got %s", c.tool, out)
		}
	}
}
