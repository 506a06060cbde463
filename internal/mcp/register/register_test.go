package register

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/leat-io/leat/internal/mcp/catalog"
	"github.com/leat-io/leat/pkg/events"
)

var noon = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

const whole = `id: files
name: Files of the warehouse
type: storage
version: "1.2"
description: Reads and writes files.
tags: [warehouse]
http: https://tools.example.com/mcp
key: {env: FILES_TOKEN, header: X-Api-Key}
trust: annotations
effects: warehouse
weight: 3
limits: {idle: 90s, call: 5m, resultBytes: 1000000, inFlight: 4, perSecond: 50}
tools:
  write_file: {repeat: "key:request_id", capabilities: [write]}
  read_file: {repeat: safe, type: resource}
`

func TestParse(t *testing.T) {
	got, findings := Parse("files.yaml", []byte(whole), noon)
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	want := []events.MCPSubsystem{{
		SubsystemID: "files", Name: "Files of the warehouse", Type: events.MCPStorage, Version: "1.2", Description: "Reads and writes files.", Tags: []string{"warehouse"},
		HTTP: "https://tools.example.com/mcp", Key: &events.MCPKey{Env: "FILES_TOKEN", Header: "X-Api-Key"}, Trust: events.MCPTrustAnnotations, Effects: "warehouse", Weight: 3,
		Limits:       events.MCPLimits{Idle: 90 * time.Second, Call: 5 * time.Minute, ResultBytes: 1_000_000, InFlight: 4, PerSecond: 50},
		Tools:        []events.MCPToolPolicy{{Name: "read_file", Repeat: "safe", Type: events.MCPResource}, {Name: "write_file", Repeat: "key:request_id", Capabilities: []string{"write"}}},
		RegisteredAt: noon, UpdatedAt: noon,
	}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	// What is shown of it is a file of it.
	text, err := json.Marshal(DocumentOf(&got[0]))
	if err != nil {
		t.Fatal(err)
	}
	again, findings := Parse("files.json", text, noon)
	if d := cmp.Diff(want, again); d != "" || len(findings) > 0 {
		t.Error(findings, d)
	}
}

func TestDefaults(t *testing.T) {
	got, findings := Parse("f", []byte("id: a\ntype: api\nversion: 2\nstdio: a"), noon)
	if len(findings) > 0 || got[0].Name != "a" || got[0].Trust != events.MCPTrustNone || got[0].Weight != 1 || got[0].Version != "2" {
		t.Errorf("%+v %v", got, findings)
	}
}

// Everything that is wrong is said at once, where it stands.
func TestFindings(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"all at once": {
			"id: a/b\ntype: rag\nversion: 1\nhttp: http://tools.example.com/\nkey: {env: KAFKA_SASL_PASSWORD}\nweight: 0\nlimits: {idle: soon}\ntools:\n  x: {repeat: often}\n",
			"f:1:1: id: |f:2:1: type: |f:5:7: key.env: |f:5:1: key: |f:6:1: weight: |f:7:10: limits.idle: |f:9:7: tools.x.repeat: ",
		},
		"unknown fields":   {"id: a\ntype: api\nversion: 1\nstdio: a\ncommand: rm\nlimits: {result_bytes: 1}\n", "f:5:1: command: is no field|f:6:10: limits.result_bytes: is no field; did you mean resultBytes?"},
		"twice":            {"id: a\ntype: api\nversion: 1\nstdio: a\nid: b\n", "f:5:1: id: is there twice"},
		"no map":           {"- id: a\n", "f:1:1: is not a map of fields"},
		"nothing":          {"", "f:1:1: the file is empty"},
		"no YAML":          {"id: [", "neither YAML nor JSON"},
		"the same id":      {"id: a\ntype: api\nversion: 1\nstdio: a\n---\nid: a\ntype: api\nversion: 1\nstdio: b\n", `id: "a" is in this file twice`},
		"other kinds":      {"id: a\ntype: api\nversion: 1\nstdio: [a]\ntags: x\nweight: many\nkey: secret\n", "f:4:1: stdio: is not a text|f:5:1: tags: is not a list|f:6:1: weight: is not a whole number|f:7:1: key: is not a map"},
		"a secret":         {"id: a\ntype: api\nversion: 1\nhttp: https://me:hunter2@example.com/\n", "f:4:1: http: holds a user name or a password"},
		"a key of stdio":   {"id: a\ntype: api\nversion: 1\nstdio: a\nkey: {env: X}\n", "f:5:1: key: is for http"},
		"an odd name":      {"id: a\ntype: api\nversion: 1\nstdio: a\ntools: {\"\\e[31m\": {}}\n", "tools: "},
		"a limit of 0":     {"id: a\ntype: api\nversion: 1\nstdio: a\nlimits: {call: 0s}\n", "limits.call: is 0"},
		"a file too large": {strings.Repeat("#", MaxFile+1), "at most"},
	} {
		t.Run(name, func(t *testing.T) {
			_, findings := Parse("f", []byte(c.text), noon)
			var b strings.Builder
			for _, f := range findings {
				b.WriteString(f.String() + "\n")
			}
			for want := range strings.SplitSeq(c.want, "|") {
				if !strings.Contains(b.String(), want) {
					t.Errorf("%q is missing in\n%s", want, &b)
				}
			}
			if !Failed(findings) {
				t.Error("none is a mistake")
			}
			if strings.Contains(b.String(), "hunter2") {
				t.Errorf("a secret is repeated:\n%s", &b)
			}
		})
	}
}

func TestAgainst(t *testing.T) {
	servers, _ := Parse("f", []byte(whole), noon)
	s := servers[0]
	c := catalog.New()
	there := catalog.Approve(s, events.MCPApproval{Name: "read_file", Pin: strings.Repeat("a", 64), At: noon})
	there.RegisteredAt, there.UpdatedBy = noon.Add(-time.Hour), "alice"
	c.PutSubsystem(there)

	if out, changed, findings := Against(c, s, false); changed || len(findings) > 0 || len(out.Approved) != 1 {
		t.Errorf("the same again: %v %v", changed, findings)
	}
	s.Weight = 4
	_, _, findings := Against(c, s, false)
	if !Failed(findings) || !strings.Contains(findings[0].String(), "by alice") {
		t.Errorf("a duplicate: %v", findings)
	}
	out, changed, findings := Against(c, s, true)
	if !changed || Failed(findings) || len(out.Approved) != 1 || !out.RegisteredAt.Equal(there.RegisteredAt) {
		t.Errorf("an update: %+v %v", out, findings)
	}
	s.SubsystemID = "other"
	if _, _, findings := Against(c, s, false); Failed(findings) || len(findings) != 1 || findings[0].Field != "http" {
		t.Errorf("the same address: %v", findings)
	}
}

// The schema for editors knows the fields that are read, and says of the files
// above what reading them says.
func TestSchemaForEditors(t *testing.T) {
	const file = "../../../schemas/subsystem.schema.json"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var root struct {
		Properties map[string]struct {
			Properties           map[string]any
			Enum                 []string
			AdditionalProperties json.RawMessage
		}
	}
	if err := json.Unmarshal(text, &root); err != nil {
		t.Fatal(err)
	}
	same := func(what string, want, got []string) {
		slices.Sort(got)
		if d := cmp.Diff(slices.Sorted(slices.Values(want)), got); d != "" {
			t.Errorf("%s: -read +schema:\n%s", what, d)
		}
	}
	var tool struct {
		Properties map[string]struct{ Enum []string }
	}
	if err := json.Unmarshal(root.Properties["tools"].AdditionalProperties, &tool); err != nil {
		t.Fatal(err)
	}
	same("fields", Fields(), slices.Collect(maps.Keys(root.Properties)))
	same("key", keyFields, slices.Collect(maps.Keys(root.Properties["key"].Properties)))
	same("limits", limitFields, slices.Collect(maps.Keys(root.Properties["limits"].Properties)))
	same("tools", toolFields, slices.Collect(maps.Keys(tool.Properties)))
	same("types", texts(events.MCPSubsystemTypes()), root.Properties["type"].Enum)
	same("trust", texts(events.MCPTrusts()), root.Properties["trust"].Enum)
	same("tool types", texts(events.MCPToolTypes()), tool.Properties["type"].Enum)

	schema, err := jsonschema.NewCompiler().Compile(file)
	if err != nil {
		t.Fatal(err)
	}
	for text, good := range map[string]bool{
		whole: true, "id: a\ntype: api\nversion: 2\nstdio: a": true,
		"id: a\ntype: api\nversion: 2\nstdio: a\nhttp: https://a/": false, "id: a/b\ntype: api\nversion: 1\nstdio: a": false,
		"id: a\ntype: rag\nversion: 1\nstdio: a": false, "id: a\ntype: api\nversion: 1\nstdio: a\nx: 1": false,
		"id: a\ntype: api\nversion: 1\nhttp: https://a@b/": false, "id: a\ntype: api\nversion: 1\nstdio: a\ntools: {x: {repeat: often}}": false,
	} {
		var document any
		if err := yaml.Unmarshal([]byte(text), &document); err != nil {
			t.Fatal(err)
		}
		_, findings := Parse("f", []byte(text), noon)
		if err := schema.Validate(document); (err == nil) != good || Failed(findings) == good {
			t.Errorf("%q: schema %v, reading %v", text, err, findings)
		}
	}
}

func texts[E ~string](all []E) (out []string) {
	for _, e := range all {
		out = append(out, string(e))
	}
	return out
}
