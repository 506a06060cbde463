package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// ErrFailed says that an open store cannot be used any longer: close it and open it again.
var ErrFailed = errors.New("local store cannot be used any longer")

// errShortMeta says that what the store wrote of itself is not what is read.
var errShortMeta = errors.New("the record that describes the store is cut")

// damagedMark is a file in a directory whose content was found to be damaged
// while it was in use: the next process to open it moves it aside.
const damagedMark = "LEAT-DAMAGED"

// openOnDisk opens a directory. One that is damaged is moved aside and made
// anew: it is a copy, and its user builds it again from Kafka.
func openOnDisk(o Options, fs vfs.FS, dir string) (*DB, error) {
	lock, reason := lockDirectory(fs, dir)
	if reason != nil && !errors.Is(reason, syscall.EISDIR) {
		return nil, reason
	}
	if _, err := os.Stat(filepath.Join(dir, damagedMark)); err == nil {
		reason = errors.New("it was found to be damaged while it was in use")
	} else if reason == nil {
		db, err := openAt(o, fs, dir, lock)
		if err == nil {
			return db, nil
		}
		if !damaged(err) {
			return nil, errors.Join(err, release(lock))
		}
		reason = err
	}
	aside := filepath.Clean(dir) + ".damaged-1" // the newest only: they may be large
	if err := errors.Join(os.RemoveAll(aside), os.Rename(dir, aside), release(lock), os.MkdirAll(dir, 0o700)); err != nil {
		return nil, fmt.Errorf("move the damaged store %s aside (%w): %w", dir, reason, err)
	}
	if o.Logger != nil {
		o.Logger.LogAttrs(context.Background(), slog.LevelWarn, "local store is damaged, moved aside, rebuilding it from kafka",
			slog.String("dir", dir), slog.String("moved_to", aside), slog.Any("reason", reason))
	}
	lock, err := lockDirectory(fs, dir)
	if err != nil {
		return nil, err
	}
	db, err := openAt(o, fs, dir, lock)
	if err != nil {
		return nil, errors.Join(err, release(lock))
	}
	return db, nil
}

// lockDirectory takes the lock that says that the directory is in use. It is
// ours and not Pebble's, so that it is given back whatever Pebble does.
func lockDirectory(fs vfs.FS, dir string) (*pebble.Lock, error) {
	lock, err := pebble.LockDirectory(dir, fs)
	if err == nil {
		return lock, nil
	}
	if isLocked(err) {
		return nil, fmt.Errorf("%w: %s", ErrLocked, dir)
	}
	return nil, fmt.Errorf("lock store in %s: %w", dir, err)
}

func release(lock *pebble.Lock) error {
	if lock == nil {
		return nil
	}
	if err := lock.Close(); err != nil {
		return fmt.Errorf("give back the store's lock: %w", err)
	}
	return nil
}

// usable is the error of a store that failed. What it holds then may be less than
// what was written, so that no decision may be based on it.
func (db *DB) usable() error {
	select {
	case <-db.failed:
		return fmt.Errorf("%w: %w", ErrFailed, db.cause)
	default:
		return nil
	}
}

// damaged reports whether an error of opening speaks of the content, and not of
// the machine or of another process, which a new directory would not mend. A file
// that may not be read is mended: the directory is ours, as its lock is.
func damaged(err error) bool {
	var newer *VersionError
	if errors.Is(err, ErrLocked) || errors.As(err, &newer) {
		return false
	}
	for _, machine := range []error{
		syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS, syscall.ENOTDIR, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM,
	} {
		if errors.Is(err, machine) {
			return false
		}
	}
	return true
}

// openPebble opens, and makes an error of a panic: Pebble panics on some files
// that no version of it has written.
func openPebble(dir string, o *pebble.Options) (db *pebble.DB, err error) {
	defer func() {
		if p := recover(); p != nil {
			db, err = nil, fmt.Errorf("pebble cannot read its files: %v", p)
		}
	}()
	return pebble.Open(dir, o)
}

// note remembers an error that says that the content is damaged, and returns it.
func (db *DB) note(err error) error {
	if errors.Is(err, pebble.ErrCorruption) {
		db.fail(err)
	}
	return err
}

// fail marks the store as of no use. The mark in the directory makes the next
// Open move it aside, unless it is only the disk that is full.
func (db *DB) fail(cause error) {
	db.once.Do(func() {
		if db.dir != "" && damaged(cause) {
			// Without the mark the damage is found again where it was found now.
			_ = os.WriteFile(filepath.Join(db.dir, damagedMark), []byte(cause.Error()), 0o600)
		}
		db.cause = cause
		close(db.failed)
	})
}

// Watch waits until the store cannot be used any longer, and says why, or until
// ctx ends. Its user has to end then, close the store and open it again.
func (db *DB) Watch(ctx context.Context) error {
	select {
	case <-db.failed:
		return fmt.Errorf("%w: %w", ErrFailed, db.cause)
	case <-ctx.Done():
		return nil
	}
}

// abandonWithin is how long a store that failed may take to close.
const abandonWithin = 2 * time.Second

// abandon closes a store that failed. What Pebble says or does then is of no use.
func (db *DB) abandon() error {
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		defer func() { _ = recover() }()
		_ = db.pebble.Close()
	}()
	select {
	case <-closed:
	case <-time.After(abandonWithin):
	}
	return nil
}

// pebbleLog drops Pebble's chatter; what matters comes back as errors.
type pebbleLog struct{ db *DB }

func (pebbleLog) Infof(string, ...any)  {}
func (pebbleLog) Errorf(string, ...any) {}

// Fatalf is called when Pebble cannot go on without breaking its promises, from
// any goroutine. The store is a copy: its user ends and opens it again.
func (l pebbleLog) Fatalf(format string, args ...any) {
	cause := fmt.Errorf("pebble: "+format, args...)
	for _, a := range args {
		if err, ok := a.(error); ok {
			cause = fmt.Errorf("pebble: %w", err)
		}
	}
	l.db.fail(cause)
}
