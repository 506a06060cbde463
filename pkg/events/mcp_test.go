package events_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/leat-io/leat/pkg/events"
)

func subsystem() events.MCPSubsystem {
	return events.MCPSubsystem{
		SubsystemID: "files", Name: "Files", Type: events.MCPStorage, Version: "1.2.0", HTTP: "https://tools.example.com/mcp",
		Key: &events.MCPKey{Env: "FILES_TOKEN"}, Trust: events.MCPTrustNone, Weight: 1,
		Tools:        []events.MCPToolPolicy{{Name: "a", Repeat: "never"}, {Name: "b", Repeat: "key:request"}, {Name: "c", Repeat: "safe"}},
		Approved:     []events.MCPApproval{{Name: "a", Pin: strings.Repeat("a", 64), At: noon}},
		RegisteredAt: noon, UpdatedAt: noon,
	}
}

func TestSubsystemValidation(t *testing.T) {
	checkRecord(t, subsystem, map[string]func(*events.MCPSubsystem){
		"subsystem_id":        func(s *events.MCPSubsystem) { s.SubsystemID = "a/b" },
		"name":                func(s *events.MCPSubsystem) { s.Name = "" },
		"type":                func(s *events.MCPSubsystem) { s.Type = "rag" },
		"version":             func(s *events.MCPSubsystem) { s.Version = "1\n2" },
		"trust":               func(s *events.MCPSubsystem) { s.Trust = "" },
		"weight":              func(s *events.MCPSubsystem) { s.Weight = 0 },
		"tags":                func(s *events.MCPSubsystem) { s.Tags = []string{""} },
		"limits.idle_ms":      func(s *events.MCPSubsystem) { s.Limits.Idle = -time.Second },
		"limits.call_ms":      func(s *events.MCPSubsystem) { s.Limits.Call = 25 * time.Hour },
		"limits.result_bytes": func(s *events.MCPSubsystem) { s.Limits.ResultBytes = 65 << 20 },
		"limits.in_flight":    func(s *events.MCPSubsystem) { s.Limits.InFlight = -1 },
		"limits.per_second":   func(s *events.MCPSubsystem) { s.Limits.PerSecond = -1 },
		"tools":               func(s *events.MCPSubsystem) { s.Tools[0].Name = "" },
		"tools.a":             func(s *events.MCPSubsystem) { s.Tools[1].Name = "a" },
		"tools.a.repeat":      func(s *events.MCPSubsystem) { s.Tools[0].Repeat = "key:" },
		"tools.a.type":        func(s *events.MCPSubsystem) { s.Tools[0].Type = "query" },
		"approved.pin":        func(s *events.MCPSubsystem) { s.Approved[0].Pin = "A" },
		"approved.at":         func(s *events.MCPSubsystem) { s.Approved[0].At = time.Time{} },
		"registered_at":       func(s *events.MCPSubsystem) { s.RegisteredAt = time.Time{} },
	})
}

// What each part allows and the whole does not: an address, and a key that may go there.
func TestSubsystemProblems(t *testing.T) {
	good := subsystem()
	if all := good.Problems(); len(all) > 0 {
		t.Fatal(all)
	}
	for name, c := range map[string]struct {
		field string
		spoil func(*events.MCPSubsystem)
	}{
		"no address":                {"http", func(s *events.MCPSubsystem) { s.HTTP, s.Key = "", nil }},
		"two addresses":             {"stdio", func(s *events.MCPSubsystem) { s.Stdio, s.Key = "files", nil }},
		"not a command's name":      {"stdio", func(s *events.MCPSubsystem) { s.HTTP, s.Stdio, s.Key = "", "/bin/sh -c 'rm'", nil }},
		"another scheme":            {"http", func(s *events.MCPSubsystem) { s.HTTP = "file:///etc/passwd" }},
		"no host":                   {"http", func(s *events.MCPSubsystem) { s.HTTP = "https:///mcp" }},
		"a password":                {"http", func(s *events.MCPSubsystem) { s.HTTP = "https://me:secret@tools.example.com/" }},
		"a fragment":                {"http", func(s *events.MCPSubsystem) { s.HTTP = "https://tools.example.com/#a" }},
		"a control character":       {"http", func(s *events.MCPSubsystem) { s.HTTP = "https://tools.example.com/\n" }},
		"env and file":              {"key", func(s *events.MCPSubsystem) { s.Key.File = "/k" }},
		"neither env nor file":      {"key", func(s *events.MCPSubsystem) { s.Key.Env = "" }},
		"the key itself":            {"key.env", func(s *events.MCPSubsystem) { s.Key.Env = "sk-123 456" }},
		"the executor's password":   {"key.env", func(s *events.MCPSubsystem) { s.Key.Env = "KAFKA_SASL_PASSWORD" }},
		"a setting of the executor": {"key.env", func(s *events.MCPSubsystem) { s.Key.Env = "Leat_Http_Token" }},
		"a relative path":           {"key.file", func(s *events.MCPSubsystem) { s.Key = &events.MCPKey{File: "key"} }},
		"a path that leads out":     {"key.file", func(s *events.MCPSubsystem) { s.Key = &events.MCPKey{File: "/run/secrets/../../etc/shadow"} }},
		"a header of the protocol":  {"key.header", func(s *events.MCPSubsystem) { s.Key.Header = "Mcp-Session-Id" }},
		"a header that is repeated": {"key.header", func(s *events.MCPSubsystem) { s.Key.Header = "Idempotency-Key" }},
		"no header":                 {"key.header", func(s *events.MCPSubsystem) { s.Key.Header = "X Key" }},
		"a key in clear text":       {"key", func(s *events.MCPSubsystem) { s.HTTP = "http://tools.example.com/" }},
		"a key of a command":        {"key", func(s *events.MCPSubsystem) { s.HTTP, s.Stdio = "", "files" }},
	} {
		bad := subsystem()
		c.spoil(&bad)
		all := bad.Problems()
		if !slices.ContainsFunc(all, func(err error) bool { return strings.HasPrefix(err.Error(), c.field+": ") }) {
			t.Errorf("%s: got %v, want one of field %s", name, all, c.field)
		}
	}
	for _, near := range []string{"http://127.0.0.1:3901/mcp", "http://localhost/mcp", "http://[::1]:80/", "HTTPS://tools.example.com"} {
		s := subsystem()
		if s.HTTP = near; len(s.Problems()) > 0 {
			t.Errorf("%s: %v", near, s.Problems())
		}
	}
}

func tool() events.MCPTool {
	t := events.MCPTool{
		SubsystemID: "files", Name: "read", Description: "Reads <a file>", InputSchema: json.RawMessage(`{"type":"object"}`),
		OutputSchema: json.RawMessage(`{"type":"object"}`), Annotations: json.RawMessage(`{"readOnlyHint":true}`), SeenAt: noon, SeenBy: "node-1",
	}
	t.Pin, _ = t.ComputePin()
	return t
}

func TestToolValidation(t *testing.T) {
	checkRecord(t, tool, map[string]func(*events.MCPTool){
		"subsystem_id":  func(k *events.MCPTool) { k.SubsystemID = "" },
		"name":          func(k *events.MCPTool) { k.Name = "a\x1b[31m" },
		"description":   func(k *events.MCPTool) { k.Description = strings.Repeat("d", events.MaxMCPDescription+1) },
		"input_schema":  func(k *events.MCPTool) { k.InputSchema = nil },
		"output_schema": func(k *events.MCPTool) { k.OutputSchema = json.RawMessage(`{`) },
		"annotations":   func(k *events.MCPTool) { k.Annotations = json.RawMessage(`"` + strings.Repeat("a", 20<<10) + `"`) },
		"pin":           func(k *events.MCPTool) { k.Description += "!" },
		"seen_at":       func(k *events.MCPTool) { k.SeenAt = time.Time{} },
		"seen_by":       func(k *events.MCPTool) { k.SeenBy = "" },
	})
}

// The pin is a contract: whoever computes it another way would have to approve
// everything again.
func TestPinOfATool(t *testing.T) {
	k := tool()
	const want = "e73c5fb0bd83fc07729b5892cdae54ec9197206c12746082564e9d0fa90bd2ab" // sha256sum of the text that the comment of ComputePin describes
	if k.Pin != want {
		t.Errorf("got %s, want %s", k.Pin, want)
	}
	change := map[string]func(*events.MCPTool){
		"name":           func(k *events.MCPTool) { k.Name = "reads" },
		"description":    func(k *events.MCPTool) { k.Description += " " },
		"input schema":   func(k *events.MCPTool) { k.InputSchema = json.RawMessage(`{"type":"object","x":1}`) },
		"a large number": func(k *events.MCPTool) { k.InputSchema = json.RawMessage(`{"const":9007199254740993}`) },
		"its neighbour":  func(k *events.MCPTool) { k.InputSchema = json.RawMessage(`{"const":9007199254740992}`) },
		"no output":      func(k *events.MCPTool) { k.OutputSchema = nil },
		"null output":    func(k *events.MCPTool) { k.OutputSchema = json.RawMessage(`null`) },
		"a hint":         func(k *events.MCPTool) { k.Annotations = json.RawMessage(`{"readOnlyHint":false}`) },
	}
	pins := map[string]string{k.Pin: "nothing"}
	for name, f := range change {
		other := tool()
		f(&other)
		pin, err := other.ComputePin()
		if err != nil || pins[pin] != "" {
			t.Errorf("%s has the pin of %s, %v", name, pins[pin], err)
		}
		pins[pin] = name
	}
	same := tool()
	same.SubsystemID, same.SeenBy, same.Annotations = "other", "node-2", json.RawMessage("{ \"readOnlyHint\" : true\n}")
	if pin, _ := same.ComputePin(); pin != k.Pin {
		t.Error("white space, who saw it and where change the pin")
	}
}

// Whatever order a server writes its keys in, the pin is the same; and what is
// canonical stays as it is.
func TestCanonicalJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		object := map[string]json.RawMessage{}
		keys := rapid.SliceOfDistinct(rapid.String(), func(s string) string { return s }).Draw(t, "keys")
		write := func(order []string) []byte {
			b := []byte("{ ")
			for i, k := range order {
				if i > 0 {
					b = append(b, ", "...)
				}
				name, _ := json.Marshal(k)
				b = append(append(append(b, name...), ": "...), object[k]...)
			}
			return append(b, "}\n"...)
		}
		for _, k := range keys {
			object[k] = json.RawMessage(rapid.SampledFrom([]string{"1", "1.0", "1e400", "[ 1 ,2]", `"<&>"`, "null", `{"b":1, "a":2}`}).Draw(t, "value"))
		}
		one, err := events.AppendCanonicalJSON(nil, write(keys))
		if err != nil {
			t.Fatal(err)
		}
		other, _ := events.AppendCanonicalJSON(nil, write(rapid.Permutation(keys).Draw(t, "order")))
		again, _ := events.AppendCanonicalJSON(nil, one)
		if string(one) != string(other) || string(again) != string(one) {
			t.Fatalf("%s\n%s\n%s", one, other, again)
		}
	})
	for _, bad := range []string{"", "{", "1 2", "nul"} {
		if _, err := events.AppendCanonicalJSON(nil, []byte(bad)); err == nil {
			t.Errorf("%q is JSON", bad)
		}
	}
}

func TestHealthValidation(t *testing.T) {
	fresh := func() events.MCPHealth {
		return events.MCPHealth{
			SubsystemID: "files", NodeID: "node-1", Lifecycle: events.MCPActive, Connection: events.MCPConnected, Health: events.HealthHealthy,
			Breaker: events.BreakerClosed, Reason: events.MCPReasonNone, Since: noon, UpdatedAt: noon, ValidUntil: noon,
			Tools: []events.MCPOffer{{Name: "a", Pin: strings.Repeat("a", 64)}, {Name: "b", Pin: strings.Repeat("b", 64)}},
		}
	}
	checkRecord(t, fresh, map[string]func(*events.MCPHealth){
		"subsystem_id": func(h *events.MCPHealth) { h.SubsystemID = "" },
		"node_id":      func(h *events.MCPHealth) { h.NodeID = "" },
		"lifecycle":    func(h *events.MCPHealth) { h.Lifecycle = "maintenance" },
		"connection":   func(h *events.MCPHealth) { h.Connection = "" },
		"health":       func(h *events.MCPHealth) { h.Health = "unauthenticated" },
		"breaker":      func(h *events.MCPHealth) { h.Breaker = "half" },
		"reason":       func(h *events.MCPHealth) { h.Reason = "" },
		"since":        func(h *events.MCPHealth) { h.Since = time.Time{} },
		"key_hash":     func(h *events.MCPHealth) { h.KeyHash = "secret" },
		"tools":        func(h *events.MCPHealth) { h.Tools[0].Name = "c" },
		"tools.pin":    func(h *events.MCPHealth) { h.Tools[0].Pin = "" },
		"updated_at":   func(h *events.MCPHealth) { h.UpdatedAt = time.Time{} },
		"valid_until":  func(h *events.MCPHealth) { h.ValidUntil = time.Time{} },
	})
}

// Work goes to four of the twelve.
func TestRoutableHealth(t *testing.T) {
	var routable []events.HealthStatus
	for _, h := range events.HealthStatuses() {
		if h.Routable() {
			routable = append(routable, h)
		}
	}
	want := []events.HealthStatus{events.HealthHealthy, events.HealthDegraded, events.HealthWarning, events.HealthAvailable}
	if len(events.HealthStatuses()) != 12 || !slices.Equal(routable, want) {
		t.Errorf("got %v of %d", routable, len(events.HealthStatuses()))
	}
}
