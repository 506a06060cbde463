package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// clock is what reads the machine's clock or waits for it.
const clock = "Now Since Until Sleep After AfterFunc NewTimer NewTicker Tick"

// A pure package may import time for its types, and has no clock; and it has no
// goroutines: what it does is done when it returns, in the same order each time.
func TestPureCode(t *testing.T) {
	for _, p := range load(t) {
		row, ok := find(p.short())
		if !ok || !layers[row].pure {
			continue
		}
		fset := token.NewFileSet()
		for _, name := range p.GoFiles {
			f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Errorf("%s: %v", p.short(), err)
				continue
			}
			for at, what := range impurities(f) {
				t.Errorf("%s: %s in a pure package. Take it as data, or do it in a package that is not pure.", fset.Position(at), what)
			}
		}
	}
}

// impurities finds clocks and goroutines, and where they are.
func impurities(f *ast.File) map[token.Pos]string {
	found := make(map[token.Pos]string)
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			found[n.Pos()] = "a goroutine"
		case *ast.SelectStmt:
			found[n.Pos()] = "a select"
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && anyPrefix(clock, n.Sel.Name) {
				found[n.Pos()] = "time." + n.Sel.Name
			}
		}
		return true
	})
	return found
}

func TestPureCodeRefuses(t *testing.T) {
	const source = "package p\nimport \"time\"\nfunc f() { go f(); _ = time.Now(); _ = time.Second; select {} }\n"
	f, err := parser.ParseFile(token.NewFileSet(), "p.go", strings.NewReader(source), 0)
	if err != nil {
		t.Fatal(err)
	}
	if found := impurities(f); len(found) != 3 {
		t.Errorf("found %v, want a goroutine, a clock and a select", found)
	}
}
