package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/leat-io/leat/internal/store"
)

// Whatever stands where a file of the store was, or is not there any longer, or
// may not be read: the store opens, and is empty or what it was.
func TestEveryFileMayBeReplacedByAnything(t *testing.T) {
	for name, hurt := range map[string]func(string) error{
		"gone": os.Remove,
		"a directory": func(file string) error {
			return errors.Join(os.Remove(file), os.Mkdir(file, 0o700))
		},
		"a directory with content": func(file string) error {
			return errors.Join(os.Remove(file), os.MkdirAll(file+"/x", 0o700))
		},
		"a link to nowhere": func(file string) error {
			return errors.Join(os.Remove(file), os.Symlink(file+"-none", file))
		},
		"unreadable": func(file string) error { return os.Chmod(file, 0) },
	} {
		for n := 0; ; n++ {
			o := store.Options{Dir: t.TempDir() + "/router", Layout: 1, Identity: "a"}
			db := open(t, o)
			put(t, db, "a", "1")
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			files, err := os.ReadDir(o.Dir)
			if err != nil {
				t.Fatal(err)
			}
			if n == len(files) {
				break
			}
			if name == "unreadable" && files[n].Name() == "LOCK" {
				continue // somebody else's, perhaps: that is said
			}
			if err := hurt(filepath.Join(o.Dir, files[n].Name())); err != nil {
				t.Fatal(err)
			}
			if db, err = store.Open(o); err != nil {
				t.Errorf("%s is %s: %v", files[n].Name(), name, err)
				continue
			}
			put(t, db, "b", "2")
			if err := db.Close(); err != nil {
				t.Errorf("%s is %s: %v", files[n].Name(), name, err)
			}
		}
	}
}
