//go:build unix

package router

import (
	"fmt"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/decide"
	"github.com/leat-io/leat/internal/definition"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/shard"
	"github.com/leat-io/leat/internal/store"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
	"github.com/leat-io/leat/pkg/topics"
)

// A workflow of three steps that never ends, so that its history can be long.
const ring = `leat: v1
type: ring
version: 1
initial: one
states:
  one: {invoke: {task: bench.noop, onDone: two, onError: failed}}
  two: {invoke: {task: bench.noop, onDone: three, onError: failed}}
  three: {invoke: {task: bench.noop, onDone: one, onError: failed}}
  failed: {type: final, outcome: failed}
`

// ringBench decides commands of one instance of ring without a broker.
type ringBench struct {
	lane    *lane
	machine *fsm.Machine
	at      instance
	now     time.Time
}

func newRing(tb testing.TB) *ringBench {
	tb.Helper()
	machine, findings, err := definition.Parse("ring.yaml", []byte(ring))
	if err == nil {
		err = findings.Err()
	}
	if err != nil {
		tb.Fatal(err)
	}
	config, err := Config{Slot: "bench"}.withDefaults()
	if err != nil {
		tb.Fatal(err)
	}
	db, err := store.Open(store.Options{Dir: tb.TempDir(), Layout: storeLayout})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = db.Close() })
	return &ringBench{
		lane: newLane(config, nil, nil, &book{db: db}), machine: machine, now: time.UnixMicro(1_790_000_000_000_000).UTC(),
		at: instance{
			partition: shard.Partition{Topic: topics.Names{}.Commands("ring"), Partition: 3},
			id:        events.InstanceIDForKey("ring", "order-42"),
		},
	}
}

// command is the start of the instance, or the result that it waits for.
func (r *ringBench) command(tb testing.TB, snap *events.Snapshot) *kafka.Record {
	tb.Helper()
	c := events.Command{
		Command: events.CommandStart, WorkflowType: "ring", InstanceID: r.at.id, Timestamp: r.now, Source: "bench",
	}
	if snap != nil {
		task := snap.Chart.Tasks[0]
		c.Command, c.CommandID = events.CommandResult, events.DeriveUUID(task.TaskID, "result/1")
		c.Result = &events.TaskResult{TaskID: task.TaskID, Attempt: task.Attempt, State: events.TaskCompleted, NodeID: "executor-0"}
	}
	value, err := avro.EncodeCommand(&c)
	if err != nil {
		tb.Fatal(err)
	}
	return &kafka.Record{Topic: r.at.partition.Topic, Partition: r.at.partition.Partition, Offset: 7, Value: value}
}

// turn decodes, decides and encodes one command.
func (r *ringBench) turn(tb testing.TB, record *kafka.Record, snap *events.Snapshot) *events.Snapshot {
	tb.Helper()
	t := &transaction{lane: r.lane, batch: &shard.Batch{}, now: r.now}
	in, err := t.read("ring", record)
	if err != nil {
		tb.Fatal(err)
	}
	return r.decide(tb, t, in, snap)
}

func (r *ringBench) decide(tb testing.TB, t *transaction, in decide.Input, snap *events.Snapshot) *events.Snapshot {
	tb.Helper()
	in.Machine = r.machine
	d, err := decide.Decide(in, snap)
	if err != nil {
		tb.Fatal(err)
	}
	e := &entry{old: snap, cur: snap}
	if err := t.add(r.at, e, d, maxRecord); err != nil {
		tb.Fatal(err)
	}
	return e.cur
}

// history decides until the instance has n events or a few more.
func (r *ringBench) history(tb testing.TB, n int64) *events.Snapshot {
	tb.Helper()
	var snap *events.Snapshot
	for snap == nil || snap.SequenceNumber < n {
		snap = r.turn(tb, r.command(tb, snap), snap)
	}
	return snap
}

// BenchmarkDecideEncode is what one result costs an instance with so many
// events behind it: decide and encode, without decoding the command.
func BenchmarkDecideEncode(b *testing.B) {
	for _, n := range []int64{10, 1_000, 10_000} {
		b.Run(fmt.Sprintf("history=%d", n), func(b *testing.B) {
			r := newRing(b)
			snap := r.history(b, n)
			t := &transaction{lane: r.lane, batch: &shard.Batch{}, now: r.now}
			in, err := t.read("ring", r.command(b, snap))
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			defer reportCPU(b)()
			for b.Loop() {
				t := &transaction{lane: r.lane, batch: &shard.Batch{}, now: r.now}
				r.decide(b, t, in, snap)
			}
		})
	}
}

// BenchmarkCommand is the whole of a command: decode, decide, encode, and write
// into the local store, in batches of 40.
func BenchmarkCommand(b *testing.B) {
	r := newRing(b)
	snap := r.history(b, 10)
	record := r.command(b, snap)
	batch, left := r.lane.book.db.NewBatch(), 40
	b.ReportAllocs()
	defer reportCPU(b)()
	for b.Loop() {
		next := r.turn(b, record, snap)
		value := encoded(b, next)
		r.lane.book.put(batch, r.at.partition, snap, next, value)
		if left--; left > 0 {
			continue
		}
		if err := batch.Commit(); err != nil {
			b.Fatal(err)
		}
		batch.Close()
		batch, left = r.lane.book.db.NewBatch(), 40
	}
	batch.Close()
}

// encoded is a snapshot as it goes into the store.
func encoded(tb testing.TB, snap *events.Snapshot) []byte {
	tb.Helper()
	value, err := avro.EncodeSnapshot(snap)
	if err != nil {
		tb.Fatal(err)
	}
	return value
}

// reportCPU begins to count the processor time of the process, collector
// included: on a machine that others use it says more than the clock.
func reportCPU(b *testing.B) (report func()) {
	b.Helper()
	used := func() int64 {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return u.Utime.Nano() + u.Stime.Nano()
	}
	before := used()
	return func() { b.ReportMetric(float64(used()-before)/float64(b.N), "cpu-ns/op") }
}

// BenchmarkRestore is how fast records of a state topic go into an empty book,
// once they are here: 50,000 instances, each with three snapshots.
func BenchmarkRestore(b *testing.B) {
	const instances = 50_000
	r := newRing(b)
	snap := r.history(b, 10)
	records := make([]*kafka.Record, 0, 3*instances)
	for offset := range int64(3 * instances) {
		s := *snap
		s.InstanceID = events.DeriveUUID(events.Namespace, strconv.FormatInt(offset%instances, 10))
		value, err := avro.EncodeSnapshot(&s)
		if err != nil {
			b.Fatal(err)
		}
		records = append(records, &kafka.Record{Offset: offset, Key: []byte(s.InstanceID.String()), Value: value})
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := r.lane.book.wipe(r.at.partition); err != nil {
			b.Fatal(err)
		}
		restore := restorer{
			book: r.lane.book, workflowType: "ring", partition: r.at.partition, batch: r.lane.book.db.NewBatch(), old: make(map[events.UUID]*events.Snapshot),
		}
		for _, record := range records {
			if err := restore.visit(record); err != nil {
				b.Fatal(err)
			}
		}
		if err := restore.flush(); err != nil {
			b.Fatal(err)
		}
		restore.batch.Close()
	}
	b.ReportMetric(float64(len(records))*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}
