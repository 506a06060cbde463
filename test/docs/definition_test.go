package docs

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	definitionPage = "../../docs/reference/definition.md"
	parserSources  = "../../internal/definition/*.go"
	fsmSources     = "../../pkg/fsm/*.go"
)

// Every field that the parser or the schema knows is named in a table of the
// reference, and every name in a column of fields is a field.
func TestDefinitionReferenceNamesEveryField(t *testing.T) {
	known := schemaFields(t)
	for _, path := range sources(t, parserSources, fsmSources) {
		inSource(t, path, func(n ast.Node) { known = append(known, parsedFields(n)...) })
	}
	compare(t, "field", known, named(t, "Field"))
}

// Every rule of validation is in the table of rules, and no other.
func TestDefinitionReferenceNamesEveryRule(t *testing.T) {
	var known []string
	for _, path := range sources(t, parserSources, fsmSources) {
		inSource(t, path, func(n ast.Node) { known = append(known, rules(n)...) })
	}
	for _, path := range sources(t, "../../internal/definition/testdata/rules/*.txt") {
		known = append(known, strings.TrimSuffix(filepath.Base(path), ".txt"))
	}
	compare(t, "rule", known, named(t, "Rule"))
}

func compare(t *testing.T, what string, known, named []string) {
	t.Helper()
	if len(known) < 25 {
		t.Fatalf("only %d %ss were found in the code: the test has lost its subject", len(known), what)
	}
	for _, name := range unique(known) {
		if !slices.Contains(named, name) {
			t.Errorf("%s does not name the %s %q", definitionPage, what, name)
		}
	}
	for _, name := range unique(named) {
		if !slices.Contains(known, name) {
			t.Errorf("%s names the %s %q, which does not exist", definitionPage, what, name)
		}
	}
}

func unique(list []string) []string { return slices.Compact(slices.Sorted(slices.Values(list))) }

var code = regexp.MustCompile("`([^`]+)`")

// named are the names in the first columns of the page's tables whose heading
// begins with the given word.
func named(t *testing.T, heading string) []string {
	t.Helper()
	var out []string
	inside := false
	for line := range strings.Lines(read(t, definitionPage)) {
		cell, isRow := strings.CutPrefix(line, "| ")
		switch {
		case !isRow:
			inside = inside && strings.HasPrefix(line, "|--")
		case strings.HasPrefix(cell, heading+" "):
			inside = true
		case inside:
			first, _, _ := strings.Cut(cell, " | ")
			for _, match := range code.FindAllStringSubmatch(first, -1) {
				out = append(out, match[1])
			}
		}
	}
	return out
}

// schemaFields are the names of all properties in the schema for editors.
func schemaFields(t *testing.T) (out []string) {
	t.Helper()
	var schema any
	if err := json.Unmarshal([]byte(read(t, "../../schemas/definition.schema.json")), &schema); err != nil {
		t.Fatal(err)
	}
	var visit func(any)
	visit = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, item := range v {
				visit(item)
			}
		case map[string]any:
			if properties, ok := v["properties"].(map[string]any); ok {
				for name := range properties {
					out = append(out, name)
				}
			}
			for _, item := range v {
				visit(item)
			}
		}
	}
	visit(schema)
	return out
}

// parsedFields are the texts that a piece of the parser takes for names of
// fields: the arguments of a call of fields, and the lists that such calls get.
func parsedFields(n ast.Node) []string {
	switch n := n.(type) {
	case *ast.CallExpr:
		if method, ok := n.Fun.(*ast.SelectorExpr); ok && method.Sel.Name == "fields" && len(n.Args) > 2 {
			return literals(n.Args[2:])
		}
	case *ast.ValueSpec:
		list, ok := values(n)
		if ok && strings.HasSuffix(n.Names[0].Name, "Fields") || ok && n.Names[0].Name == "actionNames" {
			return literals(list)
		}
		if strings.HasPrefix(n.Names[0].Name, "Limit") && len(n.Values) == 1 {
			return literals(n.Values)
		}
	}
	return nil
}

func values(n *ast.ValueSpec) ([]ast.Expr, bool) {
	if len(n.Values) != 1 {
		return nil, false
	}
	list, ok := n.Values[0].(*ast.CompositeLit)
	if !ok {
		return nil, false
	}
	return list.Elts, true
}

// rules are the names of rules in a call that reports a finding.
func rules(n ast.Node) []string {
	switch n := n.(type) {
	case *ast.CallExpr:
		if method, ok := n.Fun.(*ast.SelectorExpr); ok && (method.Sel.Name == "errorf" || method.Sel.Name == "warnf") && len(n.Args) > 2 {
			return literals(n.Args[1:2])
		}
	case *ast.KeyValueExpr:
		if key, ok := n.Key.(*ast.Ident); ok && (key.Name == "Rule" || key.Name == "rule") {
			return literals([]ast.Expr{n.Value})
		}
	}
	return nil
}

func literals(list []ast.Expr) (out []string) {
	for _, e := range list {
		if lit, ok := e.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if text, err := strconv.Unquote(lit.Value); err == nil {
				out = append(out, text)
			}
		}
	}
	return out
}

func inSource(t *testing.T, path string, visit func(ast.Node)) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if n != nil {
			visit(n)
		}
		return true
	})
}

// sources are the files of the patterns but tests.
func sources(t *testing.T, patterns ...string) (out []string) {
	t.Helper()
	for _, pattern := range patterns {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s: %v, %d files", pattern, err, len(paths))
		}
		out = append(out, slices.DeleteFunc(paths, func(path string) bool { return strings.HasSuffix(path, "_test.go") })...)
	}
	return out
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
