// Package ledger is how the effects of the examples happen once, however often a
// task runs.
package ledger

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
)

// Ledger is a file with one JSON object a line and one line a key, however often
// a key is added, by however many processes, and wherever one of them was killed.
//
// A task runs at least once, so an effect must be able to tell that it has
// happened. Here the file itself remembers: a writer holds its lock, drops
// what a killed writer has left half written, looks for the key among the lines,
// and only then appends. Each line must have the key as "task_key".
type Ledger struct {
	mu   sync.Mutex
	file *os.File
	keys map[string]bool
	end  int64 // of the lines that keys knows
}

// Open opens or makes the file.
func Open(path string) (*Ledger, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	return &Ledger{file: file, keys: map[string]bool{}}, nil
}

// Add appends line, which must have key as its task_key, unless the key is
// there. The line is on disk when Add returns.
func (l *Ledger) Add(key string, line any) (added bool, err error) {
	text, err := json.Marshal(line)
	if err != nil {
		return false, err
	}
	l.mu.Lock() // the file's lock is the process's: it does not keep goroutines apart
	defer l.mu.Unlock()
	if err := lockFile(l.file); err != nil {
		return false, fmt.Errorf("lock %s: %w", l.file.Name(), err)
	}
	defer unlockFile(l.file)
	if err := l.catchUp(); err != nil {
		return false, err
	}
	if l.keys[key] {
		return false, nil
	}
	text = append(text, '\n')
	if _, err := l.file.WriteAt(text, l.end); err != nil {
		return false, err
	}
	if err := l.file.Sync(); err != nil {
		return false, err
	}
	l.keys[key] = true
	l.end += int64(len(text))
	return true, nil
}

// catchUp reads the lines that others have added and cuts off a torn one: with
// the lock held, only the dead can have left it.
func (l *Ledger) catchUp() error {
	info, err := l.file.Stat()
	if err != nil {
		return err
	}
	if info.Size() < l.end { // it was emptied
		l.end = 0
		clear(l.keys)
	}
	text, err := io.ReadAll(io.NewSectionReader(l.file, l.end, info.Size()-l.end))
	if err != nil {
		return err
	}
	for line := range bytes.Lines(text) {
		if !bytes.HasSuffix(line, []byte("\n")) {
			return l.file.Truncate(l.end)
		}
		var entry struct {
			Key string `json:"task_key"`
		}
		if err := json.Unmarshal(line, &entry); err != nil {
			return fmt.Errorf("%s holds a line at byte %d that is not JSON: %w", l.file.Name(), l.end, err)
		}
		l.keys[entry.Key] = true
		l.end += int64(len(line))
	}
	return nil
}

// Close closes the file.
func (l *Ledger) Close() error { return l.file.Close() }

// Keys counts how often each key is in a file of a ledger: once, unless
// something is broken. A torn line is an error.
func Keys(path string) (map[string]int, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	keys := map[string]int{}
	for line := range bytes.Lines(text) {
		var entry struct {
			Key string `json:"task_key"`
		}
		if err := json.Unmarshal(line, &entry); err != nil || !bytes.HasSuffix(line, []byte("\n")) {
			return nil, fmt.Errorf("%s holds a line that is not whole: %q", path, line)
		}
		keys[entry.Key]++
	}
	return keys, nil
}
