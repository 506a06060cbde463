package mcp_test

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"testing"

	mcpservers "github.com/leat-io/leat/test/mcp/servers"
)

// A client of tasks that others wrote gets the results, and its user is asked. It
// leaves the header Mcp-Name out.
func TestForeignClientOfTasks(t *testing.T) {
	command := mcpservers.TasksClient(t)
	s := httptest.NewServer(start(t).replica(nil).Handler(nil))
	t.Cleanup(s.Close)
	for _, c := range []struct {
		tool, arguments, text string
		failed, asked         bool
	}{
		{"greet", `{"name": "Ann"}`, "Hello, Ann!", false, false},
		{"slow_compute", `{"seconds": 1}`, `{"computed":"","seconds":1}`, false, false},
		{"greet_later", `{"name": "Ann"}`, "Hello, Ann!", false, false},
		{"failing_job", `{}`, "JOB_FAILED: the job failed, as it always does", true, false},
		{"confirm_delete", `{"filename": "x"}`, "deleted x", false, true},
	} {
		t.Run(c.tool, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			args := slices.Concat(command[1:], []string{s.URL, c.tool, c.arguments})
			out, err := exec.CommandContext(ctx, command[0], args...).Output()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			lines := strings.Split(strings.TrimSpace(string(out)), "\n")
			var got struct {
				Text    []string
				IsError bool
			}
			if err := json.Unmarshal([]byte(lines[len(lines)-1]), &got); err != nil || !slices.Equal(got.Text, []string{c.text}) || got.IsError != c.failed {
				t.Errorf("%v: %s", err, out)
			}
			if asked := strings.Contains(string(out), `{"asked": "Delete x?"}`); asked != c.asked {
				t.Errorf("asked: %t\n%s", asked, out)
			}
		})
	}
}
