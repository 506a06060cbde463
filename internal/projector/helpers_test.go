package projector

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/store"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/topics"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	began = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	names = topics.Names{}
)

func idFor(n int) events.UUID {
	return events.DeriveUUID(events.Namespace, fmt.Sprint("test/", n))
}

// snapshotOf is a valid snapshot; edit changes it.
func snapshotOf(workflowType string, id events.UUID, sequence int64, edit func(*events.Snapshot)) *events.Snapshot {
	s := &events.Snapshot{
		WorkflowType: workflowType, InstanceID: id, Version: 1, SequenceNumber: sequence, State: events.WorkflowRunning,
		CorrelationID: id, CreatedAt: began, UpdatedAt: began.Add(time.Duration(sequence) * time.Second),
		Chart: events.Chart{Active: []string{"open"}}, Isolation: events.ReadCommitted,
	}
	if edit != nil {
		edit(s)
	}
	return s
}

func eventOf(workflowType string, id events.UUID, sequence int64) *events.Event {
	return &events.Event{
		EventID: events.EventID(workflowType, id, sequence), EventType: events.EventStateTransitioned, WorkflowType: workflowType,
		InstanceID: id, CorrelationID: id, SequenceNumber: sequence, Timestamp: began.Add(time.Duration(sequence) * time.Second),
		Source: "test", IdempotencyKey: fmt.Sprintf("%s-%s-%d", workflowType, id, sequence),
		Metadata: map[string]events.ContextValue{events.MetadataCommandID: events.String(id.String())},
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// log is a topic partition in memory.
type log struct {
	topic     string
	partition int32
	records   []*kafka.Record
}

func (l *log) append(key string, value []byte) {
	l.records = append(l.records, &kafka.Record{
		Topic: l.topic, Partition: l.partition, Offset: int64(len(l.records)), Key: []byte(key), Value: value,
		Timestamp: began.Add(time.Duration(len(l.records)) * time.Millisecond),
	})
}

func (l *log) snapshot(s *events.Snapshot) {
	l.append(s.InstanceID.String(), must(avro.EncodeSnapshot(s)))
}

func (l *log) event(e *events.Event) { l.append(e.InstanceID.String(), must(avro.EncodeEvent(e))) }

// sourceOfTest is what a topic of the tests holds.
func sourceOfTest(topic string, types ...string) source {
	for _, t := range types {
		switch topic {
		case names.State(t):
			return source{workflowType: t, state: true}
		case names.Events(t):
			return source{workflowType: t}
		}
	}
	panic("no source for " + topic)
}

// foldAll folds records in batches of the given sizes, the last one repeated.
func foldAll(tb testing.TB, db *store.DB, records []*kafka.Record, sizes ...int) {
	tb.Helper()
	f := &folder{db: db}
	for i := 0; len(records) > 0; i++ {
		size := len(records)
		if len(sizes) > 0 {
			size = min(max(1, sizes[min(i, len(sizes)-1)]), len(records))
		}
		var changes []change
		at := make(map[kafka.TopicPartition]position)
		for _, r := range records[:size] {
			p := kafka.TopicPartition{Topic: r.Topic, Partition: r.Partition}
			at[p] = at[p].behind(r)
			c, err := decode(sourceOfTest(r.Topic, "order", "quake"), r)
			if err == nil {
				changes = append(changes, c)
			}
		}
		if _, err := f.fold(changes, at); err != nil {
			tb.Fatal(err)
		}
		records = records[size:]
	}
}

func memory(tb testing.TB) *store.DB {
	tb.Helper()
	db, err := store.Open(store.Options{Layout: layout})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Error(err)
		}
	})
	return db
}

// contentOf is the hash of all views. Positions are left out: they also say how
// far control records were read, which is no content.
func contentOf(tb testing.TB, db *store.DB) string {
	tb.Helper()
	h := sha256.New()
	rows := 0
	if err := db.Scan([]byte{1}, []byte{0xff}, func(key, value []byte) (bool, error) {
		if key[0] != prefixPosition {
			_, _ = fmt.Fprintf(h, "%d %x %d %x\n", len(key), key, len(value), value)
			rows++
		}
		return true, nil
	}); err != nil {
		tb.Fatal(err)
	}
	return fmt.Sprint(rows, " rows ", hex.EncodeToString(h.Sum(nil)))
}
