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
