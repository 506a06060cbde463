package shard

import (
	"testing"

	"github.com/leat-io/leat/internal/kafka"
)

// TestQueueIsFair says that few records never wait for many, and that the order
// within a partition holds whatever comes back.
func TestQueueIsFair(t *testing.T) {
	var q queue
	for i := range int64(1000) {
		q.add([]*kafka.Record{{Topic: "many", Offset: i}})
	}
	q.add([]*kafka.Record{{Topic: "few", Offset: 0}})
	nobody := func(Partition) bool { return false }
	next := map[string]int64{}
	for q.n > 0 {
		batch := q.take(100, nobody)
		if next["few"] == 0 && len(batch) > 2*turnRecords && batch[turnRecords].Topic != "few" {
			t.Fatalf("record %d is of %s", turnRecords, batch[turnRecords].Topic)
		}
		taken := min(10, len(batch)) // the rest comes back
		for _, r := range batch[:taken] {
			if r.Offset != next[r.Topic] {
				t.Fatalf("%s: offset %d, want %d", r.Topic, r.Offset, next[r.Topic])
			}
			next[r.Topic]++
		}
		q.putBack(batch[taken:])
		q.served(func(p Partition) bool { return p.Topic == batch[0].Topic })
	}
	if next["many"] != 1000 || next["few"] != 1 || q.bytes != 0 {
		t.Errorf("%v, %d bytes", next, q.bytes)
	}
	q.add([]*kafka.Record{{Topic: "many"}, {Topic: "few"}})
	if batch := q.take(9, func(p Partition) bool { return p.Topic == "many" }); len(batch) != 1 || batch[0].Topic != "few" {
		t.Errorf("a partition that is skipped gave %v", batch)
	}
}
