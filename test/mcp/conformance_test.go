package mcp_test

import (
	"context"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/leat-io/leat/internal/mcp/serve"
	"github.com/leat-io/leat/test/mcp/fixture"
	mcpservers "github.com/leat-io/leat/test/mcp/servers"
)

// fixtures is the URL of a server with the workflows and the fixtures of the suite.
func fixtures(t *testing.T) string {
	t.Helper()
	e := start(t)
	r := e.replica(func(c *serve.Config) { c.Options = fixture.Options })
	fixture.Add(r.Server)
	later := fixture.Tool(func(ctx context.Context, c *serve.Call) (serve.Outcome, error) {
		return r.offered.Call(ctx, "greet_later", c)
	})
	r.SetTools(append(r.offered.Tools(), later))
	s := httptest.NewServer(r.Handler(nil))
	t.Cleanup(s.Close)
	return s.URL
}

// What a stateless server cannot do: a request to the client in the middle of a call,
// which needs a session of 2025-11-25.
var needSession = []string{"tools-call-sampling", "tools-call-elicitation", "elicitation-sep1034-defaults", "elicitation-sep1330-enums"}

// The suite judges the layer and the workflows: everything that 2026-07-28 requires,
// all of the tasks, and of 2025-11-25 what needs no session.
func TestServerConforms(t *testing.T) {
	node, script := mcpservers.Suite(t)
	url := fixtures(t)
	for _, c := range []struct {
		revision string
		failing  []string
	}{{"2026-07-28", nil}, {"2025-11-25", needSession}} {
		t.Run(c.revision, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
			defer cancel()
			out, err := exec.CommandContext(ctx, node, script, "server", "--url", url, "--requirements", c.revision, "--timeout", "60000").CombinedOutput()
			if _, exited := err.(*exec.ExitError); err != nil && !exited { //nolint:errorlint // never wrapped
				t.Fatal(err)
			}
			judge(t, string(out), c.failing, c.revision == "2026-07-28")
		})
	}
}

// judge holds the lines "✓ NAME: N passed, N failed" of the suite against what is
// expected. A scenario of the tasks has to be there.
func judge(t *testing.T, out string, failing []string, tasks bool) {
	t.Helper()
	known, all, ofTasks := map[string]bool{}, 0, 0
	for _, f := range failing {
		known[f] = true
	}
	unscored := map[string]bool{}
	for line := range strings.Lines(out) {
		if name, reason, ok := strings.Cut(strings.TrimLeft(strings.TrimSpace(line), "✓✗ "), " ("); ok && (strings.HasPrefix(reason, "pending") || strings.HasPrefix(reason, "added-after-release")) {
			unscored[name] = true
		}
	}
	for line := range strings.Lines(out) {
		name, rest, ok := strings.Cut(strings.TrimSpace(line), ": ")
		mark, name, marked := strings.Cut(name, " ")
		if !ok || !marked || !strings.Contains(rest, "passed") || mark != "✓" && mark != "✗" {
			continue
		}
		all++
		if strings.HasPrefix(name, "tasks-") {
			ofTasks++
		}
		if good := mark == "✓"; good == known[name] && !unscored[name] {
			t.Errorf("%s: %s", strings.TrimSpace(line), map[bool]string{true: "it passes, and is expected to fail", false: "it fails"}[good])
		}
	}
	if all < 25 || tasks && ofTasks < 10 {
		t.Errorf("only %d scenarios ran, %d of them of tasks", all, ofTasks)
	}
	t.Logf("%d scenarios, %d of them of tasks", all, ofTasks)
	if t.Failed() {
		t.Log(out)
	}
}
