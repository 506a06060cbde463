package mcp_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/leat-io/leat/internal/boot/listen"
	"github.com/leat-io/leat/internal/mcp/serve"
)

// bearers is a file of names and tokens.
func bearers(t *testing.T, of ...string) (b *serve.Bearers, write func(of ...string)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tokens")
	write = func(of ...string) {
		text := []byte("# who may call\n\n")
		for i := 0; i < len(of); i += 2 {
			text = fmt.Appendf(text, "%s %x\n", of[i], sha256.Sum256([]byte(of[i+1])))
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(of...)
	b, err := serve.ReadBearers(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return b, write
}

// What one bearer started is not there for another: neither its state nor its
// history, and no answer and no cancellation reaches it. Two tokens of one name see
// the same.
func TestTasksAreBoundToTheirBearer(t *testing.T) {
	e := start(t)
	b, _ := bearers(t, "ann", "token-a", "ann", "token-b", "bob", "token-c")
	open := at(t, e.replica(nil).Handler(b))
	as := func(token string) *caller { return open.with(func(c *caller) { c.bearer = token }) }
	task := as("token-a").call("confirm_delete", map[string]any{"filename": "x"}).TaskID
	a := as("token-b").until(task, "input_required")
	answers := map[string]any{}
	for id := range a.InputRequests {
		answers[id] = map[string]any{"action": "accept", "content": map[string]any{"confirm": true}}
	}
	absent := "confirm_delete/00000000-0000-4000-8000-000000000000"
	for method, params := range map[string]map[string]any{
		"tasks/get": {}, "tasks/cancel": {}, "tasks/update": {"inputResponses": answers},
	} {
		var said []string
		for _, id := range []string{task, absent} {
			params["taskId"] = id
			r := as("token-c").ask(method, params)
			if r.Error == nil || r.Error.Code != -32602 {
				t.Fatalf("%s of another's task: %+v", method, r)
			}
			said = append(said, r.Error.Message)
		}
		if said[0] != said[1] {
			t.Errorf("%s tells another's task from none: %v", method, said)
		}
	}
	if r := as("token-c").ask("tools/call", map[string]any{"name": "confirm_delete", "requestState": task, "inputResponses": answers}); r.Error == nil {
		t.Error("another's call goes on")
	}
	uri := "leat://instances/" + task + "/history"
	if text := as("token-c").read(uri); strings.Contains(text, "events") {
		t.Errorf("another's history: %s", text)
	}
	if text := as("token-a").read(uri); !strings.Contains(text, `"events":[`) {
		t.Errorf("the history: %s", text)
	}
	if a := as("token-a").task(task); a.Status != "input_required" {
		t.Errorf("it is %s", a.Status)
	}
	// An instance that no tool started is nobody's.
	run, err := e.client.Start(t.Context(), startOf("greet", "by-hand"))
	if err != nil {
		t.Fatal(err)
	}
	if r := as("token-a").ask("tasks/get", map[string]any{"taskId": "greet/" + run.InstanceID().String()}); r.Error == nil || r.Error.Code != -32602 {
		t.Errorf("got %+v", r)
	}
}

// Without a token of the file nobody enters; a file that changes is read again.
func TestBearers(t *testing.T) {
	e := start(t)
	b, write := bearers(t, "ann", "token-a")
	c := at(t, e.replica(nil).Handler(b))
	status := func(token string) int {
		return c.with(func(c *caller) { c.bearer = token }).ask("tools/list", nil).Status
	}
	for _, token := range []string{"", "token-x", "ann", fmt.Sprintf("%x", sha256.Sum256([]byte("token-a")))} {
		if got := status(token); got != http.StatusUnauthorized {
			t.Errorf("token %q: status %d", token, got)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.url, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if got := resp.Header.Get("WWW-Authenticate"); !strings.HasPrefix(got, "Bearer") {
		t.Errorf("WWW-Authenticate is %q", got)
	}
	if got := status("token-a"); got != http.StatusOK {
		t.Fatalf("status %d", got)
	}
	write("bob", "token-b")
	until(t, func() bool { return status("token-b") == http.StatusOK })
	if got := status("token-a"); got != http.StatusUnauthorized {
		t.Errorf("a token that is gone: status %d", got)
	}
}

// A page of a stranger that lets its own name mean our address, or that asks from its
// own origin, reaches nothing.
func TestForeignHostsAndOrigins(t *testing.T) {
	e := start(t)
	l, err := listen.HTTP(t.Context(), "127.0.0.1:0", e.replica(nil).Handler(nil))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- l.Serve(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	c := &caller{t: t, url: l.URL(), capabilities: tasksClient()}
	own := strings.TrimPrefix(l.URL(), "http://")
	for _, h := range []struct {
		host, origin string
		want         int
	}{
		{"", "", 200},
		{own, "http://" + own, 200},
		{"evil.example", "", 421},
		{"evil.example", "http://evil.example", 421},
		{"", "http://evil.example", 403},
		{"", "null", 403},
	} {
		header := http.Header{}
		if h.host != "" {
			header.Set("Host", h.host)
		}
		if h.origin != "" {
			header.Set("Origin", h.origin)
		}
		if got := c.with(func(c *caller) { c.header = header }).ask("tools/list", nil).Status; got != h.want {
			t.Errorf("host %q, origin %q: status %d, want %d", h.host, h.origin, got, h.want)
		}
	}
}
