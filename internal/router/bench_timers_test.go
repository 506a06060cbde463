//go:build unix

package router

import (
	"fmt"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/leat-io/leat/internal/shard"
	"github.com/leat-io/leat/internal/store"
	"github.com/leat-io/leat/pkg/events"
)

// pendingBook is a book on disk with so many instances in one partition, each
// waiting for one timer. They are due a millisecond apart, in no order of ids.
type pendingBook struct {
	*book
	partition shard.Partition
	now       time.Time // when the first is due
	pending   int
}

func fillPending(b *testing.B, pending int) *pendingBook {
	b.Helper()
	db, err := store.Open(store.Options{Dir: b.TempDir(), Layout: storeLayout})
	if err != nil {
		b.Fatal(err)
	}
	r := newRing(b)
	f := &pendingBook{book: &book{db: db}, partition: r.at.partition, now: r.now, pending: pending}
	batch := db.NewBatch()
	for n := range pending {
		s := events.Snapshot{
			WorkflowType: "ring", InstanceID: events.DeriveUUID(events.Namespace, strconv.Itoa(n)), Version: 1, SequenceNumber: 2,
			State: events.WorkflowRunning, CorrelationID: r.at.id, CreatedAt: r.now, UpdatedAt: r.now, Isolation: events.ReadCommitted,
		}
		s.Chart.Timers = []events.Timer{{ID: 1, Kind: events.TimerAfter, Due: f.due(n), Ref: "one"}}
		f.put(batch, f.partition, nil, &s, encoded(b, &s))
		if n%1000 < 999 && n < pending-1 {
			continue
		}
		if err := batch.Commit(); err != nil {
			b.Fatal(err)
		}
		batch.Close()
		batch = db.NewBatch()
	}
	batch.Close()
	return f
}

func (f *pendingBook) due(n int) time.Time { return f.now.Add(time.Duration(n) * time.Millisecond) }

// BenchmarkTimers is what pending timers cost the router, in time and in memory.
func BenchmarkTimers(b *testing.B) {
	none := func(timerRef) bool { return false }
	for _, pending := range []int{1_000, 100_000, 1_000_000} {
		heap, rss := used()
		f := fillPending(b, pending)
		heapFull, rssFull := used()
		run := func(name string, body func(b *testing.B)) {
			b.Run(fmt.Sprintf("%s/pending=%d", name, pending), body)
		}
		// What a partition that is opened asks once. Its line has the memory also.
		run("Next", func(b *testing.B) {
			b.Helper()
			for b.Loop() {
				if due, err := f.nextTimer(f.partition, time.Time{}, none); err != nil || !due.Equal(f.now) {
					b.Fatal(due, err)
				}
			}
			b.ReportMetric(heap, "heap-before-mb")
			b.ReportMetric(heapFull, "heap-mb")
			b.ReportMetric(rss, "rss-before-mb")
			b.ReportMetric(rssFull, "rss-mb")
		})
		// What a transaction reads when all of them are due.
		run("Due", func(b *testing.B) {
			b.Helper()
			for b.Loop() {
				if due, err := f.dueTimers(f.partition, f.now, f.due(pending), maxTimers, none); err != nil || len(due) != maxTimers {
					b.Fatal(len(due), err)
				}
			}
		})
		// A whole turn: read what is due, take it out, set as many behind the others,
		// and ask for the next. It begins where the earliest was, as the lane does.
		run("Turn", func(b *testing.B) {
			b.Helper()
			soonest, turns := f.now, 0
			for b.Loop() {
				soonest = f.turnOver(b, soonest)
				turns++
			}
			b.ReportMetric(float64(turns*maxTimers)/b.Elapsed().Seconds(), "timers/s")
		})
		if err := f.db.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func (f *pendingBook) turnOver(b *testing.B, soonest time.Time) (next time.Time) {
	b.Helper()
	none := func(timerRef) bool { return false }
	due, err := f.dueTimers(f.partition, soonest, soonest.Add(time.Hour), maxTimers, none)
	if err != nil || len(due) != maxTimers {
		b.Fatal(len(due), err)
	}
	batch := f.db.NewBatch()
	defer batch.Close()
	for _, ref := range due {
		batch.Delete(timerKey(f.partition, ref))
		ref.due = ref.due.Add(f.due(f.pending).Sub(f.now))
		batch.Set(timerKey(f.partition, ref), nil)
	}
	if err := batch.Commit(); err != nil {
		b.Fatal(err)
	}
	next, err = f.nextTimer(f.partition, soonest, none)
	if err != nil || !next.After(soonest) {
		b.Fatal(next, err)
	}
	return next
}

// used is the memory of the process in MB of 10^6 bytes: live objects of Go, and
// all that is resident (0 where /proc does not say it).
func used() (heap, rss float64) {
	debug.FreeOSMemory()
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	text, _ := os.ReadFile("/proc/self/statm")
	if fields := strings.Fields(string(text)); len(fields) > 1 {
		pages, _ := strconv.ParseFloat(fields[1], 64)
		rss = pages * float64(os.Getpagesize()) / 1e6
	}
	return float64(sample[0].Value.Uint64()) / 1e6, rss
}
