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
		got, _, err := b.load(p, snap.InstanceID)
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

// What cannot be read is counted and left out, and what was known stays: a record
// that anybody may have written must not keep the partition closed.
func TestRestoreLeavesOutWhatCannotBeRead(t *testing.T) {
	b := memory(t)
	p := shard.Partition{Topic: "workflow.order.commands"}
	snap := someSnapshot(t)
	value, err := avro.EncodeSnapshot(snap)
	if err != nil {
		t.Fatal(err)
	}
	key, garbage := []byte(snap.InstanceID.String()), []byte("{")
	left := 0
	r := restorer{
		book: b, partition: p, committed: 7, batch: b.db.NewBatch(), old: make(map[events.UUID]*events.Snapshot),
		unreadable: func(*kafka.Record, error) { left++ },
	}
	defer func() { r.batch.Close() }()
	for i, record := range []*kafka.Record{
		{Key: key, Value: value},
		{Key: key, Value: garbage},
		{Key: []byte(events.TimeUUID(time.Unix(1, 0), [16]byte{1}).String()), Value: garbage},
		{Key: []byte(events.CheckpointKey), Value: garbage},
		{Key: []byte(events.CheckpointKey)},
		{Key: []byte(events.ScheduleProgressPrefix + "nightly"), Value: garbage},
		{Key: []byte("no id"), Value: value},
		{Value: garbage},
		{},
	} {
		record.Offset = int64(i)
		if err := r.visit(record); err != nil {
			t.Errorf("record %d: %v", i, err)
		}
	}
	if err := r.flush(); err != nil {
		t.Fatal(err)
	}
	if left != 8 || r.at != (position{state: 9, input: 7}) {
		t.Errorf("%d records are left out, the position is %+v", left, r.at)
	}
	if got, _, err := b.load(p, snap.InstanceID); err != nil || got == nil {
		t.Errorf("the instance that can be read is gone: %v", err)
	}
}
