//go:build !linux && !darwin

package ops

// diskFree is not known here.
func diskFree(string) (uint64, bool) { return 0, false }
