// Package api keeps what pkg/ promises to the world: the exported declarations,
// as text in pkg/api.txt. A change of them is a decision and shows in review.
package api

import (
	"bytes"
	"crypto/sha256"
	"flag"
	"fmt"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/printer"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite pkg/api.txt")

const (
	root   = "../../pkg"
	golden = root + "/api.txt"
)

func TestExportedDeclarations(t *testing.T) {
	var got bytes.Buffer
	err := filepath.WalkDir(root, func(dir string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		name, _ := filepath.Rel(root, dir)
		if d.Name() == "testdata" {
			return fs.SkipDir
		}
		return describe(&got, "github.com/leat-io/leat/pkg/"+filepath.ToSlash(name), dir)
	})
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got.String(), "\n")); diff != "" {
		t.Errorf("the exported declarations of pkg/ have changed (-before +now). If that is meant, run\n"+
			"\tgo test ./test/api -update\nand say in the commit why; taking away or changing breaks whoever imports them.\n%s", diff)
	}
}

// The changelog names the declarations that it speaks of, so that none changes
// without a look at what it says to users.
func TestChangelogKnowsTheDeclarations(t *testing.T) {
	declared, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	changelog, err := os.ReadFile("../../CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(declared)
	mark := fmt.Sprintf("<!-- pkg/api.txt %x -->", sum[:6])
	if !bytes.Contains(changelog, []byte(mark)) {
		t.Errorf("pkg/api.txt has changed: say under Unreleased in CHANGELOG.md what that means for whoever imports the packages, and put this mark there:\n\t%s", mark)
	}
}

// describe writes the exported declarations of the package in dir, without
// comments, bodies, tests and unexported fields.
func describe(w *bytes.Buffer, importPath, dir string) error {
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return err
	}
	fset := token.NewFileSet()
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		files = append(files, f)
	}
	if len(files) == 0 {
		return nil
	}
	p, err := doc.NewFromFiles(fset, files, importPath)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "package %s\n\n", importPath)
	values(w, fset, p.Consts, p.Vars)
	funcs(w, fset, p.Funcs)
	for _, t := range p.Types {
		write(w, fset, t.Decl)
		values(w, fset, t.Consts, t.Vars)
		funcs(w, fset, t.Funcs, t.Methods)
	}
	w.WriteByte('\n')
	return nil
}

// values writes them in the order of their text: in which file one stands is
// nobody's business outside.
func values(w *bytes.Buffer, fset *token.FileSet, lists ...[]*doc.Value) {
	for _, list := range lists {
		var all []string
		for _, v := range list {
			var one bytes.Buffer
			write(&one, fset, v.Decl)
			all = append(all, one.String())
		}
		slices.Sort(all)
		w.WriteString(strings.Join(all, ""))
	}
}

func funcs(w *bytes.Buffer, fset *token.FileSet, lists ...[]*doc.Func) {
	for _, f := range slices.Concat(lists...) {
		f.Decl.Body = nil
		write(w, fset, f.Decl)
	}
}

// write prints one declaration; the printer keeps the line breaks of the source
// where there are any.
func write(w *bytes.Buffer, fset *token.FileSet, decl ast.Decl) {
	config := printer.Config{Mode: printer.UseSpaces | printer.TabIndent, Tabwidth: 8}
	if err := config.Fprint(w, fset, decl); err != nil {
		fmt.Fprintf(w, "%v", err)
	}
	w.WriteByte('\n')
}
