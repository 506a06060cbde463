package projector

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"testing"

	"go.uber.org/goleak"

	"github.com/leat-io/leat/internal/projector/views"
	"github.com/leat-io/leat/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func memory(tb testing.TB) *store.DB {
	tb.Helper()
	db, err := store.Open(store.Options{Layout: views.Layout})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Error(err)
		}
	})
	return db
}

// contentOf is the hash of all views. Positions are left out: they also say how
// far control records were read, which is no content.
func contentOf(tb testing.TB, db *store.DB) string {
	tb.Helper()
	h := sha256.New()
	rows := 0
	if err := db.Scan([]byte{1}, []byte{0xff}, func(key, value []byte) (bool, error) {
		if key[0] != 'p' {
			_, _ = fmt.Fprintf(h, "%d %x %d %x\n", len(key), key, len(value), value)
			rows++
		}
		return true, nil
	}); err != nil {
		tb.Fatal(err)
	}
	return fmt.Sprint(rows, " rows ", hex.EncodeToString(h.Sum(nil)))
}
