package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The README's program compiles as it is in a module of its own, which cannot
// import what is internal.
func TestReadmeProgramInItsOwnModule(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	own := regexp.MustCompile(`(?m)^module .*$`).ReplaceAllString(read(t, root+"/go.mod"), "module example.com/hello")
	for name, text := range map[string]string{
		"main.go":    shownFile(t, read(t, root+"/README.md"), "examples/hello/main.go"),
		"hello.yaml": shownFile(t, read(t, root+"/README.md"), "examples/hello/hello.yaml"),
		"go.mod":     own + "\nrequire github.com/leat-io/leat v0.0.0\nreplace github.com/leat-io/leat => " + root + "\n",
		"go.sum":     read(t, root+"/go.sum"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.CommandContext(t.Context(), "go", "vet", "-mod=mod", ".") // compiles, and does not link
	build.Dir, build.Env = dir, append(os.Environ(), "GOPROXY=off", "GOWORK=off", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// shownFile is the block of a page that shows a file.
func shownFile(t *testing.T, page, file string) string {
	t.Helper()
	_, rest, ok := strings.Cut(page, "<!-- file: "+file+" -->\n```")
	_, rest, _ = strings.Cut(rest, "\n")
	text, _, ends := strings.Cut(rest, "\n```\n")
	if !ok || !ends {
		t.Fatalf("the page shows no %s", file)
	}
	return text + "\n"
}
