package mcp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/leat-io/leat/internal/boot"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/mcp/offer"
	"github.com/leat-io/leat/internal/mcp/serve"
	"github.com/leat-io/leat/internal/registry"
	"github.com/leat-io/leat/pkg/client"
)

// patience bounds what should take a blink, on a machine with other work.
const patience = 60 * time.Second

// engine is Leat in the test's process, in memory.
type engine struct {
	t      *testing.T
	broker string
	client *client.Client
}

// start makes an engine with the definitions of the suite.
func start(t *testing.T) *engine {
	t.Helper()
	d, err := boot.StartDev(t.Context(), boot.DevOptions{Memory: true, HTTP: "127.0.0.1:0", Kafka: "127.0.0.1:0", Workers: "127.0.0.1:0", Partitions: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	c, err := client.New(client.Config{Brokers: []string{d.Broker}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	e := &engine{t: t, broker: d.Broker, client: c}
	files, err := filepath.Glob("definitions/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("the suite's definitions: %v, %v", files, err)
	}
	for _, f := range files {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		e.deploy(string(src))
	}
	return e
}

func (e *engine) deploy(src string) {
	e.t.Helper()
	if _, err := e.client.Deploy(e.t.Context(), client.DeployRequest{Name: "test", Source: []byte(src), Partitions: 2}); err != nil {
		e.t.Fatal(err)
	}
}

// replica is a server on the engine, and what it offers.
type replica struct {
	*serve.Server
	offered *offer.Workflows
	known   *registry.Registry
}

// replica starts a server that keeps nothing of its own.
func (e *engine) replica(adjust func(*serve.Config)) *replica {
	e.t.Helper()
	known := registry.New(registry.Config{Kafka: kafka.Config{Brokers: []string{e.broker}}})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = known.Run(ctx) }()
	e.t.Cleanup(func() { cancel(); <-ended })
	w := offer.New(offer.Config{Client: e.client, Definitions: known, Poll: 100 * time.Millisecond})
	config := serve.Config{Name: "leat", Version: "test", Tasks: w}
	if adjust != nil {
		adjust(&config)
	}
	s, err := serve.New(config)
	if err != nil {
		e.t.Fatal(err)
	}
	for _, r := range w.Resources() {
		s.AddResource(r)
	}
	first, stop := context.WithTimeout(e.t.Context(), patience)
	defer stop()
	if err := known.WaitReady(first); err != nil {
		e.t.Fatal(err)
	}
	s.SetTools(w.Tools())
	known.Subscribe(func() { s.SetTools(w.Tools()) })
	return &replica{Server: s, offered: w, known: known}
}

// caller speaks the protocol of 2026-07-28 over HTTP, by hand.
type caller struct {
	t            *testing.T
	url          string
	bearer       string
	capabilities map[string]any
	header       http.Header // besides those of the protocol
	meta         map[string]any
}

// tasksClient is what a client that knows tasks says of itself.
func tasksClient() map[string]any {
	return map[string]any{"extensions": map[string]any{"io.modelcontextprotocol/tasks": map[string]any{}}, "elicitation": map[string]any{}}
}

// at is a caller that knows tasks, of a handler on a loopback address.
func at(t *testing.T, h http.Handler) *caller {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return &caller{t: t, url: s.URL, capabilities: tasksClient()}
}

func (c *caller) with(change func(*caller)) *caller {
	other := *c
	change(&other)
	return &other
}

// reply is a JSON-RPC answer.
type reply struct {
	Status int             `json:"-"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Code    int64           `json:"code"`
		Message string          `json:"message"`
		Data    json.RawMessage `json:"data"`
	} `json:"error"`
}

// answered is what tools/call and tasks/get have in common.
type answered struct {
	ResultType string `json:"resultType"`
	TaskID     string `json:"taskId"`
	Status     string `json:"status"`
	IsError    bool   `json:"isError"`
	Content    []struct {
		Text string `json:"text"`
	} `json:"content"`
	Structured    json.RawMessage `json:"structuredContent"`
	Meta          map[string]any  `json:"_meta"`
	Result        *answered       `json:"result"`
	RequestState  string          `json:"requestState"`
	InputRequests map[string]struct {
		Method string `json:"method"`
		Params struct {
			Message string          `json:"message"`
			Schema  json.RawMessage `json:"requestedSchema"`
		} `json:"params"`
	} `json:"inputRequests"`
	Error *struct {
		Code    int64  `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

func (a *answered) text() string {
	if a == nil || len(a.Content) == 0 {
		return ""
	}
	return a.Content[0].Text
}

// post makes a request; ctx ends it.
func (c *caller) post(ctx context.Context, method string, params map[string]any) (*reply, error) {
	meta := map[string]any{
		"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": c.capabilities,
		"io.modelcontextprotocol/clientInfo": map[string]any{"name": "test", "version": "1"},
	}
	maps.Copy(meta, c.meta)
	all := map[string]any{"_meta": meta}
	maps.Copy(all, params)
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": all})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	req.Header.Set("Mcp-Protocol-Version", "2026-07-28")
	req.Header.Set("Mcp-Method", method)
	for _, name := range []string{"name", "uri", "taskId"} {
		if v, ok := params[name].(string); ok {
			req.Header.Set("Mcp-Name", v)
		}
	}
	if c.bearer != "" {
		req.Header.Set("Authorization", "Bearer "+c.bearer)
	}
	maps.Copy(req.Header, c.header)
	if host := c.header.Get("Host"); host != "" {
		req.Host = host
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	r := &reply{Status: resp.StatusCode}
	for line := range strings.Lines(string(text)) { // the last event is the answer
		line = strings.TrimSpace(strings.TrimPrefix(line, "data:"))
		if strings.HasPrefix(line, "{") {
			_ = json.Unmarshal([]byte(line), r)
		}
	}
	return r, nil
}

// ask makes a request that is answered.
func (c *caller) ask(method string, params map[string]any) *reply {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	r, err := c.post(ctx, method, params)
	if err != nil {
		c.t.Fatalf("%s: %v", method, err)
	}
	return r
}

// call calls a tool and expects a result.
func (c *caller) call(tool string, arguments any) *answered {
	c.t.Helper()
	return c.result("tools/call", map[string]any{"name": tool, "arguments": arguments})
}

func (c *caller) result(method string, params map[string]any) *answered {
	c.t.Helper()
	r := c.ask(method, params)
	if r.Error != nil || r.Result == nil {
		c.t.Fatalf("%s %v: status %d, error %+v", method, params, r.Status, r.Error)
	}
	var a answered
	if err := json.Unmarshal(r.Result, &a); err != nil {
		c.t.Fatalf("%s: %v in %s", method, err, r.Result)
	}
	return &a
}

// task reads a task.
func (c *caller) task(id string) *answered {
	c.t.Helper()
	return c.result("tasks/get", map[string]any{"taskId": id})
}

// until reads a task until it has a status.
func (c *caller) until(id string, status ...string) *answered {
	c.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		a := c.task(id)
		if slices.Contains(status, a.Status) {
			return a
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("task %s is %s, not %v", id, a.Status, status)
		}
		<-time.After(50 * time.Millisecond)
	}
}
