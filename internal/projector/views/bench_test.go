package views

import (
	"testing"

	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/projector/logtest"
	"github.com/leat-io/leat/internal/store"
	"github.com/leat-io/leat/pkg/events"
)

// BenchmarkFold decodes and folds the events and snapshots of three-step
// workflows into a store on disk, in the batches of a busy projector.
func BenchmarkFold(b *testing.B) {
	const steps, batch = 4, 4000
	state, history := &logtest.Log{Topic: logtest.Names.State("order")}, &logtest.Log{Topic: logtest.Names.Events("order")}
	var records []*kafka.Record
	instances := max(1, b.N/steps)
	states := []string{"charging", "packing", "delivering", "done"}
	for n := range instances {
		id := logtest.ID(n)
		for i := range steps {
			history.Event(logtest.Event("order", id, int64(i+1)))
			state.Snapshot(logtest.Snapshot("order", id, int64(i+1), func(s *events.Snapshot) {
				s.Key, s.Chart.Active = id.String(), states[i:i+1]
				s.Chart.Data = map[string]events.ContextValue{"charge_id": events.String("ch_123"), "tries": events.Long(2)}
			}))
			records = append(records, history.Records[len(history.Records)-1], state.Records[len(state.Records)-1])
		}
	}
	db, err := store.Open(store.Options{Dir: b.TempDir(), Layout: Layout})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	foldAll(b, db, records, batch)
	b.StopTimer()
	b.ReportMetric(float64(len(history.Records))/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(len(records))/b.Elapsed().Seconds(), "records/s")
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkGet reads one instance, decoded, among many.
func BenchmarkGet(b *testing.B) {
	db := memory(b)
	l := &logtest.Log{Topic: logtest.Names.State("order")}
	for n := range 10_000 {
		l.Snapshot(logtest.Snapshot("order", logtest.ID(n), 1, nil))
	}
	foldAll(b, db, l.Records, 2000)
	b.ReportAllocs()
	b.ResetTimer()
	for n := range b.N {
		i, err := Get(db, "order", logtest.ID(n%10_000))
		if err != nil || i == nil {
			b.Fatal(err)
		}
		if _, err := i.Snapshot(); err != nil {
			b.Fatal(err)
		}
	}
}
