package store

import (
	"strings"
	"syscall"
)

// errLockedElsewhere is what the operating system answers when another process
// has the directory's lock. It is not EACCES, which says that a file cannot be
// read.
var errLockedElsewhere error = syscall.EAGAIN

// lockedText recognises a lock held within this process, for which Pebble has
// only words.
func lockedText(err error) bool {
	return strings.Contains(err.Error(), "lock held by current process")
}
