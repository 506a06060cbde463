package shard

import (
	"testing"
	"time"

	"github.com/leat-io/leat/internal/kafka"
)

// TestPartitionsRestForOneKey says that a partition rests until its time is over,
// but never one in which somebody waits behind the key for which it does.
func TestPartitionsRestForOneKey(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		name  string
		keys  []string
		until time.Duration
		taken bool
	}{
		{"one key", []string{"a", "a", "a"}, time.Second, false},
		{"over", []string{"a", "a", "a"}, 0, true},
		{"somebody behind", []string{"a", "a", "b"}, time.Second, true},
		{"no key", []string{"", "", ""}, time.Second, true},
	} {
		s := New(Config{Topics: []string{"rests", "other"}, Clock: func() time.Time { return now }}, nil)
		for i, key := range c.keys {
			s.queue.add([]*kafka.Record{{Topic: "rests", Offset: int64(i), Key: []byte(key)}, {Topic: "other", Offset: int64(i), Key: []byte(key)}})
		}
		s.resting[Partition{Topic: "rests"}] = now.Add(c.until)
		got := make(map[string]int)
		for _, r := range s.queue.take(100, s.waits(func(Partition) bool { return false })) {
			got[r.Topic]++
		}
		if (got["rests"] == len(c.keys)) != c.taken || !c.taken && got["rests"] > 0 || got["other"] != len(c.keys) {
			t.Errorf("%s: taken are %v", c.name, got)
		}
	}
}
