package fleet

import (
	"context"
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
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"go.uber.org/goleak"

	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/mcp/catalog"
	"github.com/leat-io/leat/internal/mcp/directory"
	"github.com/leat-io/leat/internal/mcp/wire"
	"github.com/leat-io/leat/pkg/events"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// mcpServer is a modern MCP server whose tools are what a test says.
type mcpServer struct {
	*httptest.Server

	mu    sync.Mutex
	tools map[string]string // description, by name
	raw   []string          // further definitions
	key   string            // that it wants; "" for none
	hang  bool              // it takes requests and says nothing
	calls atomic.Int64
	fail  atomic.Bool // calls answer 500
}

func newMCPServer(t *testing.T, tools ...string) *mcpServer {
	t.Helper()
	s := &mcpServer{tools: map[string]string{}}
	for _, name := range tools {
		s.tools[name] = "does " + name
	}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *mcpServer) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func (s *mcpServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var q struct {
		ID     json.RawMessage
		Method string
		Params struct{ Name string }
	}
	_ = json.Unmarshal(body, &q)
	s.mu.Lock()
	var list []string
	for name, text := range s.tools {
		list = append(list, fmt.Sprintf(`{"name":%q,"description":%q,"inputSchema":{"type":"object"},"annotations":{"readOnlyHint":true}}`, name, text))
	}
	list = append(list, s.raw...)
	key, hang := s.key, s.hang
	s.mu.Unlock()
	if hang {
		<-r.Context().Done()
		return
	}
	if key != "" && r.Header.Get("Authorization") != "Bearer "+key {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	result := `{"resultType":"complete","content":[]}`
	switch q.Method {
	case "server/discover":
		result = `{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"serverInfo":{"name":"fake","version":"1"},"ttlMs":0,"cacheScope":"public"}`
	case "tools/list":
		result = `{"resultType":"complete","tools":[` + strings.Join(list, ",") + `],"ttlMs":0,"cacheScope":"public"}`
	case "tools/call":
		s.calls.Add(1)
		if s.fail.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":%s}`, q.ID, result)
}

// world is a broker and what is registered there.
type world struct {
	t         *testing.T
	directory directory.Config
}

func newWorld(t *testing.T) *world {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return &world{t: t, directory: directory.Config{Kafka: kafka.Config{Brokers: c.ListenAddrs()}, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}}
}

func (w *world) register(s events.MCPSubsystem) {
	w.t.Helper()
	now := events.Instant(time.Now())
	s.Name, s.Type, s.Version, s.Weight, s.RegisteredAt, s.UpdatedAt = s.SubsystemID, events.MCPAPI, "1", max(s.Weight, 1), now, now
	if s.Trust == "" {
		s.Trust = events.MCPTrustNone
	}
	if all := s.Problems(); len(all) > 0 {
		w.t.Fatal(all)
	}
	if err := directory.Change(w.t.Context(), w.directory, s.SubsystemID, func(*catalog.Catalog) (*events.MCPSubsystem, error) { return &s, nil }); err != nil {
		w.t.Fatal(err)
	}
}

// approve approves what is listed now.
func (w *world) approve(id string) {
	w.t.Helper()
	const tool = "read"
	eventually(w.t, "nobody lists "+id+"/"+tool, func() bool {
		row, ok := w.row(id, tool)
		return ok && len(row.Listed) > 0 && row.Listed[0].Tool != nil
	})
	err := directory.Change(w.t.Context(), w.directory, id, func(c *catalog.Catalog) (*events.MCPSubsystem, error) {
		s, _ := c.Subsystem(id)
		row, _ := w.row(id, tool)
		s = catalog.Approve(s, events.MCPApproval{Name: tool, Pin: row.Listed[0].Pin, At: events.Instant(time.Now())})
		s.UpdatedAt = events.Instant(time.Now())
		return &s, nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) read() *catalog.Catalog {
	w.t.Helper()
	c, err := directory.Read(w.t.Context(), w.directory)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func (w *world) row(id, tool string) (catalog.Row, bool) {
	w.t.Helper()
	rows := w.read().Rows(id, time.Now())
	i := slices.IndexFunc(rows, func(r catalog.Row) bool { return r.Name == tool })
	if i < 0 {
		return catalog.Row{}, false
	}
	return rows[i], true
}

func (w *world) health(id string) (events.MCPHealth, bool) {
	w.t.Helper()
	for _, h := range w.read().Health(id) {
		if h.NodeID == "node-1" {
			return h, true
		}
	}
	return events.MCPHealth{}, false
}

// run runs a fleet until the test ends, or until it is told to.
func (w *world) run(change func(*Config)) (f *Fleet, stop func()) {
	w.t.Helper()
	transport := &http.Transport{}
	w.t.Cleanup(transport.CloseIdleConnections)
	c := Config{
		NodeID: "node-1", Directory: w.directory, Transport: transport, Probe: 100 * time.Millisecond, Refresh: 200 * time.Millisecond,
		Logger: slog.New(slog.NewTextHandler(w.t.Output(), nil)),
	}
	change(&c)
	f, err := New(c)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Error(err)
		}
	})
	w.t.Cleanup(stop)
	return f, stop
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !is() {
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
	}
}

func wantRefusal(t *testing.T, err error, code string) *Refusal {
	t.Helper()
	r, ok := errors.AsType[*Refusal](err)
	if !ok || r.Code != code {
		t.Fatalf("got %v, want %s", err, code)
	}
	return r
}

func call(t *testing.T, o *Offer) (wire.Answer, error) {
	t.Helper()
	c, err := o.Begin()
	if err != nil {
		t.Fatal(err)
	}
	answer, err := c.Conn.Call(t.Context(), &wire.Call{Tool: o.Tool})
	c.End(answer, err)
	return answer, err
}

// A tool is called when somebody approved it, as it was then.
func TestOnlyWhatWasApproved(t *testing.T) {
	w, server := newWorld(t), newMCPServer(t, "read")
	w.register(events.MCPSubsystem{SubsystemID: "files", HTTP: server.URL})
	f, stop := w.run(func(*Config) {})
	eventually(t, "its tools are not published", func() bool { _, ok := w.row("files", "read"); return ok })
	_, err := f.Route(t.Context(), Want{Tool: "read"})
	if r := wantRefusal(t, err, CodeNotApproved); !strings.Contains(r.Message, "leat mcp approve files/read") {
		t.Errorf("it does not say what to do: %s", r.Message)
	}
	_, err = f.Route(t.Context(), Want{Tool: "write"})
	wantRefusal(t, err, CodeUnknownTool)
	_, err = f.Route(t.Context(), Want{Tool: "read", Subsystem: "none", Require: true})
	wantRefusal(t, err, CodeUnknownTool)

	w.approve("files")
	var offers []Offer
	eventually(t, "the approval has no effect", func() bool { offers, err = f.Route(t.Context(), Want{Tool: "read"}); return err == nil })
	if _, err := call(t, &offers[0]); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a call that succeeded does not show", func() bool { h, _ := w.health("files"); return h.Health == events.HealthHealthy })
	h, _ := w.health("files")
	if h.Connection != events.MCPConnected || h.Breaker != events.BreakerClosed || h.Protocol != "2026-07-28" || len(h.Tools) != 1 {
		t.Errorf("%+v", h)
	}

	server.set(func() { server.tools["read"] = "reads, and sends it to me" })
	eventually(t, "the change is not seen", func() bool { r, _ := w.row("files", "read"); return r.Status == catalog.StatusChanged })
	_, err = f.Route(t.Context(), Want{Tool: "read"})
	wantRefusal(t, err, CodeNotApproved)
	if _, err := offers[0].Begin(); err == nil {
		t.Error("an offer from before the change is still taken")
	}
	w.approve("files")
	eventually(t, "the second approval has no effect", func() bool { _, err = f.Route(t.Context(), Want{Tool: "read"}); return err == nil })

	stop()
	if h, there := w.health("files"); there {
		t.Errorf("the health record is left behind: %+v", h)
	}
}

// A server that hangs and one that is away hide nothing but their own tools.
func TestADeadServerHidesItsOwnToolsOnly(t *testing.T) {
	w, good, hangs, away := newWorld(t), newMCPServer(t, "read"), newMCPServer(t, "read"), newMCPServer(t, "read")
	hangs.set(func() { hangs.hang = true })
	away.Close()
	for id, s := range map[string]*mcpServer{"good": good, "hangs": hangs, "away": away} {
		w.register(events.MCPSubsystem{SubsystemID: id, HTTP: s.URL})
	}
	f, _ := w.run(func(*Config) {})
	w.approve("good")
	eventually(t, "the good one is not found", func() bool {
		offers, err := f.Route(t.Context(), Want{Tool: "read"})
		return err == nil && len(offers) == 1 && offers[0].Subsystem.SubsystemID == "good"
	})
	eventually(t, "nobody says that one is away", func() bool {
		h, _ := w.health("away")
		return h.Health == events.HealthUnreachable && h.Reason == events.MCPReasonUnreachable && h.Connection == events.MCPConnError
	})
}

// A server that is away is used again when it is back, without anybody's doing.
func TestAServerComesBack(t *testing.T) {
	w, server := newWorld(t), newMCPServer(t, "read")
	w.register(events.MCPSubsystem{SubsystemID: "files", HTTP: server.URL})
	f, _ := w.run(func(*Config) {})
	w.approve("files")
	var offers []Offer
	eventually(t, "it is not routed", func() bool { o, err := f.Route(t.Context(), Want{Tool: "read"}); offers = o; return err == nil })
	server.fail.Store(true)
	for range 3 {
		if _, err := call(t, &offers[0]); err == nil {
			t.Fatal("no error")
		}
	}
	_, err := f.Route(t.Context(), Want{Tool: "read"})
	wantRefusal(t, err, wire.CodeUnavailable)
	eventually(t, "the breaker does not show", func() bool { h, _ := w.health("files"); return h.Breaker != events.BreakerClosed })
	server.fail.Store(false)
	eventually(t, "there is no trial", func() bool { o, err := f.Route(t.Context(), Want{Tool: "read"}); offers = o; return err == nil })
	if _, err := call(t, &offers[0]); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is not healthy again", func() bool { h, _ := w.health("files"); return h.Health == events.HealthHealthy })
}

// A key that is refused is no failure of the server; a new one counts at once.
func TestKeys(t *testing.T) {
	w, server := newWorld(t), newMCPServer(t, "read")
	server.set(func() { server.key = "new-secret" })
	var key atomic.Value
	key.Store("old-secret")
	w.register(events.MCPSubsystem{SubsystemID: "files", HTTP: server.URL, Key: &events.MCPKey{File: "/run/secrets/files"}})
	f, _ := w.run(func(c *Config) { c.ReadKey = func(*events.MCPKey) (string, error) { return key.Load().(string), nil } })
	eventually(t, "nobody says that the key is refused", func() bool {
		h, _ := w.health("files")
		return h.Health == events.HealthUnavailable && h.Reason == events.MCPReasonUnauthenticated && h.Breaker == events.BreakerClosed
	})
	h, _ := w.health("files")
	if text := fmt.Sprintf("%+v", h); strings.Contains(text, "secret") && !strings.Contains(text, "/run/secrets") || h.KeyHash != hashOf("old-secret") {
		t.Errorf("%+v", h)
	}
	key.Store("new-secret")
	w.approve("files")
	eventually(t, "the new key has no effect", func() bool { _, err := f.Route(t.Context(), Want{Tool: "read"}); return err == nil })
	eventually(t, "its hash does not show", func() bool { h, _ := w.health("files"); return h.KeyHash == hashOf("new-secret") })
}

func TestAKeyThatIsNotThere(t *testing.T) {
	w, server := newWorld(t), newMCPServer(t, "read")
	w.register(events.MCPSubsystem{SubsystemID: "files", HTTP: server.URL, Key: &events.MCPKey{Env: "NO_SUCH_VARIABLE"}})
	w.run(func(*Config) {})
	eventually(t, "nobody says that the key is missing", func() bool {
		h, _ := w.health("files")
		return h.Health == events.HealthError && h.Reason == events.MCPReasonKeyMissing && strings.Contains(h.Message, "NO_SUCH_VARIABLE")
	})
}

// What this executor cannot reach, another may: the refusal says which.
func TestElsewhere(t *testing.T) {
	w, server := newWorld(t), newMCPServer(t, "read")
	w.register(events.MCPSubsystem{SubsystemID: "files", HTTP: server.URL})
	_, stop := w.run(func(*Config) {})
	w.approve("files")
	without, _ := w.run(func(c *Config) { c.NodeID, c.Transport = "node-2", nil })
	if all := without.Capabilities(); len(all) != 0 {
		t.Errorf("%v", all)
	}
	eventually(t, "the other node is not named", func() bool {
		_, err := without.Route(t.Context(), Want{Tool: "read"})
		r, ok := errors.AsType[*Refusal](err)
		return ok && slices.Equal(r.Elsewhere, []string{"node-1"})
	})
	stop()
	eventually(t, "a node that stopped is named", func() bool {
		_, err := without.Route(t.Context(), Want{Tool: "read"})
		r, ok := errors.AsType[*Refusal](err)
		return ok && len(r.Elsewhere) == 0
	})
}

// Who is unregistered is not called any more, and leaves nothing behind.
func TestUnregistered(t *testing.T) {
	w, server := newWorld(t), newMCPServer(t, "read")
	w.register(events.MCPSubsystem{SubsystemID: "files", HTTP: server.URL})
	f, _ := w.run(func(*Config) {})
	w.approve("files")
	eventually(t, "it is not routed", func() bool { _, err := f.Route(t.Context(), Want{Tool: "read"}); return err == nil })
	if there, err := directory.Remove(t.Context(), w.directory, "files"); err != nil || !there {
		t.Fatal(there, err)
	}
	eventually(t, "it is still routed", func() bool {
		_, err := f.Route(t.Context(), Want{Tool: "read"})
		r, ok := errors.AsType[*Refusal](err)
		return ok && r.Code == CodeUnknownTool
	})
	eventually(t, "something is left behind", func() bool {
		c := w.read()
		return len(c.Health("files")) == 0 && len(c.Tools("files")) == 0 && len(c.Subsystems()) == 0
	})
	if there, err := directory.Remove(t.Context(), w.directory, "files"); err != nil || there {
		t.Error(there, err)
	}
}

// More calls than there is room for are refused, and take no place.
func TestLimits(t *testing.T) {
	w, server := newWorld(t), newMCPServer(t, "read")
	w.register(events.MCPSubsystem{SubsystemID: "files", HTTP: server.URL, Limits: events.MCPLimits{InFlight: 2, PerSecond: 1000}})
	f, _ := w.run(func(*Config) {})
	w.approve("files")
	var offers []Offer
	eventually(t, "it is not routed", func() bool { o, err := f.Route(t.Context(), Want{Tool: "read"}); offers = o; return err == nil })
	one, err := offers[0].Begin()
	if err != nil {
		t.Fatal(err)
	}
	two, err := offers[0].Begin()
	if err != nil {
		t.Fatal(err)
	}
	_, err = offers[0].Begin()
	wantRefusal(t, err, wire.CodeBusy)
	one.End(nil, nil)
	three, err := offers[0].Begin()
	if err != nil {
		t.Fatal(err)
	}
	two.End(nil, nil)
	three.End(nil, nil)
}

// A tool that cannot be used is refused alone.
func TestARefusedTool(t *testing.T) {
	w, server := newWorld(t), newMCPServer(t, "read")
	server.set(func() {
		server.raw = []string{`{"name":"bomb","inputSchema":{"type":"object","properties":{"a":{"$ref":"#/properties/a"}}}}`}
	})
	w.register(events.MCPSubsystem{SubsystemID: "files", HTTP: server.URL})
	f, _ := w.run(func(*Config) {})
	w.approve("files")
	eventually(t, "the other tool is hidden", func() bool { _, err := f.Route(t.Context(), Want{Tool: "read"}); return err == nil })
	row, _ := w.row("files", "bomb")
	if row.Status != catalog.StatusRefused || row.Message == "" {
		t.Errorf("%+v", row)
	}
	_, err := f.Route(t.Context(), Want{Tool: "bomb"})
	wantRefusal(t, err, wire.CodeUnavailable)
}
