package avro

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/schemas"
)

// Every record and field of every schema is documented, what may be null is
// null by default, and every closed set is the one of pkg/events.
func TestSchemasSayEverything(t *testing.T) {
	for _, r := range records() {
		var node any
		if err := json.Unmarshal([]byte(loaded().current[r.name].text), &node); err != nil {
			t.Fatal(err)
		}
		values := map[string][]string{}
		walkSchema(t, r.name, node, values)
		want := map[string][]string{}
		eachText(r.name, reflect.ValueOf(r.full(t)).Elem(), func(path string, v reflect.Value) {
			if set, closed := closedSets()[v.Type()]; closed && !strings.HasPrefix(path, "snapshot.incident.input.") {
				want[path] = set // that one is named there: it is the record of snapshot.held
			}
		})
		if diff := cmp.Diff(want, values); diff != "" {
			t.Errorf("%s: x-values: -pkg/events +schema:\n%s", r.name, diff)
		}
	}
}

func walkSchema(t *testing.T, path string, node any, values map[string][]string) {
	t.Helper()
	switch x := node.(type) {
	case []any:
		for _, branch := range x {
			walkSchema(t, path, branch, values)
		}
	case map[string]any:
		for _, part := range []string{"items", "values", "type"} {
			walkSchema(t, path, x[part], values)
		}
		if x["type"] == "record" && len(text(x["doc"])) < 20 {
			t.Errorf("%s: the record has no doc", path)
		}
		fields, _ := x["fields"].([]any)
		for _, f := range fields {
			walkField(t, path, f.(map[string]any), values)
		}
	}
}

func walkField(t *testing.T, path string, f map[string]any, values map[string][]string) {
	t.Helper()
	path += "." + text(f["name"])
	if len(text(f["doc"])) < 10 {
		t.Errorf("%s: no doc", path)
	}
	if union, ok := f["type"].([]any); ok && union[0] == "null" {
		if value, given := f["default"]; !given || value != nil {
			t.Errorf("%s: may be null, so its default is null", path)
		}
	}
	if set, ok := f["x-values"].([]any); ok {
		for _, v := range set {
			values[path] = append(values[path], text(v))
		}
	}
	walkSchema(t, path, f["type"], values)
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

// A schema that was released once is still read: what is new takes its
// default, what is gone is skipped, an int grows into a long.
func TestAnOlderSchemaIsRead(t *testing.T) {
	now := loaded().current["checkpoint"].text
	old := strings.Replace(now, `{"name":"next_offset","type":"long",`, `{"name":"gone","type":"string","doc":"-"},{"name":"next_offset","type":"int",`, 1)
	grown := strings.Replace(now, `{"name":"source","type":"string",`, `{"name":"source","type":"string","default":"unknown",`, 1)
	before, _, _ := strings.Cut(old, `    {"name":"source"`)
	_, after, _ := strings.Cut(old, "slot that wrote it.\"},\n")
	old = before + after
	r, err := loadRegistry(fstest.MapFS{
		"checkpoint.avsc": {Data: []byte(grown)}, "old/checkpoint-1.avsc": {Data: []byte(old)},
	})
	if err != nil {
		t.Fatal(err)
	}
	var writer *writer
	for _, w := range r.all {
		if w.resolved != nil {
			writer = w
		}
	}
	single, err := writer.schema.AppendSingleObject(nil, map[string]any{
		"partition": int32(3), "gone": "x", "next_offset": int32(42), "timestamp": int64(1_789_984_800_123_456),
	})
	if err != nil {
		t.Fatal(err)
	}
	body, err := r.body("checkpoint", single)
	if err != nil {
		t.Fatal(err)
	}
	var c codec
	var got events.Checkpoint
	c.startDecode(body)
	checkpoint(&c, &got)
	if c.err != nil || got.Partition != 3 || got.NextOffset != 42 || got.Source != "unknown" || got.Timestamp.UnixMicro() != 1_789_984_800_123_456 {
		t.Errorf("%+v, %v", got, c.err)
	}
	if _, err := r.body("checkpoint", append(single, 0)); err == nil {
		t.Error("bytes after the end were not seen")
	}
	for n := headerSize; n < len(single); n++ {
		if _, err := r.body("checkpoint", single[:n]); err == nil {
			t.Errorf("cut at %d: no error", n)
		}
	}
}

func TestSchemasThatCannotBe(t *testing.T) {
	good, err := schemas.Files.ReadFile("checkpoint.avsc")
	if err != nil {
		t.Fatal(err)
	}
	for name, files := range map[string]fstest.MapFS{
		"not a schema":       {"a.avsc": {Data: []byte("{")}},
		"same twice":         {"a.avsc": {Data: good}, "b.avsc": {Data: good}},
		"old of nothing":     {"old/a-1.avsc": {Data: good}},
		"cannot be resolved": {"a.avsc": {Data: good}, "old/a-1.avsc": {Data: []byte(`{"type":"record","name":"Checkpoint","fields":[]}`)}},
	} {
		if _, err := loadRegistry(files); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
