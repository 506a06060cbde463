package router

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/shard"
	"github.com/leat-io/leat/pkg/events"
)

// TestRestoreOfOneBusyInstanceIsBounded restores a log that is not compacted
// yet: what it holds in memory must not grow with it.
func TestRestoreOfOneBusyInstanceIsBounded(t *testing.T) {
	b := memory(t)
	p := shard.Partition{Topic: "workflow.order.commands"}
	snap := someSnapshot(t)
	snap.Chart.Input = json.RawMessage(`"` + string(bytes.Repeat([]byte("x"), 200<<10)) + `"`)
	value, err := avro.EncodeSnapshot(snap)
	if err != nil {
		t.Fatal(err)
	}
	r := restorer{book: b, partition: p, batch: b.db.NewBatch(), old: make(map[events.UUID]*events.Snapshot)}
	defer func() { r.batch.Close() }()
	for offset := range int64(100) {
		if err := r.visit(&kafka.Record{Offset: offset, Key: []byte(snap.InstanceID.String()), Value: value}); err != nil {
			t.Fatal(err)
		}
	}
	if _, known, err := b.position(p); err != nil || !known {
		t.Errorf("20 MB of one instance are held in memory (%v)", err)
	}
}
