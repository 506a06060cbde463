package projector

import (
	"math"
	"testing"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/kafka"
)

// An event that does not follow the last one is no router's: it is passed over,
// and what follows is folded as if it had not been there.
func TestEventsThatDoNotFollowArePassedOver(t *testing.T) {
	id := idFor(1)
	forged := func(sequence int64) []byte { return must(avro.EncodeEvent(eventOf("order", id, sequence))) }
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
				l := &log{topic: names.Events("order")}
				for range 10 { // so that the offset does not tell
					l.append(id.String(), nil)
				}
				for n := range tt.before {
					l.event(eventOf("order", id, n+1))
				}
				l.append(id.String(), forged(tt.sequence))
				l.event(eventOf("order", id, tt.before+1))
				db := memory(t)
				foldAll(t, db, l.records, size)
				facts := must(historyOf(db, "order", id, 1, 100))
				if head := must(headOf(db, "order", id)); head != tt.before+1 || int64(len(facts)) != head {
					t.Fatalf("the history has %d events and ends at %d, want %d", len(facts), head, tt.before+1)
				}
			})
		}
	}
}

func TestForeignEventsAreCounted(t *testing.T) {
	c := change{source: source{workflowType: "order"}, id: idFor(1), sequence: 3, raw: []byte("x")}
	f := &folder{db: memory(t)}
	at := map[kafka.TopicPartition]position{}
	if got := must(f.fold([]change{c}, at)); len(got.foreign) != 1 {
		t.Fatalf("got %+v, want one that is foreign", got)
	}
	c.cut = true // its predecessors are gone from the log
	if got := must(f.fold([]change{c}, at)); len(got.foreign) != 0 || must(headOf(f.db, "order", c.id)) != 3 {
		t.Fatalf("a log that is cut begins in the middle: %+v", got)
	}
}
