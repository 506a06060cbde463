package archtest

import (
	"bytes"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

const (
	// maxFiles is how many files of code, tests aside, one folder may hold: what a
	// reader can take in at a look.
	maxFiles = 20
	// maxLines is how long a file of code may be.
	maxLines = 400
)

// A folder is a room: what is in it changes for one reason. A room that is full is
// divided by what its files are for.
func TestRooms(t *testing.T) {
	rooms := measure(t, os.DirFS(filepath.Join("..", "..")))
	if len(rooms) < 50 {
		t.Fatalf("there are only %d folders with code: this test has lost its subject", len(rooms))
	}
	for dir, files := range rooms {
		if len(files) > maxFiles {
			t.Errorf("%s has %d files of code, at most %d: make of those that change for one reason a package of their own, named after it, or one file.",
				dir, len(files), maxFiles)
		}
		for name, lines := range files {
			if lines > maxLines {
				t.Errorf("%s has %d lines, at most %d: divide it by what its parts are for.", path.Join(dir, name), lines, maxLines)
			}
		}
	}
}

// measure counts the lines of every file of code, tests aside, by folder and name.
func measure(t *testing.T, tree fs.FS) map[string]map[string]int {
	t.Helper()
	rooms := make(map[string]map[string]int)
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "node_modules"):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		text, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		dir := path.Dir(name)
		if rooms[dir] == nil {
			rooms[dir] = make(map[string]int)
		}
		rooms[dir][path.Base(name)] = bytes.Count(text, []byte("\n"))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return rooms
}
