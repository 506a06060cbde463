package docs

import (
	"encoding/json"
	"go/ast"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/leat-io/leat/pkg/fsm"
)

const editorSchema = "../../schemas/definition.schema.json"

// inSchema says where the schema for editors describes what the parser calls by
// these names: a definition of $defs or the whole, and properties inside it.
var inSchema = map[string][]string{
	"a definition":  {""},
	"compensation":  {"/compensation"},
	"limits":        {"/limits"},
	"tool":          {"/tool"},
	"a variable":    {"/data/*"},
	"a payload":     {"/payloads/*"},
	"initial":       {"initial"},
	"a transition":  {"transition"},
	"an action":     {"action"},
	"raise":         {"action/raise"},
	"send":          {"action/send"},
	"emit":          {"action/emit"},
	"state ":        {"state"},
	"error":         {"state/error"},
	"an invocation": {"invocation"},
	"mcp":           {"invocation/mcp", "dagTask/mcp"},
	"http":          {"invocation/http", "dagTask/http"},
	"workflow":      {"invocation/workflow", "dagTask/workflow"},
	"human":         {"invocation/human", "dagTask/human"},
	"timeout":       {"invocation/timeout", "dagTask/timeout"},
	"retry":         {"invocation/retry", "dagTask/retry"},
	"node":          {"invocation/node", "dagTask/node"},
	"a need":        {"need"},
}

// Every object of a definition has the same fields for the parser as for the
// schema that editors use.
func TestEditorSchemaHasTheFieldsOfEveryObject(t *testing.T) {
	var schema map[string]any
	if err := json.Unmarshal([]byte(read(t, editorSchema)), &schema); err != nil {
		t.Fatal(err)
	}
	parsed := objects(t)
	for _, what := range slices.Sorted(maps.Keys(parsed)) {
		if inSchema[what] == nil {
			t.Errorf("the parser reads %q, and this test does not know where the schema describes it", what)
		}
	}
	for what, places := range inSchema {
		for _, place := range places {
			compareFields(t, what, place, parsed[what], properties(t, schema, at(t, schema, place)))
		}
	}
	task := append(slices.Clone(parsed["an invocation"]), "needs")
	compareFields(t, "a task of a graph", "dagTask", task, properties(t, schema, at(t, schema, "dagTask")))
}

func compareFields(t *testing.T, what, place string, parsed, described []string) {
	t.Helper()
	parsed, described = unique(parsed), unique(described)
	if len(parsed) == 0 || !slices.Equal(parsed, described) {
		t.Errorf("%s has the fields\n%v for the parser, and in the schema, at %q,\n%v", what, parsed, place, described)
	}
}

// objects are the fields that the parser knows, by what it calls their object.
func objects(t *testing.T) map[string][]string {
	t.Helper()
	lists := make(map[string][]string) // of variables
	for _, path := range sources(t, parserSources) {
		inSource(t, path, func(n ast.Node) {
			if spec, ok := n.(*ast.ValueSpec); ok {
				if list, ok := values(spec); ok {
					lists[spec.Names[0].Name] = literals(list)
				}
			}
		})
	}
	lists["known"] = lists["invocationFields"] // of the function invocation, but for needs
	out := make(map[string][]string)
	for _, path := range sources(t, parserSources) {
		inSource(t, path, func(n ast.Node) {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return
			}
			first := map[string]int{"fields": 1, "eventBody": 2}[called(call)]
			if first == 0 || len(call.Args) <= first {
				return
			}
			if what := literals(call.Args[first : first+1]); len(what) == 1 {
				out[what[0]] = listed(lists, call.Args[first+1:])
			} else if sum, ok := call.Args[first].(*ast.BinaryExpr); ok {
				out[literals([]ast.Expr{sum.X})[0]] = listed(lists, call.Args[first+1:])
			}
		})
	}
	return out
}

func called(call *ast.CallExpr) string {
	switch f := call.Fun.(type) {
	case *ast.SelectorExpr:
		return f.Sel.Name
	case *ast.Ident:
		return f.Name
	}
	return ""
}

// listed are the texts that arguments stand for: themselves, variables, append
// and the names of limits.
func listed(lists map[string][]string, args []ast.Expr) (out []string) {
	for _, arg := range args {
		switch arg := arg.(type) {
		case *ast.Ident:
			out = append(out, lists[arg.Name]...)
		case *ast.CallExpr:
			if called(arg) == "LimitNames" {
				out = append(out, fsm.LimitNames()...)
			}
			out = append(out, listed(lists, arg.Args)...)
		default:
			out = append(out, literals([]ast.Expr{arg})...)
		}
	}
	return out
}

// at is the schema at a place; * stands for the value of any property.
func at(t *testing.T, root map[string]any, place string) any {
	t.Helper()
	name, rest, _ := strings.Cut(place, "/")
	var here any = root
	if name != "" {
		here = root["$defs"].(map[string]any)[name]
	}
	for step := range strings.SplitSeq(rest, "/") {
		if step == "" {
			continue
		}
		var next any
		for _, s := range alternatives(root, here) {
			if known, ok := s["properties"].(map[string]any); ok && known[step] != nil {
				next = known[step]
			}
			if each, ok := s["additionalProperties"].(map[string]any); ok && step == "*" {
				next = each
			}
		}
		here = next
	}
	if here == nil {
		t.Fatalf("the schema has nothing at %q: the test has lost its subject", place)
	}
	return here
}

// alternatives are a schema and those of its oneOf, without references.
func alternatives(root map[string]any, schema any) (out []map[string]any) {
	s, ok := schema.(map[string]any)
	if !ok {
		return nil
	}
	if name, ok := s["$ref"].(string); ok {
		return alternatives(root, root["$defs"].(map[string]any)[strings.TrimPrefix(name, "#/$defs/")])
	}
	out = append(out, s)
	if list, ok := s["oneOf"].([]any); ok {
		for _, one := range list {
			out = append(out, alternatives(root, one)...)
		}
	}
	return out
}

func properties(t *testing.T, root map[string]any, schema any) (out []string) {
	t.Helper()
	for _, s := range alternatives(root, schema) {
		if known, ok := s["properties"].(map[string]any); ok {
			out = slices.AppendSeq(out, maps.Keys(known))
		}
	}
	return out
}
