//go:build unix

package endtoend

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	mcpservers "github.com/leat-io/leat/test/mcp/servers"
)

// examples/agent: two servers, three tools, and a person between.
func TestTheExample(t *testing.T) {
	const example = "../../../examples/agent/"
	each(t, func(t *testing.T) ([]string, func(*engine)) {
		t.Helper()
		root, err := filepath.EvalSymlinks(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		return append(command("files", mcpservers.Filesystem(t, root)), command("time", mcpservers.Time(t))...), func(e *engine) {
			note, log := filepath.Join(root, "note.txt"), filepath.Join(root, "log.txt")
			for path, text := range map[string]string{note: "pears are ripe", log: "-- end --\n"} {
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					e.t.Fatal(err)
				}
			}
			servers, err := os.ReadFile(example + "servers.yml")
			if err != nil {
				e.t.Fatal(err)
			}
			e.register(string(servers))
			e.ok(nil, "def", "deploy", example+"agent.yaml")
			input, _ := json.Marshal(map[string]string{"note": note, "log": log})
			e.ok(nil, "start", "publish_note", "--key", "n1", "--input", string(input))
			e.until("nobody is asked", func() error {
				_, err := e.leat("", "task", "complete", "publish_note", "n1", "approve", "--result", `{"ok":true}`, "--as", "ann")
				return err
			})
			e.until("it is not published", func() error {
				out, err := e.leat("", "get", "publish_note", "n1", "-o", "json")
				if err == nil && !strings.Contains(out, `"completed"`) {
					err = fmt.Errorf("%s", out)
				}
				return err
			})
			if text, _ := os.ReadFile(log); string(text) != "pears are ripe\n-- end --\n" {
				e.t.Errorf("the log is %q", text)
			}
		}
	})
}
