package router

import (
	"slices"
	"testing"
	"time"

	"github.com/leat-io/leat/internal/shard"
	"github.com/leat-io/leat/pkg/events"
)

// TestLargeInstancesLetOthersGoFirst says who rests after a transaction and for
// how long, and that the timers of whoever rests wait for the end of it, and no
// others.
func TestLargeInstancesLetOthersGoFirst(t *testing.T) {
	now := time.UnixMicro(1_000_000).UTC()
	for _, c := range []struct {
		name   string
		size   int           // of the one instance's snapshot
		took   time.Duration // the transaction
		beside bool          // an instance of another partition was decided just before
		want   time.Duration
	}{
		{"large, beside others", largeRecord, 2 * time.Millisecond, true, 2 * restTimes * time.Millisecond},
		{"very large, beside others", largeRecord, time.Hour, true, longestRest},
		{"large, alone", largeRecord, time.Second, false, 0},
		{"small", largeRecord - 1, time.Second, true, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, b := timerLane(t, now, 2)
			p := shard.Partition{Topic: l.config.Names.Commands("order")}
			l.change(t, p, "one", 3, 500_000)
			l.change(t, p, "neighbour", 7)
			if c.beside {
				l.rests.active[shard.Partition{Topic: p.Topic, Partition: 1}] = now.Add(-stillActive / 2)
			}
			at := instance{p, events.InstanceIDForKey("order", "one")}
			cur, _, err := l.book.load(p, at.id)
			if err != nil {
				t.Fatal(err)
			}
			tx := l.begin(b)
			tx.overlay[at] = &entry{old: cur, cur: cur, changed: true, record: make([]byte, c.size)}
			tx.touched[p] = true
			tx.started = tx.started.Add(-c.took)
			l.rest(tx)
			if err := l.noteTimers(tx); err != nil {
				t.Fatal(err)
			}
			until, ok := b.Rest[p]
			if got := until.Sub(now); ok != (c.want > 0) || ok && (got < c.want || got > c.want*3/2 && got > longestRest) {
				t.Fatalf("rests until %s (%t), want %s", got, ok, c.want)
			}
			all := []int64{3, 7, 500_000}
			if !ok {
				checkFires(t, l, b, now, all)
				return
			}
			if wake := l.NextWake(); !wake.Equal(time.UnixMicro(7).UTC()) {
				t.Errorf("the lane wakes at %s, want that of the neighbour's timer", wake)
			}
			checkFires(t, l, b, now, []int64{7})
			l.change(t, p, "neighbour")
			if wake := l.NextWake(); !wake.Equal(until) {
				t.Errorf("the lane wakes at %s, want the end of the rest at %s", wake, until)
			}
			l.releaseRested(until)
			checkFires(t, l, b, until, []int64{3, 500_000})
		})
	}
}

// TestInstancesThatBecomeSmallDoNotRest says that a rest ends with the next
// transaction of the instance, whatever it is.
func TestInstancesThatBecomeSmallDoNotRest(t *testing.T) {
	now := time.UnixMicro(1_000_000).UTC()
	l, b := timerLane(t, now, 1)
	p := shard.Partition{Topic: l.config.Names.Commands("order")}
	at := instance{p, events.InstanceIDForKey("order", "one")}
	l.rests.large[at] = rest{until: now.Add(time.Hour)}
	l.change(t, p, "one", 3)
	if l.soonest(p).Equal(time.UnixMicro(3).UTC()) {
		t.Fatal("a timer of an instance that rests is to fire")
	}
	cur, _, err := l.book.load(p, at.id)
	if err != nil {
		t.Fatal(err)
	}
	tx := l.begin(b)
	tx.overlay[at] = &entry{old: cur, cur: cur, changed: true, record: []byte("small")}
	tx.touched[p] = true
	l.rest(tx)
	if err := l.noteTimers(tx); err != nil {
		t.Fatal(err)
	}
	checkFires(t, l, b, now, []int64{3})
	l.rests.large[at] = rest{until: now}
	l.Close(p)
	if l.rests.has(at) {
		t.Error("a partition that was given up rests")
	}
}

// TestAnswersWithLargeSnapshotsRest says that whoever asks where a large instance
// is lets others go first, and that its timers do not wait for that.
func TestAnswersWithLargeSnapshotsRest(t *testing.T) {
	now := time.UnixMicro(1_000_000).UTC()
	for _, c := range []struct {
		name   string
		told   int
		rested bool // the instance rests already
		beside bool
		want   bool
	}{
		{"large", largeRecord, false, true, true},
		{"large, alone", largeRecord, false, false, false},
		{"small", 0, false, true, false},
		{"small, of one that rests", 0, true, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, b := timerLane(t, now, 2)
			p := shard.Partition{Topic: l.config.Names.Commands("order")}
			l.change(t, p, "one", 3)
			at := instance{p, events.InstanceIDForKey("order", "one")}
			if c.rested {
				l.rests.large[at] = rest{until: now.Add(time.Hour)}
			}
			tx := l.begin(b)
			e, err := tx.instance(at)
			if err != nil {
				t.Fatal(err)
			}
			e.asked, e.told = true, c.told
			if c.beside { // it is asked about, too, and that counts as much as a decision
				l.change(t, shard.Partition{Topic: p.Topic, Partition: 1}, "other")
				other, err := tx.instance(instance{shard.Partition{Topic: p.Topic, Partition: 1}, events.InstanceIDForKey("order", "other")})
				if err != nil {
					t.Fatal(err)
				}
				other.asked = true
			}
			l.rest(tx)
			if _, rests := b.Rest[p]; rests != c.want {
				t.Errorf("it rests: %t, want %t", rests, c.want)
			}
			if l.rests.has(at) != c.rested {
				t.Errorf("its timers wait: %t, want %t", l.rests.has(at), c.rested)
			}
		})
	}
}

func checkFires(t *testing.T, l *lane, b *shard.Batch, now time.Time, want []int64) {
	t.Helper()
	tx := l.begin(b)
	tx.now = now
	list, err := l.collectDue(tx)
	if err != nil {
		t.Fatal(err)
	}
	var got []int64
	for _, due := range list {
		got = append(got, due.ref.due.UnixMicro())
	}
	if !slices.Equal(got, want) {
		t.Errorf("due at %s are %v, want %v", now, got, want)
	}
}
