package projector

import (
	"testing"

	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/store"
	"github.com/leat-io/leat/pkg/events"
)

// BenchmarkFold decodes and folds the events and snapshots of three-step
// workflows into a store on disk, in the batches of a busy projector.
func BenchmarkFold(b *testing.B) {
	const steps, batch = 4, 4000
	state, history := &log{topic: names.State("order")}, &log{topic: names.Events("order")}
	var records []*kafka.Record
	instances := max(1, b.N/steps)
	states := []string{"charging", "packing", "delivering", "done"}
	for n := range instances {
		id := idFor(n)
		for i := range steps {
			history.event(eventOf("order", id, int64(i+1)))
			state.snapshot(snapshotOf("order", id, int64(i+1), func(s *events.Snapshot) {
				s.Key, s.Chart.Active = id.String(), states[i:i+1]
				s.Chart.Data = map[string]events.ContextValue{"charge_id": events.String("ch_123"), "tries": events.Long(2)}
			}))
			records = append(records, history.records[len(history.records)-1], state.records[len(state.records)-1])
		}
	}
	db, err := store.Open(store.Options{Dir: b.TempDir(), Layout: layout})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	foldAll(b, db, records, batch)
	b.StopTimer()
	b.ReportMetric(float64(len(history.records))/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(len(records))/b.Elapsed().Seconds(), "records/s")
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkGet reads one instance, decoded, among many.
func BenchmarkGet(b *testing.B) {
	db := memory(b)
	l := &log{topic: names.State("order")}
	for n := range 10_000 {
		l.snapshot(snapshotOf("order", idFor(n), 1, nil))
	}
	foldAll(b, db, l.records, 2000)
	b.ReportAllocs()
	b.ResetTimer()
	for n := range b.N {
		i, err := getInstance(db, "order", idFor(n%10_000))
		if err != nil || i == nil {
			b.Fatal(err)
		}
		if _, err := i.snapshot(); err != nil {
			b.Fatal(err)
		}
	}
}
