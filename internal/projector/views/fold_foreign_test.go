package views

import (
	"math"
	"testing"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/projector/logtest"
)

// An event that does not follow the last one is no router's: it is passed over,
// and what follows is folded as if it had not been there.
func TestEventsThatDoNotFollowArePassedOver(t *testing.T) {
	id := logtest.ID(1)
	forged := func(sequence int64) []byte {
		return logtest.Must(avro.EncodeEvent(logtest.Event("order", id, sequence)))
	}
	for _, tt := range []struct {
		name     string
		sequence int64
		before   int64 // events of the router before it
	}{
		{"impossible", math.MaxInt64, 2},
		{"impossible, and the first", math.MaxInt64, 0},
		{"a gap", 4, 2},
		{"a gap at the beginning", 2, 0},
		{"again", 1, 2},
	} {
		for _, size := range []int{1, 100} {
			t.Run(tt.name, func(t *testing.T) {
				l := &logtest.Log{Topic: logtest.Names.Events("order")}
				for range 10 { // so that the offset does not tell
					l.Append(id.String(), nil)
				}
				for n := range tt.before {
					l.Event(logtest.Event("order", id, n+1))
				}
				l.Append(id.String(), forged(tt.sequence))
				l.Event(logtest.Event("order", id, tt.before+1))
				db := memory(t)
				foldAll(t, db, l.Records, size)
				facts := logtest.Must(HistoryOf(db, "order", id, 1, 100))
				if head := logtest.Must(HeadOf(db, "order", id)); head != tt.before+1 || int64(len(facts)) != head {
					t.Fatalf("the history has %d events and ends at %d, want %d", len(facts), head, tt.before+1)
				}
			})
		}
	}
}

func TestForeignEventsAreCounted(t *testing.T) {
	c := Change{Source: Source{Type: "order"}, ID: logtest.ID(1), Sequence: 3, raw: []byte("x")}
	f := &Folder{DB: memory(t)}
	at := map[kafka.TopicPartition]Position{}
	if got := logtest.Must(f.Fold([]Change{c}, at)); len(got.Foreign) != 1 {
		t.Fatalf("got %+v, want one that is foreign", got)
	}
	c.Cut = true // its predecessors are gone from the log
	if got := logtest.Must(f.Fold([]Change{c}, at)); len(got.Foreign) != 0 || logtest.Must(HeadOf(f.DB, "order", c.ID)) != 3 {
		t.Fatalf("a log that is cut begins in the middle: %+v", got)
	}
}
