package definition_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/leat-io/leat/internal/definition"
	"github.com/leat-io/leat/internal/simulate"
)

// The schema that editors use agrees with the parser: what parses without an
// error is valid, and what has a wrong field or type is not.
func TestEditorSchema(t *testing.T) {
	schema := editorSchema(t)
	datadriven.Walk(t, "testdata/rules", func(t *testing.T, path string) {
		rule := strings.TrimSuffix(filepath.Base(path), ".txt")
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			err := validAs(schema, []byte(d.Input))
			_, findings, parseErr := definition.Parse("x", []byte(d.Input))
			if parseErr == nil && err != nil {
				t.Errorf("%s: parses, but the schema refuses it: %v", d.Pos, err)
			}
			if d.Cmd == "bad" && (rule == "unknown-field" || rule == "missing-field" || rule == "bad-action" || rule == "bad-invocation") && err == nil {
				t.Errorf("%s: the schema accepts what does not parse: %v", d.Pos, findings)
			}
			return d.Expected
		})
	})
	for _, path := range []string{"../../pkg/fsm/testdata/scxml/history.json", "../../pkg/fsm/testdata/scxml/actionSend.json"} {
		var cases []simulate.Case
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &cases); err != nil {
			t.Fatal(err)
		}
		for _, c := range cases {
			if err := validAs(schema, c.Definition); err != nil {
				t.Errorf("%s: %v", c.Name, err)
			}
		}
	}
}

// What the repository shows as a definition is right for editors too.
func TestEditorSchemaAcceptsEveryDefinition(t *testing.T) {
	schema := editorSchema(t)
	count := 0
	for _, pattern := range []string{
		"../../examples/*/*.yaml", "../../docs/how-to/examples/*.yaml", "../../internal/cli/testdata/*.yaml", "../draw/testdata/*.yaml", "../../test/interop/*.yaml",
	} {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s: %v, %d files", pattern, err, len(paths))
		}
		for _, path := range paths {
			src, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := definition.Parse(path, src); err != nil {
				continue // wrong on purpose, or no definition
			}
			count++
			if err := validAs(schema, src); err != nil {
				t.Errorf("%s: parses, but the schema refuses it: %v", path, err)
			}
		}
	}
	if count < 20 {
		t.Errorf("only %d definitions were found: the test has lost its subject", count)
	}
}

func editorSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := os.ReadFile("../../schemas/definition.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("s", document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("s")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func validAs(schema *jsonschema.Schema, src []byte) error {
	var value any
	if json.Unmarshal(src, &value) != nil {
		if err := yaml.Unmarshal(src, &value); err != nil {
			return err
		}
	}
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	instance, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
	if err != nil {
		return err
	}
	return schema.Validate(instance)
}
