package devkafka

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Files of a data directory.
const (
	logDir     = "log"         // kfake's own directory
	lockFile   = "LOCK"        // held while a process serves the directory
	formatFile = "broker.json" // which program may read the directory
	cleanFile  = "CLEAN"       // there when the last process closed in order
)

// format is raised when what is in a directory changes its meaning.
const format = 1

// ErrLocked says that another process serves the data directory.
var ErrLocked = errors.New("another process holds the data directory")

// VersionError says that a newer program wrote the data directory.
type VersionError struct {
	Dir            string
	Found, Highest int
}

// Error names both formats.
func (e *VersionError) Error() string {
	return fmt.Sprintf("data directory %s has format %d, this program reads up to %d", e.Dir, e.Found, e.Highest)
}

func checkFormat(dir string) error {
	path := filepath.Join(dir, formatFile)
	text, err := os.ReadFile(path) //nolint:gosec // the user's own directory
	if errors.Is(err, os.ErrNotExist) {
		return writeJSON(path, map[string]int{"format": format})
	}
	if err != nil {
		return err
	}
	var found struct{ Format int }
	if err := json.Unmarshal(text, &found); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	if found.Format > format {
		return &VersionError{Dir: dir, Found: found.Format, Highest: format}
	}
	return nil
}

func markClean(dir string) error {
	return os.WriteFile(filepath.Join(dir, cleanFile), nil, 0o600)
}

// takeClean reports whether the last process closed in order, and forgets it.
func takeClean(dir string) (bool, error) {
	err := os.Remove(filepath.Join(dir, cleanFile))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// writeJSON replaces a file whole or not at all.
func writeJSON(path string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".tmp", append(text, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}
