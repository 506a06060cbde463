//go:build unix

package ledger

import (
	"os"
	"syscall"
)

// lockFile waits for the file's lock. The system gives it back when the process
// ends, however it ends.
func lockFile(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX) }

func unlockFile(f *os.File) { _ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN) }
