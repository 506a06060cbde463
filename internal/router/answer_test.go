package router

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/decide"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/shard"
	"github.com/leat-io/leat/pkg/events"
)

// TestOutcomesSayWhatTheyLeaveOut writes outcomes for a topic that takes less and
// less: each is written, or logged when not even the smallest is taken, and says
// what is missing.
func TestOutcomesSayWhatTheyLeaveOut(t *testing.T) {
	id := events.DeriveUUID(events.Namespace, "one")
	output, failure := json.RawMessage(`"`+strings.Repeat("o", 20<<10)+`"`), &events.Error{Code: "LOST", Message: "it is lost"}
	whole := events.Outcome{
		CommandID: id, WorkflowType: "order", InstanceID: id, Status: events.OutcomeDescribed, Timestamp: time.UnixMicro(1).UTC(),
		InstanceState: events.WorkflowFailed, InstanceSequence: 7, InstanceOutput: output, InstanceError: failure,
	}
	for _, c := range []struct {
		name     string
		snapshot int
		takes    int // of the topic: records as large are refused; 0: all are taken
		want     string
	}{
		{"all", 100 << 10, 0, "snapshot"},
		{"as large as a snapshot may be", maxParked, 0, "snapshot"},
		{"a smaller topic", 100 << 10, 50 << 10, "TOO_LARGE output error"},
		{"a still smaller topic", 100 << 10, 10 << 10, "TOO_LARGE error"},
		{"larger than any topic takes", 1 << 20, 0, "TOO_LARGE output error"},
		{"a topic that takes nothing", 100 << 10, 1, ""},
		{"a duplicate", 0, 0, "output error"},
		{"a duplicate, a smaller topic", 0, 10 << 10, "TOO_LARGE error"},
	} {
		t.Run(c.name, func(t *testing.T) {
			config, err := Config{Slot: "slot"}.withDefaults()
			if err != nil {
				t.Fatal(err)
			}
			l := newLane(config, nil, nil, nil)
			tx := l.begin(&shard.Batch{})
			if c.takes > 0 {
				l.refusals.mark(config.Names.Outcomes("order"), refusal{cause: errors.New("too large"), until: tx.now.Add(time.Hour), size: c.takes})
			}
			o := whole
			if o.Snapshot = make([]byte, c.snapshot); c.snapshot == 0 {
				o.Snapshot, o.Status = nil, events.OutcomeDuplicate
			}
			if err := tx.encodeAnswers(&decide.Decision{Outcome: &o}); err != nil {
				t.Fatal(err)
			}
			got := ""
			if len(tx.records) > 0 {
				got = carried(t, tx.records[0].Value)
			}
			if got != c.want || len(tx.records) > 1 {
				t.Errorf("the outcome has %q, want %q", got, c.want)
			}
		})
	}
}

// carried names what an outcome has of its instance.
func carried(t *testing.T, value []byte) string {
	t.Helper()
	o, err := avro.DecodeOutcome(value)
	if err != nil || o.InstanceSequence != 7 || o.InstanceState != events.WorkflowFailed {
		t.Fatalf("%+v, %v", o, err)
	}
	var has []string
	if o.Error != nil {
		has = append(has, o.Error.Code)
	}
	if o.Snapshot != nil {
		has = append(has, "snapshot")
	}
	if o.InstanceOutput != nil {
		has = append(has, "output")
	}
	if o.InstanceError != nil {
		has = append(has, "error")
	}
	return strings.Join(has, " ")
}

// TestDescribesCountInTheBudget says that an instance which is asked for is
// encoded once, that its answers fill a transaction, and that what they carry is
// what the state topic gets.
func TestDescribesCountInTheBudget(t *testing.T) {
	tx, e, follow := followWorld(t, `
leat: v1
type: bad
version: 1
initial: a
states:
  a: {}
`)
	follow(events.Command{Command: events.CommandStart, Key: "k", Payload: json.RawMessage(`"` + strings.Repeat("x", 250<<10) + `"`)})
	at := instance{shard.Partition{Topic: tx.lane.config.Names.Commands("bad")}, e.cur.InstanceID}
	tx.overlay[at] = e
	c := events.Command{Command: events.CommandDescribe, WorkflowType: "bad", InstanceID: at.id}
	c.Resolve(events.DeriveUUID(at.id, "describe"))
	asked := 0
	tx.began = time.Now().Add(time.Hour) // however busy the machine is
	for tx.decided = 1; !tx.full(); asked++ {
		if err := tx.describe(t.Context(), &kafka.Record{Topic: at.partition.Topic}, at, e, decide.Input{Command: &c, Now: tx.now}); err != nil {
			t.Fatal(err)
		}
	}
	if least, most := decideBytes/(300<<10), decideBytes/(250<<10)+1; asked < least || asked > most {
		t.Errorf("%d answers of 250 KiB fill a transaction, want %d to %d", asked, least, most)
	}
	if err := tx.finish(); err != nil {
		t.Fatal(err)
	}
	var state []byte
	var told [][]byte
	for _, r := range tx.records {
		switch r.Topic {
		case tx.lane.config.Names.State("bad"):
			state = r.Value
		case tx.lane.config.Names.Outcomes("bad"):
			o, err := avro.DecodeOutcome(r.Value)
			if err != nil {
				t.Fatal(err)
			}
			told = append(told, o.Snapshot)
		}
	}
	if len(told) != asked || string(told[0]) != string(state) || string(told[asked-1]) != string(state) {
		t.Errorf("%d answers, the state record has %d bytes", len(told), len(state))
	}
}

// BenchmarkDescribe answers a describe of an instance that was decided lately, in
// a transaction of its own.
func BenchmarkDescribe(b *testing.B) {
	r := newRing(b)
	snap := r.history(b, 10)
	record, err := avro.EncodeSnapshot(snap)
	if err != nil {
		b.Fatal(err)
	}
	batch := r.lane.book.db.NewBatch()
	r.lane.book.put(batch, r.at.partition, nil, snap, record)
	if err := batch.Commit(); err != nil {
		b.Fatal(err)
	}
	batch.Close()
	r.lane.cache.put(r.at, cached{snap, len(record)})
	c := events.Command{Command: events.CommandDescribe, WorkflowType: "ring", InstanceID: r.at.id}
	c.Resolve(events.DeriveUUID(r.at.id, "describe"))
	b.ReportAllocs()
	for b.Loop() {
		tx := &transaction{lane: r.lane, batch: &shard.Batch{}, now: r.now, overlay: make(map[instance]*entry)}
		e, err := tx.instance(r.at)
		if err != nil {
			b.Fatal(err)
		}
		if err := tx.describe(b.Context(), &kafka.Record{}, r.at, e, decide.Input{Command: &c, Now: r.now}); err != nil {
			b.Fatal(err)
		}
	}
}
