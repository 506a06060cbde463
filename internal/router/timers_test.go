package router

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/registry"
	"github.com/leat-io/leat/internal/shard"
	"github.com/leat-io/leat/pkg/events"
)

// timerLane is a lane over a book in memory, with partitions that are open.
func timerLane(t *testing.T, now time.Time, partitions int32) (*lane, *shard.Batch) {
	t.Helper()
	config, err := Config{Slot: "slot", Clock: func() time.Time { return now }}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	l := newLane(config, nil, registry.NewSchedules(registry.Config{}, func() {}), memory(t))
	b := &shard.Batch{Open: make(map[shard.Partition]int64)}
	for n := range partitions {
		p := shard.Partition{Topic: config.Names.Commands("order"), Partition: n}
		b.Open[p] = 0
		l.timer[p] = time.Time{}
	}
	return l, b
}

// change is a step of an instance, as a transaction leaves it: its timers are
// those of dues, in microseconds.
func (l *lane) change(t rapid.TB, p shard.Partition, key string, dues ...int64) {
	t.Helper()
	id := events.InstanceIDForKey("order", key)
	at := instance{p, id}
	old, _, err := l.book.load(p, id)
	if err != nil {
		t.Fatal(err)
	}
	next := &events.Snapshot{
		WorkflowType: "order", InstanceID: id, Key: key, Version: 1, SequenceNumber: 2, State: events.WorkflowRunning, CorrelationID: id,
		CreatedAt: time.UnixMicro(1).UTC(), UpdatedAt: time.UnixMicro(1).UTC(), Isolation: events.ReadCommitted,
	}
	for i, due := range dues {
		next.Chart.Timers = append(next.Chart.Timers, events.Timer{ID: int64(i), Kind: events.TimerAfter, Due: time.UnixMicro(due).UTC(), Ref: "a"})
	}
	record, err := avro.EncodeSnapshot(next)
	if err != nil {
		t.Fatal(err)
	}
	tx := l.begin(&shard.Batch{Open: map[shard.Partition]int64{p: 0}})
	tx.touched[p] = true
	tx.overlay[at] = &entry{old: old, cur: next, changed: true, record: record}
	batch := l.book.db.NewBatch()
	defer batch.Close()
	l.book.put(batch, p, old, next, record)
	if err := errors.Join(batch.Commit(), l.noteTimers(tx)); err != nil {
		t.Fatal(err)
	}
}

// What is remembered of the earliest timer is what the index says, whatever is
// set, moved and removed; and no timer is lost from the index.
func TestEarliestTimerIsThatOfTheIndex(t *testing.T) {
	l, b := timerLane(t, time.UnixMicro(1_000_000), 1)
	p := slices.Collect(maps.Keys(b.Open))[0]
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "key")
		l.change(t, p, key, rapid.SliceOfN(rapid.Int64Range(2, 9), 0, 3).Draw(t, "dues")...)
		none := func(timerRef) bool { return false }
		want, err := l.book.nextTimer(p, time.Time{}, none)
		if err != nil || !l.soonest(p).Equal(want) {
			t.Fatalf("the earliest timer is taken for %v and is %v (%v)", l.soonest(p), want, err)
		}
		all, err := l.book.dueTimers(p, time.Time{}, time.UnixMicro(100), 100, none)
		count := 0
		for _, key := range []string{"a", "b", "c"} {
			if snap, _, _ := l.book.load(p, events.InstanceIDForKey("order", key)); snap != nil {
				count += len(snap.Chart.Timers)
			}
		}
		if err != nil || len(all) != count {
			t.Fatalf("the index has %d timers of %d (%v)", len(all), count, err)
		}
	})
}

// More than one transaction fires is taken in parts, and the parts are in order
// over all partitions.
func TestDueTimersComeInOrderOverPartitions(t *testing.T) {
	const instances = 3 * maxTimers
	now := time.UnixMicro(1_000_000).UTC()
	l, b := timerLane(t, now, 5)
	want := make([]int64, instances)
	parts := make([]shard.Partition, 0, 5)
	for p := range b.Open {
		parts = append(parts, p)
	}
	for i := range instances {
		due := int64(2 + (i*7919)%(instances*3)) // all different, in no order
		if i%7 == 0 {
			due = 500 + int64(i%3) // and many at once
		}
		want[i] = due
		// The first partition has most of the early ones.
		p := parts[i%5]
		if due < instances {
			p = parts[0]
		}
		l.change(t, p, string(rune(i+0x1000)), due)
	}
	slices.Sort(want)
	var got []int64
	for len(got) < instances {
		tx := l.begin(b)
		list, err := l.collectDue(tx)
		if err != nil || len(list) == 0 {
			t.Fatalf("after %d timers: %d more, %v", len(got), len(list), err)
		}
		for _, due := range list {
			got = append(got, due.ref.due.UnixMicro())
			tx.touched[due.partition] = true
			tx.stale = append(tx.stale, due)
		}
		batch := l.book.db.NewBatch()
		for _, s := range tx.stale {
			batch.Delete(timerKey(s.partition, s.ref))
		}
		if err := errors.Join(batch.Commit(), l.noteTimers(tx)); err != nil {
			t.Fatal(err)
		}
		batch.Close()
	}
	if !slices.Equal(got, want) {
		t.Error("timers came out of order")
	}
	if wake := l.NextWake(); !wake.IsZero() {
		t.Errorf("after the last timer the lane wakes at %v", wake)
	}
}

func TestTimersThatAreNotDueStay(t *testing.T) {
	now := time.UnixMicro(1000).UTC()
	l, b := timerLane(t, now, 1)
	for p := range b.Open {
		l.change(t, p, "early", 1001)
		l.change(t, p, "at the instant", 1000)
	}
	list, err := l.collectDue(l.begin(b))
	if err != nil || len(list) != 1 || !list[0].ref.due.Equal(now) {
		t.Errorf("due at %v: %v %v", now, list, err)
	}
}

// A timer that cannot be decided is set aside and not lost: it comes again when
// definitions have come in.
func TestUndecidableTimersAreHeldUntilDefinitionsCome(t *testing.T) {
	l, b := timerLane(t, time.UnixMicro(1000), 1)
	for p := range b.Open {
		l.change(t, p, "a", 10)
		l.change(t, p, "b", 20)
	}
	collect := func() []dueTimer {
		l.releaseHeld()
		list, err := l.collectDue(l.begin(b))
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	first := collect()
	tx := l.begin(b)
	tx.touched[first[0].partition], tx.undecided = true, first[:1]
	l.holdUndecided(tx)
	if err := l.noteTimers(tx); err != nil {
		t.Fatal(err)
	}
	if list := collect(); len(list) != 1 || list[0].ref.due.UnixMicro() != 20 {
		t.Errorf("behind the timer that is held come %v", list)
	}
	l.deployed.Store(true)
	if wake := l.NextWake(); wake.IsZero() || wake.After(time.UnixMicro(1000)) {
		t.Errorf("the lane wakes at %v", wake)
	}
	if list := collect(); len(list) != 2 {
		t.Errorf("after a definition came in: %v", list)
	}
}
