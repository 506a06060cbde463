package router_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/topics"
)

func TestCommandsBecomeHistory(t *testing.T) {
	w := newWorld(t, waiting)
	w.router("r1")
	const n = 50
	for i := range n {
		id := events.InstanceIDForKey("order", fmt.Sprint("k", i)).String()
		w.say(id, `{"command":"start","type":"order","key":"k%d"}`, i)
		w.say(id, `{"command":"signal","type":"order","key":"k%d","event":"more"}`, i)
		w.say(id, `{"command":"signal","type":"order","key":"k%d","event":"done"}`, i)
	}
	want := []events.EventType{"workflow.created", "workflow.started", "state.transitioned", "state.transitioned", "workflow.completed"}
	all := w.history(n * len(want))
	if len(all) != n {
		t.Fatalf("%d instances, want %d", len(all), n)
	}
	for id, list := range all {
		if diff := cmp.Diff(want, types(list)); diff != "" {
			t.Fatalf("%s (-want +got):\n%s", id, diff)
		}
		if got := string(list[4].Payload); got != `{"n":1}` {
			t.Errorf("output %s", got)
		}
		if !list[0].CausationID.IsNil() || list[1].CausationID != list[0].EventID {
			t.Errorf("causation: %+v", list[:2])
		}
	}
}

func TestCommandsOnOtherPartitionsAreMovedOnce(t *testing.T) {
	w := newWorld(t, unhurried)
	w.router("r1")
	for i := range 20 {
		for p := range int32(partitions) { // the same start, by every wrong way: idempotent by key
			value := fmt.Appendf(nil, `{"command":"start","type":"order","key":"k%d"}`, i)
			w.send(kafka.NewRecordAt(w.names.Commands("order"), p, nil, value))
		}
	}
	if all := w.history(40); len(all) != 20 {
		t.Errorf("%d instances, want 20: %+v", len(all), all)
	}
	for _, o := range w.outcomes(60) {
		if o.Status != events.OutcomeDuplicate || o.SequenceNumber != 1 || o.EventID != events.EventID("order", o.InstanceID, 1) {
			t.Errorf("outcome %+v, want a duplicate of event 1", o)
		}
	}
}

func TestBadCommandsAreAnsweredOrKept(t *testing.T) {
	w := newWorld(t, waiting)
	w.router("r1")
	id := events.InstanceIDForKey("order", "k").String()
	good := func() { w.say(id, `{"command":"start","type":"order","key":"k"}`) }
	good()
	dead := []struct{ name, value, reason string }{
		{"garbage", "\x01\x02garbage", "neither"},
		{"wrong fingerprint", "\xc3\x01\x00\x00\x00\x00\x00\x00\x00\x00rest", "fingerprint"},
		{"unknown field", `{"command":"start","type":"order","key":"k","colour":"red"}`, "colour"},
		{"unknown command", `{"command":"stop","type":"order","key":"k"}`, "stop"},
		{"nil uuid", `{"command":"start","type":"order","instance_id":"00000000-0000-0000-0000-000000000000"}`, "nil UUID"},
		{"no target", `{"command":"start","type":"order"}`, "instance_id"},
		{"other type", `{"command":"start","type":"shipment","key":"k"}`, "shipment"},
		{"empty key", `{"command":"start","type":"order","key":""}`, "key: is empty"},
		{"control in a key", `{"command":"start","type":"order","key":"a\u001b[2J"}`, "U+001B"},
		{"half a character in a key", `{"command":"start","type":"order","key":"\ud800"}`, "surrogate"},
		{"key and the id of another", `{"command":"start","type":"order","key":"k2","instance_id":"11111111-1111-4111-8111-111111111111"}`, "is not the instance of key"},
		{"signal by key and the id of another", `{"command":"signal","type":"order","key":"k2","instance_id":"11111111-1111-4111-8111-111111111111","event":"done"}`, "is not the instance of key"},
		{"key that is an id", `{"command":"start","type":"order","key":"id:11111111-1111-4111-8111-111111111111"}`, "instance id"},
		{"payload of 300 KiB", `{"command":"start","type":"order","key":"big","input":"` + strings.Repeat("x", 300<<10) + `"}`, "at most"},
		{"empty", "", ""},
	}
	for _, d := range dead {
		w.say(id, "%s", d.value)
	}
	w.say(id, `{"command":"signal","type":"order","key":"k","event":"done"}`)
	w.history(4) // the partition went on: created, started, transitioned, completed

	kept := make(map[string]string)
	for _, r := range w.read(w.names.DeadLetters(w.names.Commands("order")), len(dead)) {
		for _, h := range r.Headers {
			if h.Key == "leat-dlq-reason" {
				kept[string(r.Value)] = string(h.Value)
			}
		}
	}
	for _, d := range dead {
		t.Run(d.name, func(t *testing.T) {
			if reason, ok := kept[d.value]; !ok || !strings.Contains(reason, d.reason) {
				t.Errorf("kept=%t with reason %q, want one with %q", ok, reason, d.reason)
			}
		})
	}
}

func TestOutcomes(t *testing.T) {
	w := newWorld(t, waiting)
	w.router("r1")
	id := events.InstanceIDForKey("order", "k").String()
	const fixed = "11111111-2222-4333-8444-555555555555"
	for _, c := range []string{
		`{"command":"signal","type":"order","key":"k","event":"done"}`,                              // NOT_FOUND
		`{"command":"start","type":"order","key":"k","version":7}`,                                  // UNKNOWN_VERSION
		`{"command":"start","type":"order","key":"k"}`,                                              // accepted
		`{"command":"signal","type":"order","key":"k","event":"hello"}`,                             // ignored
		`{"command":"signal","type":"order","key":"k","event":"more","expected_sequence":9}`,        // conflict
		`{"command":"signal","type":"order","key":"k","event":"more","command_id":"` + fixed + `"}`, // accepted
		`{"command":"signal","type":"order","key":"k","event":"more","command_id":"` + fixed + `"}`, // duplicate of 3
		`{"command":"signal","type":"order","key":"k","event":"more","idempotency_key":"i"}`,        // accepted
		`{"command":"signal","type":"order","key":"k","event":"more","idempotency_key":"i"}`,        // duplicate of 4
		`{"command":"signal","type":"order","key":"k","event":"done"}`,                              // accepted
		`{"command":"signal","type":"order","key":"k","event":"done"}`,                              // FINISHED
	} {
		w.say(id, "%s", c)
	}
	w.history(6)
	var got []string
	for _, o := range w.outcomes(7) {
		code := ""
		if o.Error != nil {
			code = o.Error.Code
		}
		got = append(got, fmt.Sprintf("%s %s %d", o.Status, code, o.SequenceNumber))
	}
	want := []string{
		"rejected NOT_FOUND 0", "rejected UNKNOWN_VERSION 0", "ignored UNHANDLED_EVENT 2", "conflict SEQUENCE_CONFLICT 2",
		"duplicate  3", "duplicate  4", "rejected FINISHED 6",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
}

func TestRestartGoesOnWhereTheLogEnds(t *testing.T) {
	w := newWorld(t, waiting)
	id := events.InstanceIDForKey("order", "k").String()
	stop := w.router("r1")
	w.say(id, `{"command":"start","type":"order","key":"k"}`)
	w.history(2)
	stop()
	w.say(id, `{"command":"signal","type":"order","key":"k","event":"more"}`)
	stop = w.router("r2") // another slot with nothing local: restores from the topic
	w.history(3)
	stop()
	w.router("r1")
	w.say(id, `{"command":"signal","type":"order","key":"k","event":"done"}`)
	all := w.history(5)
	if got := string(all[events.InstanceIDForKey("order", "k")][4].Payload); got != `{"n":1}` {
		t.Errorf("output %s: the count did not survive", got)
	}
}

func TestSnapshotFollowsTheEvents(t *testing.T) {
	w := newWorld(t, waiting)
	w.router("r1")
	key := events.InstanceIDForKey("order", "k")
	w.say(key.String(), `{"command":"start","type":"order","key":"k","input":{"a":1}}`)
	w.history(2)
	var snap events.Snapshot
	var next int64 = -1
	for _, r := range w.read(w.names.State("order"), 2) {
		if want := topics.Partition([]byte(key.String()), partitions); r.Partition != want {
			t.Errorf("state record in partition %d, want %d", r.Partition, want)
		}
		if string(r.Key) == events.CheckpointKey {
			c, err := avro.DecodeCheckpoint(r.Value)
			if err != nil {
				t.Fatal(err)
			}
			next = c.NextOffset
			continue
		}
		var err error
		if snap, err = avro.DecodeSnapshot(r.Value); err != nil {
			t.Fatal(err)
		}
	}
	if next != 1 {
		t.Errorf("checkpoint says %d, want 1", next)
	}
	if snap.SequenceNumber != 2 || snap.State != events.WorkflowRunning || string(snap.Chart.Input) != `{"a":1}` ||
		len(snap.Chart.Timers) != 2 || snap.Chart.Timers[0].Cause == nil {
		t.Errorf("snapshot %+v", snap)
	}
}

// TestSendsAndSignalsToAKeyThatLooksLikeAnID: a UUID is a key like any other, and
// an id is written id:UUID.
func TestSendsAndSignalsToAKeyThatLooksLikeAnID(t *testing.T) {
	w := newWorld(t, strings.Replace(waiting, "      done: closed",
		"      done: closed\n      tell: {target: closed, actions: [{send: {to: event.data, type: order, event: done}}]}", 1))
	w.router("r1")
	const key, own = "7f6d3f0e-2b1c-4c58-9a51-0d6a3b1c9e10", "11111111-1111-4111-8111-111111111111"
	id := events.InstanceIDForKey("order", key)
	for _, start := range []string{`"key":"` + key + `"`, `"instance_id":"` + own + `"`, `"key":"a"`, `"key":"b"`} {
		w.say(id.String(), "%s", `{"command":"start","type":"order",`+start+`}`)
	}
	w.say(id.String(), `{"command":"signal","type":"order","key":"a","event":"tell","data":"%s"}`, key)
	w.say(id.String(), `{"command":"signal","type":"order","key":"b","event":"tell","data":"id:%s"}`, own)
	for at, list := range w.history(16) {
		if len(list) != 4 || list[3].EventType != events.EventWorkflowCompleted {
			t.Errorf("%s: %v", at, types(list))
		}
	}
}

func TestSignalWithoutATargetIsInTheHistory(t *testing.T) {
	w := newWorld(t, strings.Replace(waiting, "      done: closed", "      done: closed\n      note: {assign: {n: data.n + 5}}", 1))
	w.router("r1")
	id := events.InstanceIDForKey("order", "k").String()
	w.say(id, `{"command":"start","type":"order","key":"k"}`)
	w.say(id, `{"command":"signal","type":"order","key":"k","event":"note","data":{"by":"ann"}}`)
	w.say(id, `{"command":"signal","type":"order","key":"k","event":"done"}`)
	list := w.history(5)[events.InstanceIDForKey("order", "k")]
	noted := list[2]
	if noted.EventType != events.EventStateTransitioned || noted.Metadata[events.MetadataDomainEvent].Str() != "note" ||
		string(noted.Payload) != `{"by":"ann"}` || len(noted.Data["entered"].List()) != 0 {
		t.Errorf("the signal is recorded as %s %+v with %s", noted.EventType, noted.Data, noted.Payload)
	}
	if got := string(list[4].Payload); got != `{"n":5}` {
		t.Errorf("output %s", got)
	}
}

// TestRestartFencesItsPast is about a router that was killed in the middle of a
// transaction and comes back under its name: it does not wait until the broker
// gives that transaction up.
func TestRestartFencesItsPast(t *testing.T) {
	w := newWorld(t, waiting)
	past, err := kgo.NewClient(kgo.SeedBrokers(w.config.Brokers...), kgo.TransactionalID("leat-router-r1-0"),
		kgo.TransactionTimeout(time.Minute), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	if err := past.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := past.ProduceSync(t.Context(), kafka.NewRecordAt(w.names.State("order"), 0, []byte("lost"), []byte("lost"))).FirstErr(); err != nil {
		t.Fatal(err)
	}
	past.Close() // as a crash would: the transaction stays open
	key := "k"
	for topics.Partition([]byte(events.InstanceIDForKey("order", key).String()), partitions) != 0 {
		key += "k"
	}
	w.router("r1")
	w.say(events.InstanceIDForKey("order", key).String(), `{"command":"start","type":"order","key":"%s"}`, key)
	w.history(2)
}
