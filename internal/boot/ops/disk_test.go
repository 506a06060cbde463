package ops

import (
	"path/filepath"
	"testing"
)

func TestDiskCheck(t *testing.T) {
	for _, dir := range []string{"", t.TempDir(), filepath.Join(t.TempDir(), "not", "made", "yet")} {
		if err := DiskCheck(dir)(); err != nil {
			t.Errorf("%q: %v", dir, err)
		}
	}
}
