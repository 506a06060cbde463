//go:build unix

package workers

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const page = root + "/docs/how-to/workers-in-other-languages.md"

// What the page runs is a shell block behind this comment.
var ran = regexp.MustCompile("(?s)<!-- run with leat dev -->\n```sh\n(.*?)```")

// The commands of the page lead where it says.
func TestThePageRuns(t *testing.T) {
	for _, tool := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(tool + " is not installed")
		}
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	blocks := ran.FindAllSubmatch(text, -1)
	if len(blocks) != 2 {
		t.Fatalf("%s has %d blocks to run: the test has lost its subject", page, len(blocks))
	}
	e := dev(t)
	var lines strings.Builder
	lines.WriteString("set -euo pipefail\n")
	for _, block := range blocks {
		lines.Write(block[1])
	}
	script := lines.String()
	for shown, url := range map[string]string{"8470": e.api, "8474": e.gateway} {
		script = strings.ReplaceAll(script, shown, url[strings.LastIndex(url, ":")+1:])
	}
	dir := t.TempDir()
	definition, err := os.ReadFile(filepath.Join(root, "examples/python/wordcount.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "wordcount.yaml"), definition, 0o600); err != nil {
		t.Fatal(err)
	}
	env := append(e.env(), "PATH="+filepath.Dir(bin(t, "leat"))+":"+os.Getenv("PATH"))
	out := run(t, env, "bash", "-c", "cd "+dir+"\n"+script)
	last := out[strings.LastIndex(out, "\n")+1:]
	var instance struct {
		State  string
		Output struct{ Words int }
	}
	if err := json.Unmarshal([]byte(last), &instance); err != nil || instance.State != "completed" || instance.Output.Words != 3 {
		t.Errorf("%v\n%s", err, out)
	}
}
