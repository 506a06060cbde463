package router

import (
	"bytes"
	"encoding/json"
	"math"
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
	r := restorer{book: b, workflowType: "order", partition: p, batch: b.db.NewBatch(), old: make(map[events.UUID]*events.Snapshot)}
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
		r := restorer{book: b, workflowType: "order", partition: p, batch: b.db.NewBatch(), old: make(map[events.UUID]*events.Snapshot)}
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
		book: b, workflowType: "order", partition: p, committed: 7, end: 9, batch: b.db.NewBatch(), old: make(map[events.UUID]*events.Snapshot),
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
		{Key: []byte(events.CheckpointKey), Value: checkpoint(t, math.MaxInt64)},
		{Key: []byte(events.CheckpointKey), Value: checkpoint(t, 10)},
		{Key: []byte(events.CheckpointKey), Value: checkpoint(t, 0)}, // behind one that the group has committed too
		{Key: []byte(events.TimeUUID(time.Unix(1, 0), [16]byte{1}).String()), Value: value},
		{Key: key, Value: changed(t, func(s *events.Snapshot) { s.WorkflowType = "refund" })},
		{Key: key, Value: changed(t, func(s *events.Snapshot) { s.SequenceNumber = math.MaxInt64 })},
	} {
		record.Offset = int64(i)
		if err := r.visit(record); err != nil {
			t.Errorf("record %d: %v", i, err)
		}
	}
	if err := r.flush(); err != nil {
		t.Fatal(err)
	}
	if left != 14 || r.at != (position{state: 15, input: 7}) {
		t.Errorf("%d records are left out, the position is %+v", left, r.at)
	}
	if got, _, err := b.load(p, snap.InstanceID); err != nil || got == nil {
		t.Errorf("the instance that can be read is gone: %v", err)
	}
}

func checkpoint(t *testing.T, next int64) []byte {
	t.Helper()
	value, err := avro.EncodeCheckpoint(&events.Checkpoint{NextOffset: next, Source: "test", Timestamp: time.Unix(1, 0)})
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func changed(t *testing.T, change func(*events.Snapshot)) []byte {
	t.Helper()
	snap := someSnapshot(t)
	change(snap)
	value, err := avro.EncodeSnapshot(snap)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// The newest checkpoint counts, also behind one that was forged. That it is ahead
// of the commands is for whoever opens the partition to say when the group knows
// nothing.
func TestRestoreTakesTheNewestCheckpoint(t *testing.T) {
	for _, c := range []struct {
		name      string
		committed int64
		said      []int64
		want      int64
	}{
		{"they rise", 3, []int64{1, 2, 3}, 3},
		{"a forged one between", 3, []int64{1, 8, 2, 3}, 3},
		{"a forged one before the last", 3, []int64{1, 8, 3}, 3},
		{"the group was set back", 2, []int64{1, 2, 3}, 3},
		{"the group knows nothing", -1, []int64{1, 2, 99}, 99},
		{"the group knows nothing, and it goes back", -1, []int64{4, 2}, 2},
	} {
		r := restorer{workflowType: "order", committed: c.committed, end: 9}
		for _, next := range c.said {
			if err := r.visit(&kafka.Record{Key: []byte(events.CheckpointKey), Value: checkpoint(t, next)}); err != nil {
				t.Fatal(err)
			}
		}
		if r.at.input != c.want {
			t.Errorf("%s: %d, want %d", c.name, r.at.input, c.want)
		}
	}
}
