package router_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
)

// unhurried is waiting without the timer that fires early: how many events there
// are does not depend on how fast the machine is.
var unhurried = strings.Replace(waiting, "200ms: {guard: data.n < 0, target: closed}, ", "", 1)

// askWhere sends a describe and gives the id by which its answer is found.
func (w *world) askWhere(key, name string) events.UUID {
	w.t.Helper()
	id := events.DeriveUUID(events.Namespace, "describe "+key+" "+name)
	w.say(events.InstanceIDForKey("order", key).String(), `{"command":"describe","type":"order","key":%q,"command_id":%q}`, key, id)
	return id
}

// answer waits for the outcome of a command.
func (w *world) answer(id events.UUID) events.Outcome {
	w.t.Helper()
	var found *events.Outcome
	w.until(w.names.Outcomes("order"), func(r *kafka.Record) bool {
		o, err := avro.DecodeOutcome(r.Value)
		if err != nil {
			w.t.Fatal(err)
		}
		if o.CommandID == id {
			found = &o
		}
		return found != nil
	})
	return *found
}

// described is the snapshot that a describe is answered with.
func (w *world) described(key, name string) (events.Outcome, events.Snapshot) {
	w.t.Helper()
	o := w.answer(w.askWhere(key, name))
	s, err := avro.DecodeState("order", []byte(events.InstanceIDForKey("order", key).String()), o.Snapshot)
	if err != nil {
		w.t.Fatalf("%+v: %v", o, err)
	}
	return o, s
}

// until reads a topic from its beginning until enough says so.
func (w *world) until(topic string, enough func(*kafka.Record) bool) {
	w.t.Helper()
	f, err := kafka.NewFetcher(w.config)
	if err != nil {
		w.t.Fatal(err)
	}
	defer f.Close()
	next := make(map[kafka.TopicPartition]int64)
	for p := range int32(partitions) {
		next[kafka.TopicPartition{Topic: topic, Partition: p}] = 0
	}
	f.AddAll(next)
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer cancel()
	for ctx.Err() == nil {
		records, err := f.Poll(ctx, 1000)
		if err != nil && ctx.Err() == nil {
			w.t.Fatal(err)
		}
		if slices.ContainsFunc(records, enough) {
			return
		}
	}
	w.t.Fatalf("what is waited for does not come on %s", topic)
}

// TestDescribeIsALinearizableRead: a describe sees every command before it in its
// partition, also those that are decided with it, and nothing behind it.
func TestDescribeIsALinearizableRead(t *testing.T) {
	w := newWorld(t, unhurried)
	id := events.InstanceIDForKey("order", "k").String()
	var all []*kafka.Record
	var names []events.UUID
	say := func(format string, args ...any) {
		all = append(all, kafka.NewRecord(w.names.Commands("order"), []byte(id), fmt.Appendf(nil, format, args...)))
	}
	ask := func() {
		names = append(names, events.DeriveUUID(events.Namespace, fmt.Sprint("ask ", len(names))))
		say(`{"command":"describe","type":"order","key":"k","command_id":%q}`, names[len(names)-1])
	}
	ask()
	say(`{"command":"start","type":"order","key":"k","input":{"a":1}}`)
	ask()
	ask()
	say(`{"command":"signal","type":"order","key":"k","event":"more"}`)
	ask()
	say(`{"command":"signal","type":"order","key":"k","event":"done"}`)
	ask()
	say(`{"command":"start","type":"order","key":"k"}`)
	w.send(all...) // one batch
	w.router("r1")

	var got []string
	tell := func(o *events.Outcome) {
		text := fmt.Sprintf("%s %d %s", o.Status, o.InstanceSequence, o.InstanceState)
		if o.Error != nil {
			text += " " + o.Error.Code
		}
		if o.Snapshot != nil {
			s, err := avro.DecodeState("order", []byte(id), o.Snapshot)
			if err != nil {
				t.Fatal(err)
			}
			text += fmt.Sprintf(": %d %s n=%d input=%s output=%s", s.SequenceNumber, s.State, s.Chart.Data["n"].Int(), s.Chart.Input, s.Output)
		}
		got = append(got, text+string(o.InstanceOutput))
	}
	outcomes := w.outcomes(len(names) + 1)
	for i := range outcomes {
		tell(&outcomes[i])
	}
	want := []string{
		"rejected 0  NOT_FOUND",
		`described 2 running: 2 running n=0 input={"a":1} output=`,
		`described 2 running: 2 running n=0 input={"a":1} output=`,
		`described 3 running: 3 running n=1 input={"a":1} output=`,
		`described 5 completed: 5 completed n=1 input={"a":1} output={"n":1}`,
		`duplicate 5 completed{"n":1}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
}

// TestDescribeWritesOneOutcome: a describe leads to one outcome and nothing else.
func TestDescribeWritesOneOutcome(t *testing.T) {
	w := newWorld(t, unhurried)
	stop := w.router("r1")
	id := events.InstanceIDForKey("order", "k").String()
	w.say(id, `{"command":"start","type":"order","key":"k"}`)
	w.history(2)
	const n = 20
	for i := range n { // one at a time, so that each has its transaction
		if o, _ := w.described("k", strconv.Itoa(i)); o.SequenceNumber != 2 || o.InstanceOutput != nil {
			t.Fatalf("%+v", o)
		}
	}
	stop()
	checkpoints, states := 0, 0
	for _, r := range w.all(w.names.State("order")) {
		if string(r.Key) == events.CheckpointKey {
			checkpoints++
		} else {
			states++
		}
	}
	if states != 1 || checkpoints != n+1 {
		t.Errorf("%d snapshots and %d checkpoints, want 1 and %d", states, checkpoints, n+1)
	}
	for topic, want := range map[string]int{w.names.Events("order"): 2, w.names.Outcomes("order"): n, w.names.Audit(): 0} {
		if got := len(w.all(topic)); got != want {
			t.Errorf("%s has %d records, want %d", topic, got, want)
		}
	}
	stop = w.router("r2") // it restores from the topic, and tells what was committed
	if _, s := w.described("k", "after"); s.SequenceNumber != 2 || s.State != events.WorkflowRunning {
		t.Errorf("after a restart: %+v", s)
	}
	stop()
}

// all is what a topic has now.
func (w *world) all(topic string) (records []*kafka.Record) {
	w.t.Helper()
	reader, err := kafka.NewReader(w.config)
	if err != nil {
		w.t.Fatal(err)
	}
	defer reader.Close()
	if err := reader.ReadAll(w.t.Context(), topic, func(r *kafka.Record) error {
		records = append(records, r)
		return nil
	}); err != nil {
		w.t.Fatal(err)
	}
	return records
}

// TestDescribeInEveryState: whatever state an instance is in, it is described,
// and it goes on as if nobody had asked.
func TestDescribeInEveryState(t *testing.T) {
	w := newWorld(t, `
leat: v1
type: order
version: 1
retention: 1ms
initial: open
states:
  open: {on: {break: {assign: {n: event.data.x.y}}, done: closed}}
  closed: {type: final, output: {n: data.n}}
data: {n: {type: long, default: 0}}
`)
	w.router("r1")
	id := events.InstanceIDForKey("order", "k").String()
	say := func(command string) { w.say(id, "%s", `{"type":"order","key":"k",`+command+`}`) }
	say(`"command":"start"`)
	say(`"command":"pause"`)
	say(`"command":"signal","event":"done"`)
	if _, s := w.described("k", "paused"); s.State != events.WorkflowPaused || len(s.Held) != 1 {
		t.Errorf("paused: %+v", s)
	}
	say(`"command":"signal","event":"break","data":{}`)
	say(`"command":"resume"`)
	w.answer(w.askWhere("k", "resumed"))
	w.until(w.names.State("order"), func(r *kafka.Record) bool {
		s, err := avro.DecodeSnapshot(r.Value)
		return err == nil && !s.ForgottenAt.IsZero()
	})
	o, s := w.described("k", "forgotten")
	if s.ForgottenAt.IsZero() || o.InstanceState != events.WorkflowCompleted || o.Error == nil || o.Error.Code != "FORGOTTEN" || s.FirstOffset != 0 && s.NewestOffset == 0 {
		t.Errorf("forgotten: %+v %+v", o, s)
	}
	w.start("i")
	w.say(events.InstanceIDForKey("order", "i").String(), `{"command":"signal","type":"order","key":"i","event":"break","data":{}}`)
	if o, s := w.described("i", "incident"); s.Incident == nil || o.InstanceState != events.WorkflowRunning {
		t.Errorf("with an incident: %+v %+v", o, s)
	}
}

// TestDescribeFloodSlowsNobody has a flood of describes of a large instance in
// front of what other instances ask for: those are decided after a few of them.
func TestDescribeFloodSlowsNobody(t *testing.T) {
	const rounds, flood, others = 5, 90, 120
	w := newWorld(t, collecting(rounds))
	stop := w.router("r1")
	big := w.keysOf(0, 1)[0]
	home := events.InstanceIDForKey("order", big).String()
	w.start(big)
	for i := range rounds {
		w.say(home, `{"command":"signal","type":"order","key":%q,"event":"keep%d","data":%q}`, big, i, strings.Repeat("x", 120<<10))
	}
	w.history(2 + rounds)
	stop()
	var all []*kafka.Record
	for i := range flood {
		value := fmt.Appendf(nil, `{"command":"describe","type":"order","key":%q,"command_id":%q}`, big, events.DeriveUUID(events.Namespace, fmt.Sprint("flood ", i)))
		all = append(all, kafka.NewRecord(w.names.Commands("order"), []byte(home), value))
	}
	keys := w.keysOf(1, others)
	for _, key := range keys {
		id := events.InstanceIDForKey("order", key).String()
		all = append(all, kafka.NewRecord(w.names.Commands("order"), []byte(id), fmt.Appendf(nil, `{"command":"start","type":"order","key":%q}`, key)))
	}
	w.send(all...)
	w.router("r1")
	last := time.Time{} // when the others were decided
	for _, list := range w.history(2 + rounds + 2*others) {
		if e := list[len(list)-1]; e.InstanceID.String() != home && e.Timestamp.After(last) {
			last = e.Timestamp
		}
	}
	before := 0
	for i, o := range w.outcomes(flood) {
		if o.Status != events.OutcomeDescribed || len(o.Snapshot) < rounds*120<<10 || o.InstanceSequence != 2+rounds {
			t.Fatalf("describe %d: %s at %d, %d bytes, %v", i, o.Status, o.InstanceSequence, len(o.Snapshot), o.Error)
		}
		if !o.Timestamp.After(last) {
			before++
		}
	}
	if before > flood/3 {
		t.Errorf("%d of %d describes were answered before %d other instances had begun", before, flood, others)
	}
}
