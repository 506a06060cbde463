package router

import (
	"bytes"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/leat-io/leat/internal/decide"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/shard"
	"github.com/leat-io/leat/pkg/events"
)

// TestBatchIsDecidedWithinItsBudget decides the beginning of batches: what is
// left of each partition begins at its offset in Open, nothing behind that is
// decided, and nothing before it is left out.
func TestBatchIsDecidedWithinItsBudget(t *testing.T) {
	const parts, each = 3, 20
	busy := commandsOf("order", parts)
	for _, c := range []struct {
		name  string
		size  int           // of each record; all are garbage, which goes to the dead letters
		spent time.Duration // before the first is decided
		block bool          // the history of "order" takes nothing
		want  func(decided, bytes int) bool
	}{
		{"small", 10, 0, false, func(n, _ int) bool { return n == (parts+1)*each }},
		{"large", 300 << 10, 0, false, func(n, size int) bool { return n < (parts+1)*each && size > decideBytes && size < decideBytes+1<<20 }},
		{"no time", 10, 2 * decideFor, false, func(n, _ int) bool { return n == 1 }},
		{"blocked", 10, 0, true, func(n, _ int) bool { return n == each }},
		{"blocked, no time", 10, 2 * decideFor, true, func(n, _ int) bool { return n == 1 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			config, err := Config{Slot: "slot"}.withDefaults()
			if err != nil {
				t.Fatal(err)
			}
			l := newLane(config, nil, nil, nil)
			if c.block {
				l.refusals.mark(config.Names.Events("order"), refusal{cause: errors.New("forbidden"), until: config.Clock().Add(time.Hour)})
			}
			b := &shard.Batch{Open: make(map[shard.Partition]int64)}
			for i := range int64(each) {
				for _, p := range append(busy, commandsOf("other", 1)...) {
					b.Records = append(b.Records, &kafka.Record{Topic: p.Topic, Partition: p.Partition, Offset: i, Value: bytes.Repeat([]byte("x"), c.size)})
					b.Open[p] = i + 1
				}
			}
			tx := l.begin(b)
			tx.began = tx.began.Add(-c.spent)
			if c.spent == 0 {
				tx.began = tx.began.Add(time.Hour) // however busy the machine is
			}
			if err := tx.decideRecords(t.Context()); err != nil {
				t.Fatal(err)
			}
			checkDecided(t, tx)
			tx.full() // counts the last
			if !c.want(tx.decided, tx.bytes) {
				t.Errorf("%d inputs are decided, %d bytes", tx.decided, tx.bytes)
			}
			for _, p := range busy {
				if _, blocked := b.Blocked[p]; blocked != c.block || blocked && b.Open[p] != 0 {
					t.Errorf("%s: blocked is %t, and it is left at %d", p, blocked, b.Open[p])
				}
			}
		})
	}
}

// checkDecided holds the dead letters of a transaction against Open.
func checkDecided(t *testing.T, tx *transaction) {
	t.Helper()
	next := make(map[string]int64)
	for _, r := range tx.records {
		header := make(map[string]string)
		for _, h := range r.Headers {
			header[h.Key] = string(h.Value)
		}
		from := header[kafka.DeadLetterTopic] + "/" + header[kafka.DeadLetterPartition]
		if got := strconv.FormatInt(next[from], 10); got != header[kafka.DeadLetterOffset] {
			t.Fatalf("%s: %s is decided, want %s", from, header[kafka.DeadLetterOffset], got)
		}
		next[from]++
	}
	sum := int64(0)
	for p, open := range tx.batch.Open {
		if sum += next[p.String()]; next[p.String()] != open {
			t.Errorf("%s is decided up to %d, and the next is said to be %d", p, next[p.String()], open)
		}
	}
	if sum != int64(tx.decided) {
		t.Errorf("%d are kept and %d counted", sum, tx.decided)
	}
}

func commandsOf(workflowType string, n int32) (all []shard.Partition) {
	for i := range n {
		all = append(all, shard.Partition{Topic: Config{}.Names.Commands(workflowType), Partition: i})
	}
	return all
}

// TestSnapshotsCountInTheBudget says that instances which are large in
// themselves fill a transaction, although their snapshots are encoded last.
func TestSnapshotsCountInTheBudget(t *testing.T) {
	config, err := Config{Slot: "slot"}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	tx := newLane(config, nil, nil, nil).begin(&shard.Batch{})
	for i := range 10 {
		e := &entry{size: decideBytes / 5}
		for range 3 { // one snapshot, however many decisions
			if err := tx.add(instance{}, e, decide.Decision{Next: &events.Snapshot{}}, maxRecord); err != nil {
				t.Fatal(err)
			}
		}
		if want := i >= 5; (tx.bytes > decideBytes) != want {
			t.Errorf("after %d instances: %d bytes of %d", i+1, tx.bytes, decideBytes)
		}
	}
}
