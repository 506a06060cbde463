package store

import (
	"strings"
	"syscall"
)

// What the operating system answers when the directory's lock is taken, by
// another process or by this one.
var (
	errLockedElsewhere error = syscall.EAGAIN
	errLockedHere      error = syscall.EACCES
)

// lockedText recognises a lock held within this process, for which Pebble has
// only words.
func lockedText(err error) bool {
	return strings.Contains(err.Error(), "lock held by current process")
}
