package store

import (
	"math/rand/v2"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Files is a disk in memory: what a store leaves in it is there when it is
// opened again.
type Files struct {
	memory *vfs.MemFS
}

// NewFiles makes an empty disk.
func NewFiles() *Files { return &Files{memory: vfs.NewCrashableMem()} }

// Crash is what is left when the machine stops now: everything that was synced,
// and of the rest each write with a chance of percent in 100. A store that is
// open goes on with the files as they were, and does not notice the crash. A
// killed process loses nothing that it has written: percent is 100.
func (f *Files) Crash(percent int, rng *rand.Rand) *Files {
	return &Files{memory: f.memory.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rng})}
}
