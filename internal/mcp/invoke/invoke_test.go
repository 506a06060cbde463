package invoke

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/leat-io/leat/internal/executor"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/mcp/catalog"
	"github.com/leat-io/leat/internal/mcp/directory"
	"github.com/leat-io/leat/internal/mcp/fleet"
	"github.com/leat-io/leat/internal/mcp/wire"
	"github.com/leat-io/leat/pkg/events"
)

// tools of the server of these tests.
var tools = map[string]string{
	"echo":   `{"type":"object","properties":{"n":{"type":"integer"},"who":{"type":"string","default":"world"}},"required":["n"]}`,
	"breaks": `{"type":"object"}`, "busy": `{"type":"object"}`, "says no": `{"type":"object"}`, "lies": `{"type":"object"}`, "rejects": `{"type":"object"}`,
	"silent": `{"type":"object"}`, "asks": `{"type":"object"}`, "job": `{"type":"object"}`, "lost": `{"type":"object"}`, "big": `{"type":"object"}`,
}

// server is a modern MCP server.
type server struct {
	*httptest.Server

	mu    sync.Mutex
	calls []rpc
	down  bool // calls answer 500
}

type rpc struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params struct {
		Name      string                `json:"name"`
		Arguments json.RawMessage       `json:"arguments"`
		State     json.RawMessage       `json:"requestState"`
		Replies   map[string]wire.Reply `json:"inputResponses"`
		Task      string                `json:"taskId"`
		Meta      struct {
			Key string `json:"io.leat/idempotency-key"`
		} `json:"_meta"`
	} `json:"params"`
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := new(server)
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *server) seen(tool string) (all []rpc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.calls {
		if c.Params.Name == tool || c.Method == tool {
			all = append(all, c)
		}
	}
	return all
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var q rpc
	_ = json.Unmarshal(body, &q)
	s.mu.Lock()
	if q.Method != "server/discover" && q.Method != "tools/list" {
		s.calls = append(s.calls, q)
	}
	n, down := 0, s.down
	for _, c := range s.calls {
		if c.Method == q.Method {
			n++
		}
	}
	s.mu.Unlock()
	text := `{"resultType":"complete","content":[]}`
	switch q.Method {
	case "server/discover":
		text = `{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{},"extensions":{"io.modelcontextprotocol/tasks":{}}}}`
	case "tools/list":
		var list []string
		for name, schema := range tools {
			output := ""
			if name == "lies" {
				output = `,"outputSchema":{"type":"object","required":["ok"]}`
			}
			list = append(list, fmt.Sprintf(`{"name":%q,"inputSchema":%s%s}`, name, schema, output))
		}
		slices.Sort(list)
		text = `{"tools":[` + strings.Join(list, ",") + `]}`
	case "tools/call":
		if down {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		if text = s.call(w, r, &q); text == "" {
			return
		}
	case "tasks/get":
		text = []string{
			`{"taskId":"t-1","status":"working","createdAt":"2026-01-01T00:00:00Z","ttlMs":null,"pollIntervalMs":250}`,
			`{"taskId":"t-1","status":"input_required","createdAt":"2026-01-01T00:00:00Z","ttlMs":null,"inputRequests":{"really?":{"method":"elicitation/create","params":{"message":"delete?","requestedSchema":{"type":"object","properties":{"yes":{"type":"boolean","default":true}}}}}}}`,
			`{"taskId":"t-1","status":"input_required","createdAt":"2026-01-01T00:00:00Z","ttlMs":null,"inputRequests":{"really?":{"method":"elicitation/create","params":{"message":"delete?","requestedSchema":{"type":"object"}}}}}`,
			`{"taskId":"t-1","status":"completed","createdAt":"2026-01-01T00:00:00Z","ttlMs":null,"result":{"content":[],"structuredContent":{"n":9007199254740993}}}`,
		}[min(n-1, 3)]
		if q.Params.Task == "t-lost" {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"error":{"code":-32602,"message":"Task not found"}}`, q.ID)
			return
		}
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":%s}`, q.ID, text)
}

// call answers a call; "" when it did so itself.
func (s *server) call(w http.ResponseWriter, r *http.Request, q *rpc) string {
	switch q.Params.Name {
	case "echo":
		return `{"content":[],"structuredContent":` + string(q.Params.Arguments) + `}`
	case "says no":
		return `{"content":[{"type":"text","text":"disk full"}],"isError":true}`
	case "lies":
		return `{"content":[],"structuredContent":{"okay":1}}`
	case "big":
		return `{"content":[{"type":"text","text":"` + strings.Repeat("x", events.MaxPayloadLength) + `"}]}`
	case "job":
		return `{"resultType":"task","taskId":"t-1","status":"working","createdAt":"2026-01-01T00:00:00Z","ttlMs":null,"pollIntervalMs":250}`
	case "lost":
		return `{"resultType":"task","taskId":"t-lost","status":"working","createdAt":"2026-01-01T00:00:00Z","ttlMs":null}`
	case "asks":
		if q.Params.Replies == nil {
			return `{"resultType":"input_required","requestState":"st/42","inputRequests":{"name, please":{"method":"elicitation/create","params":` +
				`{"message":"who?","requestedSchema":{"type":"object","properties":{"name":{"type":"string","default":"Ada"}}}}}}}`
		}
		text, _ := json.Marshal(q.Params.Replies)
		return `{"content":[],"structuredContent":` + string(text) + `}`
	case "breaks":
		w.WriteHeader(http.StatusBadGateway)
	case "busy":
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusServiceUnavailable)
	case "rejects":
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"error":{"code":-32602,"message":"n is odd"}}`, q.ID)
	case "silent":
		<-r.Context().Done()
	}
	return ""
}

// world is an executor's fleet over subsystems that a test registers.
type world struct {
	t       *testing.T
	config  directory.Config
	fleet   *fleet.Fleet
	runner  *Runner
	servers map[string]*server
}

func newWorld(t *testing.T, subsystems ...events.MCPSubsystem) *world {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	w := &world{t: t, config: directory.Config{Kafka: kafka.Config{Brokers: c.ListenAddrs()}, Logger: slog.New(slog.DiscardHandler)}, servers: map[string]*server{}}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	w.fleet, err = fleet.New(fleet.Config{
		NodeID: "node-1", Directory: w.config, Transport: transport, Logger: w.config.Logger, Wire: wire.Options{Elicitation: true, Tasks: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	for _, s := range subsystems {
		w.register(s)
	}
	go func() { ended <- w.fleet.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	for _, s := range subsystems {
		w.approve(s.SubsystemID)
	}
	w.runner = New(w.fleet)
	for _, s := range subsystems {
		eventually(t, "its approvals have no effect", func() bool {
			offers, err := w.fleet.Route(t.Context(), fleet.Want{Tool: "echo", Subsystem: s.SubsystemID, Require: true})
			return err == nil && len(offers) == 1
		})
	}
	return w
}

func (w *world) register(s events.MCPSubsystem) {
	w.t.Helper()
	server := newServer(w.t)
	w.servers[s.SubsystemID] = server
	now := events.Instant(time.Now())
	s.HTTP, s.Name, s.Type, s.Version, s.Weight, s.Trust, s.RegisteredAt, s.UpdatedAt = server.URL, s.SubsystemID, events.MCPAPI, "1", 1, events.MCPTrustNone, now, now
	if err := directory.Change(w.t.Context(), w.config, s.SubsystemID, func(*catalog.Catalog) (*events.MCPSubsystem, error) { return &s, nil }); err != nil {
		w.t.Fatal(err)
	}
}

// approve approves all tools of a subsystem.
func (w *world) approve(id string) {
	w.t.Helper()
	var rows []catalog.Row
	eventually(w.t, "nobody lists the tools of "+id, func() bool {
		c, err := directory.Read(w.t.Context(), w.config)
		if err != nil {
			w.t.Fatal(err)
		}
		rows = c.Rows(id, time.Now())
		listed := 0
		for _, r := range rows {
			if len(r.Listed) > 0 && r.Listed[0].Tool != nil {
				listed++
			}
		}
		return listed == len(tools)
	})
	err := directory.Change(w.t.Context(), w.config, id, func(c *catalog.Catalog) (*events.MCPSubsystem, error) {
		s, _ := c.Subsystem(id)
		for _, r := range rows {
			s = catalog.Approve(s, events.MCPApproval{Name: r.Name, Pin: r.Listed[0].Pin, At: events.Instant(time.Now())})
		}
		s.UpdatedAt = events.Instant(time.Now())
		return &s, nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); <-time.After(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
	}
}

// task is an attempt to run what the input says.
func task(input string) *events.Task {
	return &events.Task{
		TaskID: events.DeriveUUID(events.UUID{1}, rand.Text()), TaskName: TaskName, Attempt: 1, IdempotencyKey: "key-1", InstanceID: events.DeriveUUID(events.UUID{1}, rand.Text()),
		Input: json.RawMessage(input), Delivery: events.AtMostOnce,
	}
}

// run admits and runs an attempt.
func (w *world) run(ctx context.Context, task *events.Task) (json.RawMessage, bool, error) {
	a, err := w.runner.Admit(ctx, task)
	if a.Done != nil {
		defer a.Done()
	}
	if err != nil {
		return nil, false, err
	}
	out, err := w.runner.Run(ctx, task)
	return out, a.Repeatable, err
}

func (w *world) wantFailure(err error, code string, retryable bool, parts ...string) {
	w.t.Helper()
	f, ok := errors.AsType[*events.Error](err)
	if !ok || f.Code != code || f.Retryable != retryable {
		w.t.Errorf("got %+v (%v), want %s, retryable %v", f, err, code, retryable)
		return
	}
	for _, part := range parts {
		if !strings.Contains(f.Message, part) {
			w.t.Errorf("%q does not say %q", f.Message, part)
		}
	}
}

func TestCalls(t *testing.T) {
	w := newWorld(t, events.MCPSubsystem{SubsystemID: "one", Tools: []events.MCPToolPolicy{{Name: "echo", Repeat: "key:request"}}})
	one := w.servers["one"]

	out, may, err := w.run(t.Context(), task(`{"tool":"echo","arguments":{"n":9007199254740993}}`))
	if err != nil {
		t.Fatal(err)
	}
	var got result
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	sent := `{"n":9007199254740993,"request":"key-1","who":"world"}`
	if string(got.Structured) != sent || string(got.Content) != "[]" || got.Subsystem != "one" || got.Tool != "echo" || len(got.Pin) != 64 ||
		got.Sent != sum([]byte(sent)) || len(got.Received) != 64 || !may {
		t.Errorf("got %s, repeatable %v", out, may)
	}
	if c := one.seen("echo"); len(c) != 1 || c[0].Params.Meta.Key != "key-1" {
		t.Errorf("got %+v", c)
	}

	for input, c := range map[string]struct {
		code      string
		retryable bool
		says      string
	}{
		`{"tool":"echo","arguments":{"n":"many"}}`: {wire.CodeArguments, false, `n is "many"`},
		`{"tool":"echo","arguments":{}}`:           {wire.CodeArguments, false, "n"},
		`{"tool":"echo","arguments":7}`:            {wire.CodeArguments, false, "object"},
		`{"tool":""}`:                              {wire.CodeArguments, false, "no tool"},
		`7`:                                        {wire.CodeArguments, false, "not {tool"},
		`{"tool":"nothing"}`:                       {fleet.CodeUnknownTool, false, "nothing"},
		`{"tool":"echo","subsystem":"other","require":true}`: {fleet.CodeUnknownTool, false, "other"},
		`{"tool":"breaks"}`:      {"MCP_OUTCOME_UNKNOWN", false, "502"},
		`{"tool":"busy"}`:        {wire.CodeBusy, true, "503"},
		`{"tool":"says no"}`:     {wire.CodeTool, false, "disk full"},
		`{"tool":"rejects"}`:     {wire.CodeArguments, false, "n is odd"},
		`{"tool":"lies"}`:        {wire.CodeInvalid, false, "ok"},
		`{"tool":"big"}`:         {wire.CodeTooLarge, false, "bytes"},
		`{"tool":"one/says no"}`: {wire.CodeTool, false, "disk full"},
		`{"tool":"says no","subsystem":"somebody else","require":0}`: {wire.CodeArguments, false, "not {tool"},
	} {
		before := len(one.seen("echo"))
		_, _, err := w.run(t.Context(), task(input))
		w.wantFailure(err, c.code, c.retryable, c.says)
		if len(one.seen("echo")) != before {
			t.Errorf("%s: arguments that do not fit were sent", input)
		}
	}
	if n := len(one.seen("breaks")); n != 1 {
		t.Errorf("a call of unknown outcome was made %d times", n)
	}
	_, _, err = w.run(t.Context(), task(`{"tool":"busy"}`))
	var later interface{ RetryAfter() time.Duration }
	if !errors.As(err, &later) || later.RetryAfter() != 7*time.Second {
		t.Errorf("got %v", err)
	}
}

// The attempt that is ended in the middle of a call has an unknown outcome.
func TestEndedInTheMiddle(t *testing.T) {
	w := newWorld(t, events.MCPSubsystem{SubsystemID: "one"})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		eventually(t, "it does not call", func() bool { return len(w.servers["one"].seen("silent")) == 1 })
		cancel()
	}()
	_, _, err := w.run(ctx, task(`{"tool":"silent"}`))
	w.wantFailure(err, "MCP_OUTCOME_UNKNOWN", false)
}

// A call goes to another subsystem while it did not run, and in the middle only
// when both say that they change the same, and may be repeated.
func TestFailover(t *testing.T) {
	safe := []events.MCPToolPolicy{{Name: "echo", Repeat: "safe"}}
	for name, c := range map[string]struct {
		a, b events.MCPSubsystem
		code string
	}{
		"not repeatable":         {events.MCPSubsystem{Effects: "disk"}, events.MCPSubsystem{Effects: "disk"}, "MCP_OUTCOME_UNKNOWN"},
		"of the same effects":    {events.MCPSubsystem{Effects: "disk", Tools: safe}, events.MCPSubsystem{Effects: "disk", Tools: safe}, ""},
		"of other effects":       {events.MCPSubsystem{Effects: "disk", Tools: safe}, events.MCPSubsystem{Effects: "tape", Tools: safe}, wire.CodeUnavailable},
		"only one is repeatable": {events.MCPSubsystem{Effects: "disk", Tools: safe}, events.MCPSubsystem{Effects: "disk"}, wire.CodeUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			c.a.SubsystemID, c.b.SubsystemID = "a", "b"
			w := newWorld(t, c.a, c.b)
			w.servers["a"].mu.Lock()
			w.servers["a"].down = true
			w.servers["a"].mu.Unlock()
			_, _, err := w.run(t.Context(), task(`{"tool":"echo","subsystem":"a","arguments":{"n":1}}`))
			if c.code == "" {
				if err != nil || len(w.servers["b"].seen("echo")) != 1 {
					t.Errorf("got %v", err)
				}
				return
			}
			w.wantFailure(err, c.code, c.code != "MCP_OUTCOME_UNKNOWN")
			if n := len(w.servers["b"].seen("echo")); n != 0 {
				t.Errorf("it ran %d times elsewhere", n)
			}
		})
	}
}

// What a tool asks waits for a person; the call is made again with the answer, the
// server's state and another key, by whoever takes it up.
func TestQuestions(t *testing.T) {
	w := newWorld(t, events.MCPSubsystem{SubsystemID: "one"})
	first := task(`{"tool":"asks"}`)
	_, _, err := w.run(t.Context(), first)
	down, ok := executor.PutDownOf(err)
	if !ok || len(down.Questions) != 1 || !strings.Contains(down.Questions[0].Message, "who?") || down.Questions[0].Form == nil {
		t.Fatalf("got %v, %+v", err, down)
	}
	next := *first
	next.Continuation, next.Answers = down.State, []events.Answer{{ID: down.Questions[0].ID, Result: json.RawMessage(`{}`)}}
	w.runner = New(w.fleet) // another process
	out, _, err := w.run(t.Context(), &next)
	if err != nil || !strings.Contains(string(out), `{"name, please":{"action":"accept","content":{"name":"Ada"}}}`) {
		t.Errorf("got %s, %v", out, err)
	}
	calls := w.servers["one"].seen("asks")
	if len(calls) != 2 || string(calls[1].Params.State) != `"st/42"` || calls[0].Params.Meta.Key == calls[1].Params.Meta.Key {
		t.Errorf("got %+v", calls)
	}
	next.Answers = []events.Answer{{ID: down.Questions[0].ID, Error: &events.Error{Code: "NO"}}}
	if out, _, err := w.run(t.Context(), &next); err != nil || !strings.Contains(string(out), `"action":"decline"`) {
		t.Errorf("got %s, %v", out, err)
	}
}

// A task is asked for by whoever has the attempt, asks its questions once, and ends
// with the result of the call.
func TestTasks(t *testing.T) {
	w := newWorld(t, events.MCPSubsystem{SubsystemID: "one"})
	now := task(`{"tool":"job"}`)
	wantDown := func(err error, questions int) executor.PutDown {
		t.Helper()
		down, ok := executor.PutDownOf(err)
		if !ok || len(down.Questions) != questions {
			t.Fatalf("got %v, %+v", err, down)
		}
		return down
	}
	_, _, err := w.run(t.Context(), now)
	down := wantDown(err, 0)
	if down.After != 250*time.Millisecond {
		t.Errorf("asked again after %v", down.After)
	}
	now.Continuation = down.State
	_, may, err := w.run(t.Context(), now) // working
	now.Continuation = wantDown(err, 0).State
	if !may {
		t.Error("to ask again is not repeatable")
	}
	_, _, err = w.run(t.Context(), now) // it asks
	down = wantDown(err, 1)
	now.Continuation, now.Answers = down.State, []events.Answer{{ID: down.Questions[0].ID, Result: json.RawMessage(`{}`)}}
	_, _, err = w.run(t.Context(), now) // it has not taken the answer in yet, and is not answered twice
	now.Continuation, now.Answers = wantDown(err, 0).State, nil
	out, _, err := w.run(t.Context(), now)
	if err != nil || !strings.Contains(string(out), `"structured":{"n":9007199254740993}`) {
		t.Errorf("got %s, %v", out, err)
	}
	updates := w.servers["one"].seen("tasks/update")
	if len(updates) != 1 || string(updates[0].Params.Replies["really?"].Content) != `{"yes":true}` {
		t.Errorf("got %+v", updates)
	}

	gone := task(`{"tool":"lost"}`)
	_, _, err = w.run(t.Context(), gone)
	gone.Continuation = wantDown(err, 0).State
	_, _, err = w.run(t.Context(), gone)
	w.wantFailure(err, "MCP_OUTCOME_UNKNOWN", false, "Task not found")
}
