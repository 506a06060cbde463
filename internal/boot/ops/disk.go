package ops

import "fmt"

// diskReserve is how much room a worker's directory needs to go on.
const diskReserve = 8 << 20

// DiskCheck is a check of readiness: there is room in dir ("" is in memory).
func DiskCheck(dir string) func() error {
	return func() error {
		if dir == "" {
			return nil
		}
		if free, ok := diskFree(dir); ok && free < diskReserve {
			return fmt.Errorf("the disk of %s is full or nearly so: %d KiB are free, at least %d are needed; free some space; it continues by itself",
				dir, free>>10, diskReserve>>10)
		}
		return nil
	}
}
