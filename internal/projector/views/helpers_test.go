package views

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"testing"

	"go.uber.org/goleak"

	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/projector/logtest"
	"github.com/leat-io/leat/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sourceOfTest is what a topic of the tests holds.
func sourceOfTest(topic string, types ...string) Source {
	for _, t := range types {
		switch topic {
		case logtest.Names.State(t):
			return Source{Type: t, State: true}
		case logtest.Names.Events(t):
			return Source{Type: t}
		}
	}
	panic("no source for " + topic)
}

// foldAll folds records in batches of the given sizes, the last one repeated.
func foldAll(tb testing.TB, db *store.DB, records []*kafka.Record, sizes ...int) {
	tb.Helper()
	f := &Folder{DB: db}
	for i := 0; len(records) > 0; i++ {
		size := len(records)
		if len(sizes) > 0 {
			size = min(max(1, sizes[min(i, len(sizes)-1)]), len(records))
		}
		var changes []Change
		at := make(map[kafka.TopicPartition]Position)
		for _, r := range records[:size] {
			p := kafka.TopicPartition{Topic: r.Topic, Partition: r.Partition}
			at[p] = at[p].Behind(r)
			c, err := Decode(sourceOfTest(r.Topic, "order", "quake"), r)
			if err == nil {
				changes = append(changes, c)
			}
		}
		if _, err := f.Fold(changes, at); err != nil {
			tb.Fatal(err)
		}
		records = records[size:]
	}
}

func memory(tb testing.TB) *store.DB {
	tb.Helper()
	db, err := store.Open(store.Options{Layout: Layout})
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
		if key[0] != prefixPosition {
			_, _ = fmt.Fprintf(h, "%d %x %d %x\n", len(key), key, len(value), value)
			rows++
		}
		return true, nil
	}); err != nil {
		tb.Fatal(err)
	}
	return fmt.Sprint(rows, " rows ", hex.EncodeToString(h.Sum(nil)))
}
