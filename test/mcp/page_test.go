//go:build unix

package mcp_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const (
	page    = "../../docs/how-to/serve-to-agents.md"
	example = "../../docs/how-to/examples/refund.yaml"
)

// What the page runs is a shell block behind this comment.
var ran = regexp.MustCompile("(?s)<!-- run with leat dev -->\n```sh\n(.*?)```")

// The commands of the page lead where it says.
func TestThePageRuns(t *testing.T) {
	for _, tool := range []string{"bash", "curl", "sha256sum"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(tool + " is not installed")
		}
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	blocks := ran.FindAllSubmatch(text, -1)
	if len(blocks) != 3 {
		t.Fatalf("%s has %d blocks to run: the test has lost its subject", page, len(blocks))
	}
	e := start(t)
	dir := t.TempDir()
	definition, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "refund.yaml"), definition, 0o600); err != nil {
		t.Fatal(err)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := free.Addr().String()
	_ = free.Close()
	lines := []byte("set -euo pipefail\ntrap 'kill $(jobs -p)' EXIT\n")
	for _, block := range blocks {
		lines = append(lines, block[1]...)
	}
	script := strings.ReplaceAll(string(lines), "127.0.0.1:8475", port)
	cmd := exec.CommandContext(t.Context(), "bash", "-c", script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "KAFKA_BROKERS="+e.broker, "PATH="+filepath.Dir(built(t))+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	asked, err := os.ReadFile(filepath.Join(dir, "asked.json"))
	if err != nil || !strings.Contains(string(asked), `"resultType":"task"`) {
		t.Errorf("the second call: %s, %v", asked, err)
	}
	for _, want := range []string{"refunded o-7", `"status":"completed"`, "refunded o-8"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("it does not print %s:\n%s", want, out)
		}
	}
}
