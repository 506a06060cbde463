// Package conformance holds our MCP client against the conformance suite of the
// protocol, which is a program for Node that nobody here wrote.
package conformance

import (
	"context"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	mcpservers "github.com/leat-io/leat/test/mcp/servers"
)

func tail(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-40):], "\n")
}

// summary is how the suite reports a scenario.
var summary = regexp.MustCompile(`(?m)^✓ (\S+): (\d+) passed, 0 failed`)

// Our client passes every scored scenario of both revisions that it speaks.
func TestClient(t *testing.T) {
	nodePath, suitePath := mcpservers.Suite(t)
	client := filepath.Join(t.TempDir(), "client")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", client, "../client").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for revision, least := range map[string]int{"2026-07-28": 32, "2025-11-25": 18} {
		t.Run(revision, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()
			run := exec.CommandContext(ctx, nodePath, suitePath, "client", "--command", client, "--requirements", revision, "--timeout", "60000")
			run.Dir = t.TempDir()
			out, err := run.CombinedOutput()
			if err != nil {
				t.Errorf("%v: %s", err, tail(string(out)))
			}
			if passed := len(summary.FindAllString(string(out), -1)); passed < least {
				t.Errorf("%d scenarios passed, want %d: %s", passed, least, tail(string(out)))
			}
		})
	}
}
