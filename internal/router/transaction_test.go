package router

import (
	"context"
	"testing"
	"time"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/decide"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/registry"
	"github.com/leat-io/leat/internal/shard"
	"github.com/leat-io/leat/internal/store"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

// TestTimerOfAnUnknownVersionIsKept is about a version that was deployed a moment
// ago, and a router that cannot look for it now: because it is told to stop, or
// because the definitions have no leader.
func TestTimerOfAnUnknownVersionIsKept(t *testing.T) {
	config, err := Config{Slot: "slot"}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	b := memory(t)
	p := shard.Partition{Topic: config.Names.Commands("order")}
	snap := someSnapshot(t)
	snap.Chart.Timers = []events.Timer{{ID: 1, Kind: events.TimerAfter, Due: time.UnixMicro(5).UTC(), Ref: "a", Event: "after.a"}}
	value, err := avro.EncodeSnapshot(snap)
	if err != nil {
		t.Fatal(err)
	}
	batch := b.db.NewBatch()
	defer batch.Close()
	b.put(batch, p, nil, snap, value)
	if err := batch.Commit(); err != nil {
		t.Fatal(err)
	}
	l := newLane(config, registry.New(registry.Config{Kafka: kafka.Config{Brokers: []string{"127.0.0.1:1"}}}), nil, b)
	stopping, cancel := context.WithCancel(t.Context())
	cancel()
	tx := l.begin(&shard.Batch{Open: map[shard.Partition]int64{p: 0}})
	if err := tx.fire(stopping, dueTimer{p, refOf(snap, 0)}); err == nil {
		t.Errorf("no error, and %d timers are forgotten", len(tx.stale)+len(tx.undecided))
	}
}

func TestPanicCostsOneDecision(t *testing.T) {
	broken := &transaction{lane: newLane(Config{}, nil, nil, &book{})}
	if err := broken.add(instance{}, &entry{}, decide.Decision{Signals: []fsm.SendSignal{{}}}, maxRecord); err == nil {
		t.Error("no error of a decision that cannot be written")
	}
	if len(broken.records) > 0 {
		t.Errorf("%d records are left of it", len(broken.records))
	}
}

func someSnapshot(t *testing.T) *events.Snapshot {
	t.Helper()
	id := events.InstanceIDForKey("order", "k")
	return &events.Snapshot{
		WorkflowType: "order", InstanceID: id, Key: "k", Version: 1, SequenceNumber: 2, State: events.WorkflowRunning,
		CorrelationID: id, CreatedAt: time.UnixMicro(1).UTC(), UpdatedAt: time.UnixMicro(1).UTC(),
		Chart: events.Chart{Active: []string{"a"}}, Isolation: events.ReadCommitted,
	}
}

func memory(t *testing.T) *book {
	t.Helper()
	db, err := store.Open(store.Options{Layout: storeLayout})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return &book{db: db}
}
