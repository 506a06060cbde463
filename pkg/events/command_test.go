package events_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/pkg/events"
)

func id(name string) events.UUID { return events.DeriveUUID(events.Namespace, name) }

// fullCommands are commands of every type, with every field that the type has.
func fullCommands() []events.Command {
	five := int64(5)
	common := events.Command{
		CommandID: id("command"), WorkflowType: "quake", InstanceID: id("instance"), Key: "ci37868143", IdempotencyKey: "once",
		CorrelationID: id("correlation"), CausationID: id("causation"), ExpectedSequence: &five, Priority: events.PriorityUrgent,
		Timestamp: time.Date(2026, 9, 21, 10, 0, 0, 123_456_000, time.UTC), Source: "test",
		Metadata: map[string]events.ContextValue{"three": events.Long(3), "three.0": events.Double(3)},
	}
	start, signal, claim, heartbeat, result, describe := common, common, common, common, common, common
	start.Command, start.Version, start.Payload = events.CommandStart, 3, json.RawMessage(`{"mag":2.0}`)
	signal.Command, signal.Event, signal.Payload = events.CommandSignal, "reviewed", json.RawMessage(`[1]`)
	claim.Command, claim.Result = events.CommandClaim, &events.TaskResult{TaskID: id("task"), Attempt: 1, NodeID: "n"}
	heartbeat.Command, heartbeat.Result = events.CommandHeartbeat, claim.Result
	result.Command, result.Payload = events.CommandResult, json.RawMessage(`null`)
	result.Result = &events.TaskResult{
		TaskID: id("task"), Attempt: 2, State: events.TaskFailed, NodeID: "n", ExecutionTime: 1500 * time.Millisecond,
		Error: &events.Error{Code: "NO", Message: "no", Retryable: true},
	}
	describe.Command = events.CommandDescribe
	return []events.Command{start, signal, claim, heartbeat, result, describe}
}

func TestCommandComesBackFromJSON(t *testing.T) {
	for _, want := range fullCommands() {
		if err := want.Validate(); err != nil {
			t.Errorf("%s: %v", want.Command, err)
		}
		text, err := events.EncodeCommandJSON(&want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := events.DecodeCommandJSON(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: -sent +got:\n%s", text, diff)
		}
	}
}

// The examples that people copy.
func TestCommandExamples(t *testing.T) {
	for _, text := range []string{
		`{"command":"start","type":"quake","key":"ci37868143","input":{"mag":2.0}}`,
		`{"command":"signal","type":"quake","key":"ci37868143","event":"reviewed","data":{}}`,
		`{"command":"result","type":"quake","instance_id":"` + someID + `","task_id":"` + someID + `","attempt":1,"state":"completed","data":{}}`,
		`{"command":"describe","type":"quake","key":"ci37868143"}`,
	} {
		c, err := events.DecodeCommandJSON([]byte(text))
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		c.Resolve(id("fallback"))
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if c.CommandID != id("fallback") || c.Priority != events.PriorityNormal {
			t.Errorf("%s: %+v", text, c)
		}
	}
}

func TestCommandJSONThatIsRefused(t *testing.T) {
	for _, c := range []struct{ text, field, says string }{
		{`{"command":"start","type":"quake","kex":"a"}`, "kex", "not a field"},
		{`{"command":"start","type":"quake","event":"a"}`, "event", "only of signal"},
		{`{"command":"signal","type":"quake","input":{}}`, "input", "only of start"},
		{`{"command":"claim","type":"quake","data":{}}`, "data", "only of signal, result"},
		{`{"command":"claim","type":"quake","state":"completed"}`, "state", "only of result"},
		{`{"command":"claim","type":"quake","execution_time_ms":1}`, "execution_time_ms", "only of result"},
		{`{"command":"start","type":"quake","task_id":"` + someID + `"}`, "task_id", "only of claim"},
		{`{"command":"describe","type":"quake","data":{}}`, "data", "not a field of command \"describe\""},
		{`{"command":"describe","type":"quake","reason":"a"}`, "reason", "not a field of command \"describe\""},
		{`{"command":"describe","type":"quake","version":1}`, "version", "not a field of command \"describe\""},
		{`{"command":"describe","type":"quake","task_id":"` + someID + `"}`, "task_id", "only of claim"},
		{`{"command":"stop","type":"quake"}`, "command", "none of start"},
		{`{"type":"quake"}`, "command", "none of start"},
		{`{"command":"start","type":7}`, "type", "is a JSON number"},
		{`{"command":"start","type":"quake","instance_id":""}`, "instance_id", "is empty"},
		{`{"command":"start","type":"quake","instance_id":"42"}`, "instance_id", "not a UUID"},
		{`{"command":"start","type":"quake","command_id":"00000000-0000-0000-0000-000000000000"}`, "command_id", "nil UUID"},
		{`{"command":"start","type":"quake","timestamp":"today"}`, "timestamp", "not a time"},
		{`{"command":"start","type":"quake","metadata":{"a":1,"b":null}}`, "metadata.b", "null"},
		{`{"command":"start","type":"quake","metadata":{"a":[1]}}`, "metadata.a", "strings only"},
		{`{"command":"result","type":"quake","execution_time_ms":9223372036854775807}`, "execution_time_ms", "not a duration"},
		{`{"command":"start","type":"quake","key":"a","key":"b"}`, "key", "twice"},
		{`{"command":"start","type":"quake","key":"a","Key":"b"}`, "Key", "twice"},
		{`{"command":"signal","type":"quake","event":"\ud800"}`, "event", "half"},
		{`{"command":"start","type":"quake","idempotency_key":"\ud801"}`, "idempotency_key", "half"},
		{`{"command":"start","type":"quake","IDEMPOTENCY_KEY":"` + "\xff" + `"}`, "idempotency_key", "UTF-8"},
		{`{"command":"start","type":"quake"} x`, "", "after the JSON object"},
		{`{"command":"start","type":"quake"}{}`, "", "after the JSON object"},
		{`{"command":"start"`, "", "not a JSON command"},
		{`[]`, "", "not a JSON command"},
		{``, "", "not a JSON command"},
	} {
		_, err := events.DecodeCommandJSON([]byte(c.text))
		var named *events.FieldError
		if err == nil || !strings.Contains(err.Error(), c.says) || c.field != "" && (!errors.As(err, &named) || named.Field != c.field) {
			t.Errorf("%s: %v, want an error of %q with %q", c.text, err, c.field, c.says)
		}
	}
}

func TestCommandValidation(t *testing.T) {
	for _, name := range []string{"a\x00", "a\nb", "\x1b[31m", "\u0085", "a\xff"} {
		c := fullCommands()[1]
		c.Event = name
		wantField(t, c.Validate(), "event")
	}
	once := fullCommands()[0]
	once.IdempotencyKey = "a\xff"
	wantField(t, once.Validate(), "idempotency_key")
	bad := map[string]func(start, signal, result *events.Command){
		"command_id":        func(c, _, _ *events.Command) { c.CommandID = events.Nil },
		"command":           func(c, _, _ *events.Command) { c.Command = "stop" },
		"type":              func(c, _, _ *events.Command) { c.WorkflowType = "Quake" },
		"instance_id":       func(c, _, _ *events.Command) { c.InstanceID = events.Nil },
		"key":               func(c, _, _ *events.Command) { c.Key = strings.Repeat("k", events.MaxKeyLength+1) },
		"version":           func(c, _, _ *events.Command) { c.Version = -1 },
		"idempotency_key":   func(c, _, _ *events.Command) { c.IdempotencyKey = strings.Repeat("k", events.MaxKeyLength+1) },
		"priority":          func(c, _, _ *events.Command) { c.Priority = "asap" },
		"payload":           func(c, _, _ *events.Command) { c.Payload = json.RawMessage(`{`) },
		"metadata.x":        func(c, _, _ *events.Command) { c.Metadata = map[string]events.ContextValue{"y": {}, "x": {}} },
		"expected_sequence": func(c, _, _ *events.Command) { *c.ExpectedSequence = -1 },
		"event":             func(_, c, _ *events.Command) { c.Event = "" },
		"result":            func(_, _, c *events.Command) { c.Result = nil },
		"result.task_id":    func(_, _, c *events.Command) { c.Result.TaskID = events.Nil },
		"result.attempt":    func(_, _, c *events.Command) { c.Result.Attempt = 0 },
		"result.state":      func(_, _, c *events.Command) { c.Result.State = events.TaskRunning },
		"result.error":      func(_, _, c *events.Command) { c.Result.Error = nil },
		"result.error.code": func(_, _, c *events.Command) { c.Result.Error.Code = "" },
		"result.node_id":    func(_, _, c *events.Command) { c.Result.NodeID = strings.Repeat("n", events.MaxNameLength+1) },
	}
	for field, spoil := range bad {
		all := fullCommands()
		spoil(&all[0], &all[1], &all[4])
		wantField(t, errors.Join(all[0].Validate(), all[1].Validate(), all[4].Validate()), field)
	}
}

func wantField(t *testing.T, err error, field string) {
	t.Helper()
	var named *events.FieldError
	if !errors.As(err, &named) || named.Field != field {
		t.Errorf("got %v, want an error of field %s", err, field)
	}
}

func TestResolveChangesNothingThatIsThere(t *testing.T) {
	for _, c := range fullCommands() {
		want := c
		c.Resolve(id("fallback"))
		if diff := cmp.Diff(want, c); diff != "" {
			t.Error(diff)
		}
	}
}

func ExampleDecodeCommandJSON() {
	c, err := events.DecodeCommandJSON([]byte(`{"command":"start","type":"quake","key":"ci37868143","input":{"mag":2.0}}`))
	fmt.Println(c.Command, c.WorkflowType, c.Key, string(c.Payload), err)
	_, err = events.DecodeCommandJSON([]byte(`{"command":"start","type":"quake","keys":"ci37868143"}`))
	fmt.Println(err)
	// Output:
	// start quake ci37868143 {"mag":2.0} <nil>
	// keys: is not a field of a command
}
