package wire

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// sdk is a server of the official SDK, with state: it knows sessions.
type sdk struct {
	*mcp.Server

	url     string
	ran     atomic.Int64
	deletes atomic.Int64
	opened  atomic.Int64 // sessions
}

func newSDK(t *testing.T, stateless bool) *sdk {
	t.Helper()
	s := &sdk{Server: mcp.NewServer(&mcp.Implementation{Name: "sdk", Version: "1"}, nil)}
	schema := json.RawMessage(`{"type":"object"}`)
	s.AddTool(&mcp.Tool{Name: "session", InputSchema: schema}, func(_ context.Context, r *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		s.ran.Add(1)
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: r.Session.ID()}}}, nil
	})
	s.AddTool(&mcp.Tool{Name: "asks", InputSchema: schema}, func(ctx context.Context, r *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		answer, err := r.Session.Elicit(ctx, &mcp.ElicitParams{Message: "who?", RequestedSchema: json.RawMessage(`{"type":"object","properties":{"name":{"type":"string"}}}`)})
		if err != nil {
			return nil, err
		}
		text, err := json.Marshal(answer)
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: string(text)}}}, err
	})
	s.AddTool(&mcp.Tool{Name: "waits", InputSchema: schema}, func(ctx context.Context, _ *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		s.ran.Add(1)
		<-ctx.Done()
		s.ran.Add(-1)
		return nil, ctx.Err()
	})
	h := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return s.Server }, &mcp.StreamableHTTPOptions{Stateless: stateless})
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodDelete {
			s.deletes.Add(1)
		}
		if r.Method == http.MethodPost && r.Header.Get("Mcp-Session-Id") == "" {
			s.opened.Add(1)
		}
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	s.url = front.URL
	return s
}

func textOf(t *testing.T, a Answer, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	r, ok := a.(*Result)
	if !ok {
		t.Fatalf("got %+v", a)
	}
	var blocks []struct{ Text string }
	if err := json.Unmarshal(r.Content, &blocks); err != nil || len(blocks) != 1 {
		t.Fatalf("got %s", r.Raw)
	}
	return blocks[0].Text
}

// Workflows share no session of a server that keeps state; all sessions are given
// back in the end.
func TestSessionsAreNotShared(t *testing.T) {
	s := newSDK(t, false)
	conn, err := Open(t.Context(), Target{ID: "s", URL: s.url}, testOptions())
	if err != nil {
		t.Fatal(err)
	}
	if server, err := conn.Server(t.Context()); err != nil || server.Era != EraLegacy || !server.Tools {
		t.Fatalf("got %+v, %v", server, err)
	}
	var mu sync.Mutex
	ids := make(map[string]map[string]bool)
	var work sync.WaitGroup
	for i := range 30 {
		key := string(rune('a' + i%3))
		work.Go(func() {
			a, err := conn.Call(t.Context(), &Call{Tool: named(t, "session"), Session: key})
			id := textOf(t, a, err)
			mu.Lock()
			defer mu.Unlock()
			if ids[key] == nil {
				ids[key] = make(map[string]bool)
			}
			ids[key][id] = true
		})
	}
	work.Wait()
	all := make(map[string]bool)
	for key, of := range ids {
		if len(of) != 1 {
			t.Errorf("%s has %d sessions", key, len(of))
		}
		for id := range of {
			all[id] = true
		}
	}
	if len(all) != 3 {
		t.Errorf("3 workflows have %d sessions", len(all))
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if n := s.deletes.Load(); n != 4 {
		t.Errorf("%d sessions were given back, of 4", n)
	}
}

// A session that the server lost is opened again, and the call that found out runs
// once.
func TestLostSession(t *testing.T) {
	s := newSDK(t, false)
	conn := open(t, Target{ID: "s", URL: s.url}, testOptions())
	a, err := conn.Call(t.Context(), &Call{Tool: named(t, "session"), Session: "w"})
	before := textOf(t, a, err)
	for session := range s.Sessions() {
		_ = session.Close()
	}
	a, err = conn.Call(t.Context(), &Call{Tool: named(t, "session"), Session: "w"})
	if after := textOf(t, a, err); after == before || s.ran.Load() != 2 {
		t.Errorf("sessions %s and %s, %d calls", before, after, s.ran.Load())
	}
	if _, err := conn.Tools(t.Context()); err != nil {
		t.Error(err)
	}
}

// A question over HTTP waits as well, and its answer ends the call that asked.
func TestQuestionsOfALegacyServer(t *testing.T) {
	s := newSDK(t, false)
	options := testOptions()
	options.Elicitation = true
	conn := open(t, Target{ID: "s", URL: s.url}, options)
	a, err := conn.Call(t.Context(), &Call{Tool: named(t, "asks"), Session: "w", Limits: Limits{Idle: testIdle}})
	q, ok := a.(*Questions)
	if err != nil || !ok || q.Held == "" || q.Asked["1"].Message != "who?" {
		t.Fatalf("got %+v, %v", a, err)
	}
	<-time.After(2 * testIdle) // a person takes longer than the call may be idle
	a, err = conn.Continue(t.Context(), q.Held, map[string]Reply{"1": {Action: "accept", Content: json.RawMessage(`{"name":"Ada"}`)}}, nil)
	if text := textOf(t, a, err); !strings.Contains(text, "Ada") {
		t.Errorf("got %s", text)
	}
}

// A call that nobody waits for is cancelled at the server.
func TestCancelReachesALegacyServer(t *testing.T) {
	s := newSDK(t, false)
	conn := open(t, Target{ID: "s", URL: s.url}, testOptions())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { _, err := conn.Call(ctx, &Call{Tool: named(t, "waits")}); done <- err }()
	eventually(t, "it does not run", func() bool { return s.ran.Load() == 1 })
	cancel()
	if f := failureOf(t, <-done); f.Evidence != Unknown {
		t.Errorf("got %v", f)
	}
	eventually(t, "it goes on", func() bool { return s.ran.Load() == 0 })
}

// A modern server of the SDK is called without any session.
func TestModernSDK(t *testing.T) {
	s := newSDK(t, true)
	conn := open(t, Target{ID: "s", URL: s.url}, testOptions())
	server, err := conn.Server(t.Context())
	if err != nil || server.Era != EraModern || server.Name != "sdk" {
		t.Fatalf("got %+v, %v", server, err)
	}
	l, err := conn.Tools(t.Context())
	if err != nil || len(l.Tools) != 3 || len(l.Refused) != 0 {
		t.Errorf("got %+v, %v", l, err)
	}
	if _, err := conn.Call(t.Context(), &Call{Tool: l.Tools[1], Session: "w"}); err != nil {
		t.Error(err)
	}
	if err := conn.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}
