package router

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

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

// A tombstone, which somebody may write by hand, leaves neither the instance nor
// its timers.
func TestRestoreOfATombstone(t *testing.T) {
	b := memory(t)
	p := shard.Partition{Topic: "workflow.order.commands"}
	snap := someSnapshot(t)
	snap.Chart.Timers = []events.Timer{{ID: 1, Kind: events.TimerAfter, Due: snap.CreatedAt.Add(time.Hour), Ref: "a"}}
	value, err := avro.EncodeSnapshot(snap)
	if err != nil {
		t.Fatal(err)
	}
	key := []byte(snap.InstanceID.String())
	for _, records := range [][]*kafka.Record{{{Key: key, Value: value}, {Offset: 1, Key: key}}, {{Key: key, Value: value}}, {{Offset: 1, Key: key}}} {
		r := restorer{book: b, partition: p, batch: b.db.NewBatch(), old: make(map[events.UUID]*events.Snapshot)}
		for _, record := range records {
			if err := r.visit(record); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.flush(); err != nil {
			t.Fatal(err)
		}
		r.batch.Close()
		got, err := b.load(p, snap.InstanceID)
		if err != nil {
			t.Fatal(err)
		}
		next, err := b.nextTimer(p, time.Time{}, func(timerRef) bool { return false })
		gone := records[len(records)-1].Value == nil
		if err != nil || (got == nil) != gone || next.IsZero() != gone {
			t.Errorf("after %d records: instance %v, next timer %v, %v", len(records), got != nil, next, err)
		}
	}
}
