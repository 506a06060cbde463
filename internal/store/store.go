// Package store is the only Pebble: an ordered map of bytes in a local
// directory that a worker may lose at any time. Kafka is the durable copy, so
// the store is written after the log and never waits for the disk; what a crash
// leaves is a prefix of the batches that were committed.
package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// ErrLocked says that another process has the directory open.
var ErrLocked = errors.New("data directory is in use by another process")

// VersionError says that a newer version of Leat wrote the directory.
type VersionError struct {
	Dir          string
	Found, Known int
}

// Error says what to do.
func (e *VersionError) Error() string {
	return fmt.Sprintf("data directory %s has layout %d and this version knows layouts up to %d; "+
		"run the newer version, or give another --data directory (it is rebuilt from Kafka)", e.Dir, e.Found, e.Known)
}

// Options says what to open.
type Options struct {
	Dir string // "" keeps everything in memory
	// Files replaces the disk by memory that outlives the store, for tests of
	// crashes; Dir is then not used.
	Files *Files
	// Layout is the version of the user's keys and values. A directory with a
	// newer layout is refused, one with an older layout is emptied.
	Layout int
	// Identity names what the content is a copy of, such as the cluster id. A
	// directory with another identity is emptied.
	Identity string
	Logger   *slog.Logger // told when a directory is emptied; nil drops it
}

// DB is the map. Safe for concurrent use; a [Batch] is not.
type DB struct {
	pebble *pebble.DB
	dir    string        // "" when it is in memory
	once   sync.Once     // guards cause
	failed chan struct{} // closed when the store cannot be used any longer
	cause  error
	lock   *pebble.Lock // of the directory; nil in memory
}

// Keys that begin with metaPrefix belong to the store itself.
const (
	metaPrefix  = 0x00
	metaKey     = "\x00meta"
	firstKey    = metaPrefix + 1
	memoryFiles = "memory"
)

// Open opens or creates the store. Errors: ErrLocked, *VersionError.
func Open(o Options) (*DB, error) {
	fs, dir := vfs.Default, o.Dir
	switch {
	case o.Files != nil:
		fs, dir = o.Files.memory, memoryFiles
	case o.Dir == "":
		fs, dir = vfs.NewMem(), memoryFiles
	default:
		if err := os.MkdirAll(filepath.Clean(dir), 0o700); err != nil {
			return nil, fmt.Errorf("make data directory: %w", err)
		}
	}
	if onDisk := o.Files == nil && o.Dir != ""; onDisk {
		return openOnDisk(o, fs, dir)
	}
	return openAt(o, fs, dir, nil)
}

// openAt opens the directory as it is.
func openAt(o Options, fs vfs.FS, dir string, lock *pebble.Lock) (*DB, error) {
	db := &DB{failed: make(chan struct{}), lock: lock}
	if o.Files == nil && o.Dir != "" {
		db.dir = dir
	}
	options := &pebble.Options{
		FS:                    fs,
		MemTableSize:          16 << 20,
		Lock:                  lock,
		Logger:                pebbleLog{db},
		FormatMajorVersion:    pebble.FormatNewest,
		MaxOpenFiles:          256,
		L0CompactionThreshold: 4,
	}
	if db.dir == "" {
		// In virtual time, where stores are in memory, ten looks a second for compactions
		// that are due would be all that happens. One is looked for after each flush.
		options.Experimental.CompactionScheduler = pebble.NewConcurrencyLimitSchedulerWithNoPeriodicGrantingForTest()
	}
	p, err := openPebble(dir, options)
	if err != nil {
		if isLocked(err) {
			return nil, fmt.Errorf("%w: %s", ErrLocked, dir)
		}
		return nil, fmt.Errorf("open store in %s: %w", dir, err)
	}
	db.pebble = p
	if err := db.checkMeta(o); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return db, nil
}

// isLocked recognises the file lock's errno; Pebble adds no error of its own.
func isLocked(err error) bool {
	return errors.Is(err, errLockedElsewhere) || lockedText(err)
}

// checkMeta compares what the directory says of itself with what is wanted.
func (db *DB) checkMeta(o Options) error {
	value, ok, err := db.Get([]byte(metaKey))
	if err != nil {
		return err
	}
	if ok && len(value) < 4 {
		return errShortMeta
	}
	if ok {
		layout := int(binary.BigEndian.Uint32(value))
		identity := string(value[4:])
		switch {
		case layout > o.Layout:
			return &VersionError{Dir: o.Dir, Found: layout, Known: o.Layout}
		case layout == o.Layout && identity == o.Identity:
			return nil
		}
		if o.Logger != nil {
			o.Logger.LogAttrs(context.Background(), slog.LevelWarn, "local store belongs to another cluster or layout, rebuilding it",
				slog.String("dir", o.Dir), slog.String("found_identity", identity), slog.Int("found_layout", layout))
		}
	}
	return db.reset(o)
}

func (db *DB) reset(o Options) error {
	b := db.NewBatch()
	defer b.Close()
	b.DeleteRange([]byte{firstKey}, []byte{0xff, 0xff, 0xff, 0xff})
	meta := binary.BigEndian.AppendUint32(nil, uint32(o.Layout)) //nolint:gosec // layouts are small
	b.Set([]byte(metaKey), append(meta, o.Identity...))
	return b.Commit()
}

// Get returns a copy of the value of key, and whether there is one.
func (db *DB) Get(key []byte) (value []byte, ok bool, err error) {
	if err := db.usable(); err != nil {
		return nil, false, err
	}
	v, closer, err := db.pebble.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, db.note(fmt.Errorf("read store: %w", err))
	}
	value = append([]byte{}, v...)
	return value, true, closer.Close()
}

// Scan calls visit for every key in [from, to) in rising order, until visit
// says no more. Key and value are valid only during the call.
func (db *DB) Scan(from, to []byte, visit func(key, value []byte) (more bool, err error)) error {
	return db.scan(from, to, (*pebble.Iterator).First, (*pebble.Iterator).Next, visit)
}

// ScanBack is Scan in falling order.
func (db *DB) ScanBack(from, to []byte, visit func(key, value []byte) (more bool, err error)) error {
	return db.scan(from, to, (*pebble.Iterator).Last, (*pebble.Iterator).Prev, visit)
}

func (db *DB) scan(
	from, to []byte, start, next func(*pebble.Iterator) bool, visit func(key, value []byte) (bool, error),
) (err error) {
	if err := db.usable(); err != nil {
		return err
	}
	it, err := db.pebble.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return db.note(fmt.Errorf("scan store: %w", err))
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := start(it); ok; ok = next(it) {
		more, err := visit(it.Key(), it.Value())
		if err != nil || !more {
			return err
		}
	}
	return db.note(it.Error())
}

// Close flushes and closes the store.
func (db *DB) Close() error {
	return errors.Join(db.close(), release(db.lock))
}

func (db *DB) close() error {
	select {
	case <-db.failed: // it would wait for what will never be written
		return db.abandon()
	default:
	}
	if err := errors.Join(db.pebble.Flush(), db.pebble.Close()); err != nil {
		return fmt.Errorf("close store: %w", err)
	}
	return nil
}

// Batch collects changes that become visible together. Errors of its methods
// are kept for Commit.
type Batch struct {
	db    *DB
	batch *pebble.Batch
	err   error
}

// NewBatch begins a batch. Close it when done.
func (db *DB) NewBatch() *Batch { return &Batch{db: db, batch: db.pebble.NewBatch()} }

// Set puts a value; key and value are copied.
func (b *Batch) Set(key, value []byte) { b.keep(b.batch.Set(key, value, nil)) }

// Delete removes a key, if it is there.
func (b *Batch) Delete(key []byte) { b.keep(b.batch.Delete(key, nil)) }

// DeleteRange removes the keys in [from, to).
func (b *Batch) DeleteRange(from, to []byte) { b.keep(b.batch.DeleteRange(from, to, nil)) }

func (b *Batch) keep(err error) {
	if b.err == nil {
		b.err = err
	}
}

// Commit makes the changes visible. It does not wait for the disk.
func (b *Batch) Commit() error {
	if err := errors.Join(b.err, b.batch.Commit(pebble.NoSync)); err != nil {
		return fmt.Errorf("write store: %w", b.db.note(err))
	}
	return b.db.usable() // Pebble gives no error when it could not write its log
}

// Close releases the batch, committed or not.
func (b *Batch) Close() { _ = b.batch.Close() }
