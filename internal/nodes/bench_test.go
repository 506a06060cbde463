package nodes

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
)

// BenchmarkBeat is what one beat costs each worker that follows the topic, among a
// thousand nodes: they beat two hundred times a second together. Fetching is not in
// it; beats that come within a fifth of a second are fetched together.
func BenchmarkBeat(b *testing.B) {
	const many = 1000
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	var records [many]events.NodeRecord
	for i := range records {
		name := fmt.Sprintf("node-%04d", i)
		records[i] = events.NodeRecord{
			NodeID: name, Incarnation: events.DeriveUUID(events.Namespace, name), Types: []events.NodeType{events.NodeCompute, events.NodeEffect},
			Capabilities: []string{"gpu", "cuda"}, Queues: []string{"train", "mail", "http"}, StartedAt: now, BeatAt: now, Version: "v1.2.3",
			Endpoint: "http://10.0.0.1:8473", Capacity: map[string]int64{"gpu": 2, "memory_mb": 8192, "slots": 64}, Load: map[string]int64{"gpu": 1, "slots": 7},
		}
	}
	n := New(Config{Clock: func() time.Time { return now }})
	ctx := context.Background()
	batch := make([]*kafka.Record, 0, 40)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		r := &records[i%many]
		value, err := avro.EncodeNode(r)
		if err != nil {
			b.Fatal(err)
		}
		r.Beat++
		batch = append(batch, &kafka.Record{Topic: "nodes", Offset: int64(i), Key: []byte(r.NodeID), Value: value, Timestamp: now.Add(time.Duration(i) * 5 * time.Millisecond)})
		b.StartTimer()
		if len(batch) == cap(batch) {
			n.take(ctx, batch, now)
			batch = batch[:0]
		}
	}
}
