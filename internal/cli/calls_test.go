package cli

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/leat-io/leat/internal/problem"
)

// The calls that definitions make by themselves are made by `leat dev`, within
// what it allows, and those that it cannot make end at once with the reason.
func TestDevMakesCalls(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		if string(body) != `{"order":"o-1"}` || r.Header.Get("Idempotency-Key") == "" || r.Header.Get("X-Kind") != "test" {
			w.WriteHeader(http.StatusBadRequest)
		}
		_, _ = io.WriteString(w, `{"id": "c-7"}`)
	}))
	defer server.Close()
	p := startDev(t, t.TempDir(), "--http-allow", server.URL)
	if got := strings.Join(p.ready.Queues, " "); got != "http mcp" {
		t.Errorf("queues %s", got)
	}
	p.must(t, "def", "deploy", "testdata/calls.yaml")
	out := p.must(t, "start", "calls", "--key", "o-1", "--input", `{"how": "http", "base": "`+server.URL+`"}`, "--wait-for", "finished")
	if !strings.Contains(out, `{"id":"c-7","status":200}`) {
		t.Errorf("the call: %s", out)
	}
	for key, want := range map[string]string{
		`{"how": "http", "base": "https://example.org"}`:         "HTTP_HOST_NOT_ALLOWED",
		`{"how": "http", "base": "http://169.254.169.254"}`:      "--http-allow 'http://169.254.169.254'",
		`{"how": "http", "base": "` + server.URL + `/\nX-A: b"}`: "HTTP_BAD_REQUEST",
		`{"how": "mcp", "base": ""}`:                             "MCP_UNKNOWN_TOOL",
	} {
		code, out, errs := p.leat(t, "start", "calls", "--key", key, "--input", key, "--wait-for", "finished")
		if code != problem.ExitWorkflow || !strings.Contains(errs, want) {
			t.Errorf("%s: exit %d\n%s%s", key, code, out, errs)
		}
	}
}

// A deploy says which queues nobody serves, and only those.
func TestDeploySaysWhoIsMissing(t *testing.T) {
	p := startDev(t, t.TempDir(), "--exec", "here.*=cat")
	file := filepath.Join(t.TempDir(), "two.yaml")
	source := "leat: v1\ntype: two\nversion: 1\nstates:\n" +
		"  a: {invoke: {task: here.x, onDone: b, onError: b}}\n" +
		"  b: {invoke: {task: away.x, onDone: c, onError: c}}\n" +
		"  c: {invoke: {http: {url: 'https://example.org'}, onDone: d, onError: d}}\n" +
		"  d: {invoke: {human: {assignee: ann}, onDone: e, onError: e}}\n" +
		"  e: {type: final}\n"
	if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, errs := p.leat(t, "def", "deploy", file)
	if code != 0 || strings.Count(errs, "note:") != 1 || !strings.Contains(errs, "queue away") {
		t.Errorf("exit %d\n%s", code, errs)
	}
}

func TestDevRefusesAHostThatIsNone(t *testing.T) {
	code, _, errs := leat(t, "", "dev", "--memory", "--http", "127.0.0.1:0", "--kafka", "127.0.0.1:0", "--http-allow", "https://a.b/path")
	if code != problem.ExitUsage || !strings.Contains(errs, `"https://a.b/path"`) || !strings.Contains(errs, "without a path") {
		t.Errorf("exit %d\n%s", code, errs)
	}
}
