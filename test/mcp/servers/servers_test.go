package mcpservers_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leat-io/leat/internal/mcp/wire"
	mcpservers "github.com/leat-io/leat/test/mcp/servers"
)

// opened is a connection to a server that is at a URL or a program.
func opened(t *testing.T, url string, p mcpservers.Program) *conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := wire.Open(ctx, wire.Target{ID: "real", URL: url, Command: p.Command, Env: p.Env},
		wire.Options{Transport: http.DefaultTransport, Elicitation: true, Tasks: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = c.Close(ctx)
	})
	listing, err := c.Tools(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range listing.Refused {
		t.Errorf("it lists a tool that is refused: %+v", r)
	}
	tools := make(map[string]*wire.Tool)
	for _, tool := range listing.Tools {
		tools[tool.Name] = tool
	}
	return &conn{t: t, Conn: c, tools: tools}
}

type conn struct {
	t *testing.T
	*wire.Conn
	tools map[string]*wire.Tool
}

func (c *conn) request(tool, arguments string) *wire.Call {
	c.t.Helper()
	if c.tools[tool] == nil {
		c.t.Fatalf("there is no tool %s", tool)
	}
	return &wire.Call{Tool: c.tools[tool], Arguments: json.RawMessage(arguments), Limits: wire.Limits{Call: time.Minute}}
}

// call is the result of a call that has to come to one, checked against the schema
// that the server gave.
func (c *conn) call(tool, arguments string) *wire.Result {
	c.t.Helper()
	answer, err := c.Call(c.t.Context(), c.request(tool, arguments))
	if err != nil {
		c.t.Fatalf("%s: %v", tool, err)
	}
	r, ok := answer.(*wire.Result)
	if !ok {
		c.t.Fatalf("%s: got %T", tool, answer)
	}
	if _, output, err := c.tools[tool].Schemas(); err != nil {
		c.t.Errorf("%s: %v", tool, err)
	} else if output != nil && !r.IsError {
		if err := output.Check(r.Structured); err != nil {
			c.t.Errorf("%s: %v", tool, err)
		}
	}
	return r
}

func text(r *wire.Result) string {
	var blocks []struct{ Text string }
	_ = json.Unmarshal(r.Content, &blocks) // no text then
	texts := make([]string, 0, len(blocks))
	for _, b := range blocks {
		texts = append(texts, b.Text)
	}
	return strings.Join(texts, "\n")
}

func (c *conn) says(tool, arguments, want string) {
	c.t.Helper()
	if got := text(c.call(tool, arguments)); !strings.Contains(got, want) {
		c.t.Errorf("%s says %q, without %q", tool, got, want)
	}
}

func (c *conn) era(want wire.Era) {
	c.t.Helper()
	s, err := c.Server(c.t.Context())
	if err != nil || s.Era != want {
		c.t.Errorf("got %+v, %v, want %v", s, err, want)
	}
}

func everything(t *testing.T, how string) *conn {
	t.Helper()
	if how == "stdio" {
		return opened(t, "", mcpservers.Everything(t))
	}
	return opened(t, mcpservers.EverythingHTTP(t), mcpservers.Program{})
}

func everythingGo(t *testing.T, how string) *conn {
	t.Helper()
	if how == "stdio" {
		return opened(t, "", mcpservers.EverythingGo(t))
	}
	return opened(t, mcpservers.EverythingGoHTTP(t, how == "sessions"), mcpservers.Program{})
}

// The everything server, by both of its transports: structured output, progress that is
// counted, and arguments that it refuses.
func TestEverything(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"stdio", "http"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			c := everything(t, how)
			c.era(wire.EraLegacy)
			c.says("echo", `{"message":"päron 🍐"}`, "päron 🍐")
			c.says("get-sum", `{"a":2,"b":40}`, "42")
			if r := c.call("get-structured-content", `{"location":"Chicago"}`); r.Structured == nil {
				t.Error("there is no structured content")
			}
			var done []float64
			slow := c.request("trigger-long-running-operation", `{"duration":0.4,"steps":4}`)
			slow.Progress = func(p wire.Progress) { done = append(done, p.Done/p.Total) }
			if _, err := c.Call(t.Context(), slow); err != nil || len(done) < 3 || done[len(done)-1] != 1 {
				t.Errorf("got progress %v, %v", done, err)
			}
			if r := c.call("get-sum", `{"a":"two","b":3}`); !r.IsError || !strings.Contains(text(r), "-32602") {
				t.Errorf("got %s", r.Raw)
			}
		})
	}
}

// A call whose progress stops is ended by the idle time; one with progress is not, and
// is ended by the total time.
func TestEverythingTakesTooLong(t *testing.T) {
	t.Parallel()
	c := opened(t, "", mcpservers.Everything(t))
	for _, tc := range []struct {
		arguments string
		limits    wire.Limits
		want      string
	}{
		{`{"duration":60,"steps":1}`, wire.Limits{Idle: 300 * time.Millisecond, Call: time.Minute}, "limits.idle"},
		{`{"duration":60,"steps":600}`, wire.Limits{Idle: 10 * time.Second, Call: 600 * time.Millisecond}, "limits.call"},
	} {
		call := c.request("trigger-long-running-operation", tc.arguments)
		call.Limits, call.Progress = tc.limits, func(wire.Progress) {}
		_, err := c.Call(t.Context(), call)
		f, ok := err.(*wire.Failure) //nolint:errorlint // it says so
		if !ok || f.Code != wire.CodeTimeout || f.Evidence != wire.Unknown || !strings.Contains(f.Message, tc.want) {
			t.Errorf("got %v, want %s", err, tc.want)
		}
	}
	c.says("echo", `{"message":"on"}`, "on") // the connection lives
}

// The everything server asks while the call runs; the answer goes into the running call.
func TestEverythingAsks(t *testing.T) {
	t.Parallel()
	c := opened(t, "", mcpservers.Everything(t))
	call := c.request("trigger-elicitation-request", `{}`)
	answer, err := c.Call(t.Context(), call)
	asked, ok := answer.(*wire.Questions)
	if err != nil || !ok || len(asked.Asked) != 1 || asked.Held == "" {
		t.Fatalf("got %+v, %v", answer, err)
	}
	for id, q := range asked.Asked {
		if q.Mode != "form" || len(q.Schema) == 0 {
			t.Errorf("got %+v", q)
		}
		answer, err = c.Continue(t.Context(), asked.Held, map[string]wire.Reply{id: {Action: "accept", Content: json.RawMessage(`{"name":"Ann"}`)}}, call)
	}
	if r, ok := answer.(*wire.Result); err != nil || !ok || !strings.Contains(text(r), "Ann") {
		t.Errorf("got %+v, %v", answer, err)
	}
}

// server-filesystem edits a file, once a call, and says no to a path that it was not
// given.
func TestFilesystem(t *testing.T) {
	t.Parallel()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(root, "list.txt")
	if err := os.WriteFile(file, []byte("begin\nend\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := opened(t, "", mcpservers.Filesystem(t, root))
	c.call("edit_file", `{"path":"`+file+`","edits":[{"oldText":"end\n","newText":"one\nend\n"}]}`)
	if got, _ := os.ReadFile(file); string(got) != "begin\none\nend\n" {
		t.Errorf("the file is %q", got)
	}
	c.says("read_text_file", `{"path":"`+file+`"}`, "one")
	if r := c.call("read_text_file", `{"path":"/etc/passwd"}`); !r.IsError {
		t.Errorf("got %s", r.Raw)
	}
}

func TestMemory(t *testing.T) {
	t.Parallel()
	c := opened(t, "", mcpservers.Memory(t, filepath.Join(t.TempDir(), "facts.jsonl")))
	c.call("create_entities", `{"entities":[{"name":"Ann","entityType":"person","observations":["likes pears"]}]}`)
	if r := c.call("read_graph", `{}`); !strings.Contains(string(r.Structured), "likes pears") {
		t.Errorf("got %s", r.Raw)
	}
}

func TestTime(t *testing.T) {
	t.Parallel()
	c := opened(t, "", mcpservers.Time(t))
	c.says("convert_time", `{"source_timezone":"UTC","time":"12:00","target_timezone":"Asia/Kathmandu"}`, "17:45")
	if r := c.call("convert_time", `{"source_timezone":"Nowhere","time":"12:00","target_timezone":"UTC"}`); !r.IsError {
		t.Errorf("got %s", r.Raw)
	}
}

func TestGit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "git", "init", "-q", dir).CombinedOutput(); err != nil {
		t.Skipf("git: %v: %s", err, out)
	}
	if err := os.WriteFile(filepath.Join(dir, "new.txt"), []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := opened(t, "", mcpservers.Git(t, dir))
	c.says("git_status", `{"repo_path":"`+dir+`"}`, "new.txt")
}

// The Go SDK's server, of the newest revision over HTTP and its standard streams, and
// with sessions.
func TestEverythingGo(t *testing.T) {
	t.Parallel()
	for how, era := range map[string]wire.Era{"stdio": wire.EraModern, "http": wire.EraModern, "sessions": wire.EraLegacy} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			c := everythingGo(t, how)
			c.era(era)
			c.says("test_simple_text", `{}`, "simple text")
			if r := c.call("test_error_handling", `{}`); !r.IsError {
				t.Errorf("got %s", r.Raw)
			}
			var mu sync.Mutex
			var steps int
			call := c.request("test_tool_with_progress", `{}`)
			call.Progress = func(wire.Progress) { mu.Lock(); defer mu.Unlock(); steps++ }
			if _, err := c.Call(t.Context(), call); err != nil || steps < 2 {
				t.Errorf("%d steps, %v", steps, err)
			}
		})
	}
}

// A call whose server gives it back to be continued, from a new connection: the state
// is all that is needed.
func TestEverythingGoAsks(t *testing.T) {
	t.Parallel()
	url := mcpservers.EverythingGoHTTP(t, false)
	first := opened(t, url, mcpservers.Program{})
	call := first.request("test_input_required_result_request_state", `{}`)
	answer, err := first.Call(t.Context(), call)
	asked, ok := answer.(*wire.Questions)
	if err != nil || !ok || asked.Held != "" || asked.State == nil {
		t.Fatalf("got %+v, %v", answer, err)
	}
	second := opened(t, url, mcpservers.Program{})
	call = second.request("test_input_required_result_request_state", `{}`)
	call.State, call.Replies = asked.State, map[string]wire.Reply{}
	for id := range asked.Asked {
		call.Replies[id] = wire.Reply{Action: "accept", Content: json.RawMessage(`{"ok":true}`)}
	}
	answer, err = second.Call(t.Context(), call)
	if r, ok := answer.(*wire.Result); err != nil || !ok || r.IsError {
		t.Errorf("got %+v, %v", answer, err)
	}
}

// A task of fastmcp-tasks: it is asked for by its id, from a new connection, fails as
// the tool fails, asks, and is cancelled.
func TestTasks(t *testing.T) {
	t.Parallel()
	url := mcpservers.TasksHTTP(t)
	c := opened(t, url, mcpservers.Program{})
	begin := func(tool, arguments string) string {
		t.Helper()
		answer, err := c.Call(t.Context(), c.request(tool, arguments))
		task, ok := answer.(*wire.Task)
		if err != nil || !ok || task.ID == "" {
			t.Fatalf("%s: got %+v, %v", tool, answer, err)
		}
		return task.ID
	}
	other := opened(t, url, mcpservers.Program{})
	if task := other.until(begin("count", `{"to":7,"seconds":0.2}`), (*wire.Task).Over); task.Status != wire.TaskCompleted || text(task.Result) != "7" {
		t.Errorf("got %+v", task)
	}
	if task := other.until(begin("fail", `{"why":"no pears"}`), (*wire.Task).Over); task.Status != wire.TaskCompleted || !task.Result.IsError || !strings.Contains(text(task.Result), "no pears") {
		t.Errorf("got %+v", task)
	}
	id := begin("confirm", `{"what":"jump"}`)
	task := other.until(id, func(task *wire.Task) bool { return task.Status == wire.TaskInput })
	for question := range task.Asked {
		if err := other.UpdateTask(t.Context(), id, map[string]wire.Reply{question: {Action: "accept", Content: json.RawMessage(`{"yes":true}`)}}); err != nil {
			t.Error(err)
		}
	}
	if task := other.until(id, (*wire.Task).Over); task.Result == nil || !strings.Contains(text(task.Result), "jump: accept") {
		t.Errorf("got %+v", task)
	}
	id = begin("count", `{"to":1,"seconds":600}`)
	if err := other.CancelTask(t.Context(), id); err != nil {
		t.Error(err)
	}
	if task := other.until(id, (*wire.Task).Over); task.Status != wire.TaskCancelled {
		t.Errorf("got %+v", task)
	}
}

// until polls a task as often as its server wants it.
func (c *conn) until(id string, enough func(*wire.Task) bool) *wire.Task {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	defer cancel()
	for {
		task, err := c.Task(ctx, id)
		if err != nil {
			c.t.Fatal(err)
		}
		if enough(task) {
			return task
		}
		if task.Over() {
			c.t.Fatalf("got %+v", task)
		}
		select {
		case <-time.After(max(task.Poll, 20*time.Millisecond)):
		case <-ctx.Done():
			c.t.Fatalf("it stays %s", task.Status)
		}
	}
}

// What is built is what go.mod names.
func TestVersionOfTheSDK(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if want := mcpservers.SDK(); !strings.Contains(string(text), want) {
		t.Errorf("go.mod does not have %s", want)
	}
}
