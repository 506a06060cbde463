package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/leat-io/leat/internal/store"
)

func open(t *testing.T, o store.Options) *store.DB {
	t.Helper()
	db, err := store.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func put(t *testing.T, db *store.DB, pairs ...string) {
	t.Helper()
	b := db.NewBatch()
	defer b.Close()
	for i := 0; i < len(pairs); i += 2 {
		b.Set([]byte(pairs[i]), []byte(pairs[i+1]))
	}
	if err := b.Commit(); err != nil {
		t.Fatal(err)
	}
}

func dump(t *testing.T, db *store.DB) string {
	t.Helper()
	var out strings.Builder
	err := db.Scan([]byte{1}, []byte{0xff}, func(k, v []byte) (bool, error) {
		fmt.Fprintf(&out, "%s=%s ", k, v)
		return true, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out.String())
}

func TestContentSurvivesReopen(t *testing.T) {
	o := store.Options{Dir: t.TempDir(), Layout: 1, Identity: "cluster-a"}
	db := open(t, o)
	put(t, db, "a", "1", "b", "2")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = open(t, o)
	defer db.Close()
	if got := dump(t, db); got != "a=1 b=2" {
		t.Errorf("after reopen: %q", got)
	}
}

func TestForeignContentIsDropped(t *testing.T) {
	for _, tc := range []struct {
		name string
		then store.Options
		want string
	}{
		{"same", store.Options{Layout: 2, Identity: "a"}, "k=v"},
		{"another cluster", store.Options{Layout: 2, Identity: "b"}, ""},
		{"newer layout of ours", store.Options{Layout: 3, Identity: "a"}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			db := open(t, store.Options{Dir: dir, Layout: 2, Identity: "a"})
			put(t, db, "k", "v")
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			tc.then.Dir = dir
			db = open(t, tc.then)
			defer db.Close()
			if got := dump(t, db); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestNewerLayoutIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := open(t, store.Options{Dir: dir, Layout: 7}).Close(); err != nil {
		t.Fatal(err)
	}
	_, err := store.Open(store.Options{Dir: dir, Layout: 6})
	var version *store.VersionError
	if !errors.As(err, &version) || version.Found != 7 || version.Known != 6 {
		t.Fatalf("got %v, want a VersionError of 7 against 6", err)
	}
	if !strings.Contains(err.Error(), "--data") {
		t.Errorf("the message names no fix: %v", err)
	}
}

func TestDirectoryHasOneOwner(t *testing.T) {
	o := store.Options{Dir: t.TempDir()}
	db := open(t, o)
	defer db.Close()
	if _, err := store.Open(o); !errors.Is(err, store.ErrLocked) {
		t.Fatalf("second open: got %v, want ErrLocked", err)
	}
}

func TestScanBothWays(t *testing.T) {
	db := open(t, store.Options{})
	defer db.Close()
	put(t, db, "a", "1", "b", "2", "c", "3", "d", "4")
	var up, down bytes.Buffer
	collect := func(b *bytes.Buffer) func(k, v []byte) (bool, error) {
		return func(k, _ []byte) (bool, error) { b.Write(k); return b.Len() < 2, nil }
	}
	if err := errors.Join(db.Scan([]byte("b"), []byte("d"), collect(&up)), db.ScanBack([]byte("a"), []byte("d"), collect(&down))); err != nil {
		t.Fatal(err)
	}
	if up.String() != "bc" || down.String() != "cb" {
		t.Errorf("up %q down %q, want bc and cb", up.String(), down.String())
	}
}

func TestBatchIsAllOrNothing(t *testing.T) {
	db := open(t, store.Options{})
	defer db.Close()
	put(t, db, "a", "1", "b", "2", "c", "3")
	b := db.NewBatch()
	b.DeleteRange([]byte("a"), []byte("c"))
	b.Set([]byte("e"), []byte("5"))
	if got := dump(t, db); got != "a=1 b=2 c=3" {
		t.Errorf("before commit: %q", got)
	}
	if err := b.Commit(); err != nil {
		t.Fatal(err)
	}
	b.Close()
	if got := dump(t, db); got != "c=3 e=5" {
		t.Errorf("after commit: %q", got)
	}
	if _, ok, err := db.Get([]byte("a")); ok || err != nil {
		t.Errorf("deleted key: ok=%t err=%v", ok, err)
	}
}

func TestCrashLeavesAPrefixOfTheBatches(t *testing.T) {
	for seed := range uint64(20) {
		files := store.NewFiles()
		db := open(t, store.Options{Files: files})
		for i := range 200 {
			put(t, db, fmt.Sprintf("%03d", i), "v")
		}
		left := open(t, store.Options{Files: files.Crash(50, rand.New(rand.NewPCG(seed, 0)))})
		n := 0
		if err := left.Scan([]byte("0"), []byte("9"), func(k, _ []byte) (bool, error) {
			if string(k) != fmt.Sprintf("%03d", n) {
				t.Fatalf("seed %d: key %s follows %d others: a batch is missing before it", seed, k, n)
			}
			n++
			return true, nil
		}); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(left.Close(), db.Close()); err != nil {
			t.Fatal(err)
		}
		db = open(t, store.Options{Files: files})
		if got := len(strings.Fields(dump(t, db))); got != 200 {
			t.Fatalf("%d of 200 keys after an orderly stop", got)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A store is a copy: whatever happened to its files, it opens, empty or as it was.
func TestDamagedFilesAreMovedAside(t *testing.T) {
	for name, hurt := range map[string]func([]byte) []byte{
		"cut":     func(b []byte) []byte { return b[:len(b)/2] },
		"empty":   func([]byte) []byte { return nil },
		"garbage": func(b []byte) []byte { return bytes.Repeat([]byte{0xa5}, len(b)) },
	} {
		for _, pattern := range []string{"*.sst", "MANIFEST-*", "OPTIONS-*", "*.log"} {
			o := store.Options{Dir: t.TempDir() + "/router", Layout: 1, Identity: "a"}
			db := open(t, o)
			put(t, db, "a", "1")
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			files, err := filepath.Glob(o.Dir + "/" + pattern)
			if err != nil {
				t.Fatal(err)
			}
			for _, file := range files {
				content, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, hurt(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			db, err = store.Open(o)
			if err != nil {
				t.Errorf("%s %s: %v", name, pattern, err)
				continue
			}
			put(t, db, "b", "2")
			if err := db.Close(); err != nil {
				t.Errorf("%s %s: %v", name, pattern, err)
			}
		}
	}
}

// Damage that is found while the store is read ends the store, not the process,
// and whoever opens it next gets an empty one beside the damaged files.
func TestDamageFoundWhileReading(t *testing.T) {
	value := strings.Repeat("0123456789abcdef", 64)
	for _, read := range []struct {
		name string
		do   func(*store.DB) error
	}{
		{"get", func(db *store.DB) error {
			for i := range 4000 {
				if _, _, err := db.Get(fmt.Appendf(nil, "%06d", i)); err != nil {
					return err
				}
			}
			return nil
		}},
		{"scan", func(db *store.DB) error {
			return db.Scan([]byte{1}, []byte{0xff}, func(_, _ []byte) (bool, error) { return true, nil })
		}},
		{"scan back", func(db *store.DB) error {
			return db.ScanBack([]byte{1}, []byte{0xff}, func(_, _ []byte) (bool, error) { return true, nil })
		}},
	} {
		t.Run(read.name, func(t *testing.T) {
			o := store.Options{Dir: filepath.Join(t.TempDir(), "views"), Layout: 1}
			db := open(t, o)
			for i := range 4000 {
				put(t, db, fmt.Sprintf("%06d", i), fmt.Sprint(i, value))
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			flipInside(t, o.Dir)
			db = open(t, o)
			err := read.do(db)
			if err == nil {
				t.Fatal("the damage was not seen")
			}
			if err := db.Watch(t.Context()); !errors.Is(err, store.ErrFailed) {
				t.Fatalf("watch: %v", err)
			}
			if _, _, err := db.Get([]byte("000000")); !errors.Is(err, store.ErrFailed) {
				t.Errorf("it is read on: %v", err)
			}
			_ = db.Close()
			db = open(t, o)
			defer db.Close()
			if got := dump(t, db); got != "" {
				t.Errorf("it was not made anew: %.80q", got)
			}
			if _, err := os.Stat(o.Dir + ".damaged-1"); err != nil {
				t.Errorf("it was not moved aside: %v", err)
			}
		})
	}
}

// flipInside flips a byte in the first quarter of every table: among its data.
func flipInside(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil || len(files) == 0 {
		t.Fatal("there are no tables", err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		content[len(content)/4] ^= 0x40
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// Files that are gone, and files of a Pebble that is newer than this one, are damage like any other.
func TestFilesThatAreGoneOrNewer(t *testing.T) {
	for name, hurt := range map[string]func(file string) error{
		"gone": os.Remove,
		"newer": func(file string) error {
			if strings.Contains(file, "marker.format-version") {
				return os.Rename(file, filepath.Join(filepath.Dir(file), "marker.format-version.000999.999"))
			}
			return nil
		},
	} {
		for _, pattern := range []string{"*.sst", "MANIFEST-*", "marker.manifest*", "marker.format-version*", "*.log"} {
			o := store.Options{Dir: filepath.Join(t.TempDir(), "router"), Layout: 1}
			db := open(t, o)
			put(t, db, "a", "1")
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			files, err := filepath.Glob(filepath.Join(o.Dir, pattern))
			if err != nil {
				t.Fatal(err)
			}
			for _, file := range files {
				if err := hurt(file); err != nil {
					t.Fatal(err)
				}
			}
			db, err = store.Open(o)
			if err != nil {
				t.Errorf("%s %s: %v", name, pattern, err)
				continue
			}
			put(t, db, "b", "2")
			if got := dump(t, db); got != "b=2" && got != "a=1 b=2" {
				t.Errorf("%s %s: it holds %q", name, pattern, got)
			}
			if err := db.Close(); err != nil {
				t.Errorf("%s %s: %v", name, pattern, err)
			}
		}
	}
}
