//go:build !unix

package ledger

import "os"

// Where there is no flock, one directory is for one process.
func lockFile(*os.File) error { return nil }

func unlockFile(*os.File) {}
