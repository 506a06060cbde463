package archtest

import (
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/leat-io/leat"

// pkg is what `go list -json` says of one package, files of its tests excluded.
type pkg struct {
	ImportPath string
	Dir        string
	Standard   bool
	GoFiles    []string
	Imports    []string
	Deps       []string

	TestImports  []string
	XTestImports []string
}

func (p pkg) short() string { return strings.TrimPrefix(p.ImportPath, module+"/") }

// load lists every package of the module.
func load(t *testing.T) []pkg {
	t.Helper()
	readTree(t)
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Dir,Standard,GoFiles,Imports,Deps,TestImports,XTestImports", module+"/...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v", cmd, err)
	}
	var pkgs []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		if len(p.GoFiles) > 0 { // else only tests, which may import what they like
			pkgs = append(pkgs, p)
		}
	}
}

// readTree looks into every folder with code. The go command reuses a test's
// last result while nothing that the test itself has read differs, and it does
// not see what `go list` reads; a new package would go unnoticed.
func readTree(t *testing.T) {
	t.Helper()
	root := filepath.Join("..", "..")
	for _, top := range []string{"bench", "cmd", "examples", "internal", "pkg", "schemas", "test"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(_ string, _ fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) { // not there yet, or gone while we looked
				return nil
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestImports(t *testing.T) {
	for _, p := range load(t) {
		row, ok := find(p.short())
		if !ok {
			t.Errorf("%s has no row in the table. Say in internal/archtest/layers_test.go what it may import:\n\t%q: {inside: %q, outside: %q},",
				p.short(), p.short(), strings.Join(inside(p.Imports), " "), strings.Join(outside(p.Imports), " "))
			continue
		}
		for _, imp := range p.Imports {
			if why := refuse(row, imp); why != "" {
				t.Errorf("%s imports %s: %s", p.short(), imp, why)
			}
		}
	}
}

// What a user copies from an example works in another module, the tests as well.
func TestExamplesNeedNoInternals(t *testing.T) {
	looked := 0
	for _, p := range load(t) {
		if !under(p.short(), "examples") {
			continue
		}
		for _, imp := range slices.Concat(p.TestImports, p.XTestImports) {
			looked++
			if short, ours := strings.CutPrefix(imp, module+"/"); ours && under(short, "internal") {
				t.Errorf("a test of %s imports %s, which no user can. pkg/leattest runs an engine in a test, pkg/definition reads definitions.", p.short(), short)
			}
		}
	}
	if looked < 10 {
		t.Errorf("the tests of the examples import only %d packages: this test has lost its subject", looked)
	}
}

// refuse returns why the row does not allow the import and what to do about it, or "".
func refuse(row, imp string) string {
	l := layers[row]
	own := strings.TrimSuffix(row, "/...")
	short, ours := strings.CutPrefix(imp, module+"/")
	switch {
	case ours && (under(short, own) || anyPrefix(l.inside, short)):
	case ours:
		return "that arrow points up or sideways. Move the code to where it may know this, hand the value in, or, if the architecture changes, add " +
			short + " to the inside of row " + row + "."
	case standard(imp):
		if l.pure && anyPrefix(impure, imp) {
			return "a pure package takes time, ids and input as data and does no I/O. Do it in internal/ and hand the result in."
		}
	case anyPrefix(l.outside, imp):
	default:
		return "this library may be used only in [" + strings.Join(homes(imp), " ") +
			"]. Call that package, or, if the architecture changes, add the library to the outside of row " + row + "."
	}
	return ""
}

// find returns the row for a package: its own, else that of the longest tree around it.
func find(short string) (row string, ok bool) {
	if _, ok := layers[short]; ok || anyPrefix(rooms, short) {
		return short, ok
	}
	for dir := short; dir != "."; dir = path.Dir(dir) {
		if _, ok := layers[dir+"/..."]; ok {
			return dir + "/...", true
		}
		// internal/kafka also speaks for what lies below it.
		if _, ok := layers[dir]; ok {
			return dir, true
		}
	}
	return "", false
}

// homes returns the rows that may import the library.
func homes(imp string) []string {
	var rows []string
	for row, l := range layers {
		if anyPrefix(l.outside, imp) {
			rows = append(rows, row)
		}
	}
	slices.Sort(rows)
	return rows
}

func anyPrefix(list, p string) bool {
	return slices.ContainsFunc(strings.Fields(list), func(prefix string) bool { return under(p, prefix) })
}

func under(p, prefix string) bool { return p == prefix || strings.HasPrefix(p, prefix+"/") }

// standard tells the standard library by its first element, which has no dot.
func standard(imp string) bool {
	first, _, _ := strings.Cut(imp, "/")
	return !strings.Contains(first, ".")
}

func inside(imports []string) (short []string) {
	for _, imp := range imports {
		if s, ours := strings.CutPrefix(imp, module+"/"); ours {
			short = append(short, s)
		}
	}
	return short
}

func outside(imports []string) (others []string) {
	for _, imp := range imports {
		if !standard(imp) && !strings.HasPrefix(imp, module+"/") {
			others = append(others, imp)
		}
	}
	return others
}

// Every package says once what it is for, and not twice something different.
func TestPackageDocs(t *testing.T) {
	for _, p := range load(t) {
		var docs []string
		for _, name := range p.GoFiles {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Errorf("%s: %v", p.short(), err)
				continue
			}
			if f.Doc != nil && strings.TrimSpace(f.Doc.Text()) != "" {
				docs = append(docs, name)
			}
		}
		switch {
		case len(docs) == 0:
			t.Errorf(`%s has no package comment. Write "// Package %s ..." above the package clause of one file: what it is for, and what not.`,
				p.short(), path.Base(p.short()))
		case len(docs) > 1:
			t.Errorf("%s has package comments in %s. Keep one; put an empty line between the others and their package clause.",
				p.short(), strings.Join(docs, ", "))
		}
	}
}

// Code for tests must not travel in a program that people run.
func TestProgramsDoNotContainTesting(t *testing.T) {
	pkgs := load(t)
	imports := map[string][]string{}
	for _, p := range pkgs {
		imports[p.ImportPath] = p.Imports
	}
	for _, p := range pkgs {
		if !under(p.short(), "cmd") {
			continue
		}
		for _, dep := range append(p.Deps, p.ImportPath) {
			if slices.Contains(imports[dep], "testing") {
				t.Errorf("%s contains %s, which imports testing. Move what the test needs into a _test.go file or a package below test/.",
					p.short(), strings.TrimPrefix(dep, module+"/"))
			}
		}
	}
}

// The rules themselves: a table that allows too much fails nothing.
func TestRulesRefuse(t *testing.T) {
	for _, c := range []struct {
		pkg, imp string
		ok       bool
	}{
		{"pkg/events", "fmt", true},
		{"pkg/events", "net/http", false},
		{"pkg/events", "time", true},
		{"pkg/events", module + "/pkg/fsm", false},
		{"pkg/fsm", module + "/pkg/events", true},
		{"pkg/fsm", "github.com/twmb/franz-go/pkg/kgo", false},
		{"internal/kafka", "github.com/twmb/franz-go/pkg/kgo", true},
		{"internal/kafka/deeper", "github.com/twmb/franz-go/pkg/kgo", true},
		{"internal/router", "github.com/twmb/franz-go/pkg/kgo", false},
		{"internal/router", module + "/internal/kafka", true},
		{"internal/kafka", module + "/internal/router", false},
		{"internal/devkafka", "github.com/twmb/franz-go/pkg/kfake", true},
		{"internal/devkafka", "github.com/twmb/franz-go/pkg/kgo", false},
		{"cmd/router", module + "/internal/router", false},
		{"internal/spi/workflow", module + "/pkg/events", true},
		{"internal/spi/workflow", "os", false},
		{"internal/spi/eventbus", "net/http", false},
		{"internal/spi/eventbus", "log/slog", false},
		{"internal/spi/eventbus", module + "/pkg/topics", false},
		{"internal/spi/spitest", module + "/pkg/client", false},
		{"pkg/client", module + "/pkg/executor", false},
		{"pkg/executor", module + "/pkg/client", false},
		{"internal/kafka", module + "/pkg/client", false},
		{"internal/cli", module + "/internal/cli/def", true},
		{"internal/cli/def", module + "/internal/cli/schedule", false},
		{"internal/cli/output", module + "/internal/cli/session", false},
		{"cmd/leat", module + "/internal/cli", true},
		{"cmd/leat", module + "/pkg/client", false},
		{"cmd/leat", "github.com/spf13/cobra", false},
	} {
		row, found := find(c.pkg)
		if !found {
			t.Errorf("%s has no row", c.pkg)
			continue
		}
		if why := refuse(row, c.imp); (why == "") != c.ok {
			t.Errorf("%s imports %s: allowed should be %v; said %q", c.pkg, c.imp, c.ok, why)
		}
	}
	for _, newcomer := range []string{"internal/kafkaesque", "pkg/leaf", "pkg/events/deeper", "internal/spi/newcomer", "internal/cli/newcomer", "cmd/newcomer"} {
		if row, ok := find(newcomer); ok {
			t.Errorf("the new package %s got the row %s", newcomer, row)
		}
	}
}

// Outside tests, benchmarks and examples no row allows all of pkg/: client and
// executor are for users, and what they may not know of each other is listed.
func TestRowsNameWhatTheyNeed(t *testing.T) {
	for row, l := range layers {
		if anyPrefix("test bench examples", strings.TrimSuffix(row, "/...")) {
			continue
		}
		if slices.Contains(strings.Fields(l.inside), "pkg") {
			t.Errorf("row %s allows all of pkg/. Name the packages that it needs.", row)
		}
		if strings.HasSuffix(row, "/...") && anyPrefix(rooms, strings.TrimSuffix(row, "/...")) {
			t.Errorf("row %s speaks for a tree in which every package has a row of its own.", row)
		}
	}
}
