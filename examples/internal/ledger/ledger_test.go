package ledger

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

type entry struct {
	Key  string `json:"task_key"`
	Text string `json:"text"`
}

func open(t *testing.T, path string) *Ledger {
	t.Helper()
	l, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func add(t *testing.T, l *Ledger, key string, wantAdded bool) {
	t.Helper()
	if added, err := l.Add(key, entry{key, "x"}); err != nil || added != wantAdded {
		t.Errorf("add %s: %v, %v", key, added, err)
	}
}

func keysIn(t *testing.T, path string) map[string]int {
	t.Helper()
	keys, err := Keys(path)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestLedgerWritesAKeyOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.jsonl")
	first := open(t, path)
	add(t, first, "a", true)
	add(t, first, "a", false)
	second := open(t, path) // another process, or this one restarted
	add(t, second, "a", false)
	add(t, second, "b", true)
	add(t, first, "b", false)
	if got := keysIn(t, path); len(got) != 2 || got["a"] != 1 || got["b"] != 1 {
		t.Errorf("%v", got)
	}
}

func TestLedgerCutsOffATornLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.jsonl")
	whole := `{"task_key":"a","text":"x"}` + "\n"
	for length := range whole { // a writer may die after any byte
		if err := os.WriteFile(path, []byte(whole+strings.ReplaceAll(whole, `"a"`, `"b"`)[:length]), 0o600); err != nil {
			t.Fatal(err)
		}
		l := open(t, path)
		add(t, l, "a", false)
		add(t, l, "b", true)
		if got := keysIn(t, path); len(got) != 2 || got["a"] != 1 || got["b"] != 1 {
			t.Fatalf("torn after %d bytes: %v", length, got)
		}
	}
}

func TestLedgerRefusesAForeignFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.jsonl")
	if err := os.WriteFile(path, []byte("hello\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, path).Add("a", entry{Key: "a"}); err == nil || !strings.Contains(err.Error(), "byte 0") {
		t.Errorf("%v", err)
	}
}

func TestLedgerStartsAnewWhenEmptied(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.jsonl")
	l := open(t, path)
	add(t, l, "a", true)
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	add(t, l, "a", true)
	if got := keysIn(t, path); len(got) != 1 {
		t.Errorf("%v", got)
	}
}

// Every key is added by several writers at once, each with a file of its own
// like a process.
func TestLedgerWithManyWriters(t *testing.T) {
	const writers, keys = 8, 50
	path := filepath.Join(t.TempDir(), "a.jsonl")
	var wg sync.WaitGroup
	var mu sync.Mutex
	wins := 0
	for range writers {
		l := open(t, path)
		for range 2 { // and two goroutines share it
			wg.Go(func() {
				for k := range keys {
					key := fmt.Sprint("k", k)
					added, err := l.Add(key, entry{key, strings.Repeat("long ", 100)})
					if err != nil {
						t.Error(err)
					}
					if added {
						mu.Lock()
						wins++
						mu.Unlock()
					}
				}
			})
		}
	}
	wg.Wait()
	got := keysIn(t, path)
	if len(got) != keys || wins != keys {
		t.Errorf("%d keys, %d adds that wrote, want %d", len(got), wins, keys)
	}
	for key, n := range got {
		if n != 1 {
			t.Errorf("%s is there %d times", key, n)
		}
	}
}
