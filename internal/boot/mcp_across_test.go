package boot

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/mcp/catalog"
	"github.com/leat-io/leat/internal/mcp/directory"
	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
)

// asMCPServer makes the test binary an MCP server on a pipe.
const asMCPServer = "LEAT_TEST_MCP_SERVER"

// serveMCP has one tool, which says who runs it.
func serveMCP(who string) {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var q struct {
			ID     json.RawMessage
			Method string
		}
		if json.Unmarshal(lines.Bytes(), &q) != nil || q.ID == nil {
			continue
		}
		result := fmt.Sprintf(`{"resultType":"complete","content":[{"type":"text","text":%q}]}`, who)
		switch q.Method {
		case "server/discover":
			result = `{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"serverInfo":{"name":"test","version":"1"},"ttlMs":0,"cacheScope":"public"}`
		case "tools/list":
			result = `{"resultType":"complete","tools":[{"name":"who","inputSchema":{"type":"object"}}],"ttlMs":0,"cacheScope":"public"}`
		}
		fmt.Printf(`{"jsonrpc":"2.0","id":%s,"result":%s}`+"\n", q.ID, result)
	}
}

const whoDefinition = `
leat: v1
type: who
version: 1
initial: asking
states:
  asking:
    invoke: {mcp: {tool: who, subsystem: local, require: true}, onDone: done, onError: failed}
  done: {type: final, output: event.data}
  failed: {type: final, outcome: failed, error: {code: NO, message: event.data.message}}
`

// A server behind a command is called by the executor that was given the command,
// although another one reads most of the queue; each node says what it can call.
func TestAnExecutorWithoutTheCommandLeavesTheCall(t *testing.T) {
	d, err := StartDev(t.Context(), DevOptions{Memory: true, HTTP: "127.0.0.1:0", Kafka: "127.0.0.1:0", Workers: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := d.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	launch(t, "executor", "--brokers", d.Broker, "--node-id", "able", "--mcp-command", "local="+os.Args[0], "--mcp-env", "local="+asMCPServer+"=able")
	w := directory.Config{Kafka: kafka.Config{Brokers: []string{d.Broker}}}
	c, err := client.New(client.Config{Brokers: []string{d.Broker}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()

	soon(t, "the nodes do not say what they can call", func() bool {
		nodes, err := c.Nodes(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		can := make(map[string][]string)
		for _, n := range nodes {
			can[n.NodeID] = n.Capabilities
		}
		return len(can["dev"]) == 0 && slices.Equal(can["able"], []string{"mcp:stdio:local"})
	})

	now := events.Instant(time.Now())
	record := events.MCPSubsystem{
		SubsystemID: "local", Name: "local", Type: events.MCPAPI, Version: "1", Stdio: "local", Trust: events.MCPTrustNone, Weight: 1, RegisteredAt: now, UpdatedAt: now,
		Tools: []events.MCPToolPolicy{{Name: "who", Repeat: events.MCPRepeatSafe}},
	}
	change(t, w, func(*catalog.Catalog) (*events.MCPSubsystem, error) { return &record, nil })
	var rows []catalog.Row
	soon(t, "nobody lists the tool", func() bool {
		known, err := directory.Read(t.Context(), w)
		if err != nil {
			t.Fatal(err)
		}
		rows = known.Rows("local", time.Now())
		return len(rows) == 1 && len(rows[0].Listed) == 1 && rows[0].Listed[0].Tool != nil
	})
	change(t, w, func(c *catalog.Catalog) (*events.MCPSubsystem, error) {
		s, _ := c.Subsystem("local")
		s = catalog.Approve(s, events.MCPApproval{Name: "who", Pin: rows[0].Listed[0].Pin, At: now})
		s.UpdatedAt = events.Instant(time.Now())
		return &s, nil
	})

	if _, err := c.Deploy(t.Context(), client.DeployRequest{Source: []byte(whoDefinition), Partitions: 8}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for i, handedBack := 0, 0; handedBack < 3; i++ { // until the other one has come to read the queue too
		key := fmt.Sprintf("call-%d", i)
		if _, err := c.Start(ctx, client.StartRequest{Type: "who", Key: key}); err != nil {
			t.Fatal(err)
		}
		s, err := c.WaitFinished(ctx, "who", key)
		if err != nil {
			t.Fatal(err)
		}
		if s.State != events.WorkflowCompleted {
			t.Fatalf("call %d: %+v", i, s)
		}
		history, err := c.History(ctx, "who", key, client.HistoryRequest{})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range history {
			switch e.EventType {
			case events.EventTaskScheduled:
				if e.Data["handed_back"].Bool() {
					handedBack++
				}
			case events.EventTaskStarted:
				if by := e.Data["node_id"].Str(); by != "able" {
					t.Errorf("call %d was begun by %q", i, by)
				}
			default:
			}
		}
	}
}

func change(t *testing.T, w directory.Config, how func(*catalog.Catalog) (*events.MCPSubsystem, error)) {
	t.Helper()
	if err := directory.Change(t.Context(), w, "local", how); err != nil {
		t.Fatal(err)
	}
}

// soon waits for what other processes do.
func soon(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !is(); {
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
		kafka.Pause(t.Context(), 20*time.Millisecond)
	}
}
