package avro

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/linkedin/goavro/v2"

	"github.com/leat-io/leat/pkg/events"
)

// aSnapshot is what an instance in the middle of its work looks like: two
// active states, four values, a payload, a running task, two timers.
func aSnapshot() *events.Snapshot {
	now := time.Date(2026, 9, 21, 10, 0, 0, 123_456_000, time.UTC)
	id := events.InstanceIDForKey("order", "order-42")
	return &events.Snapshot{
		WorkflowType: "order", InstanceID: id, Key: "order-42", Version: 3, SequenceNumber: 7, State: events.WorkflowRunning,
		CorrelationID: id, CreatedAt: now, UpdatedAt: now, Isolation: events.ReadCommitted,
		Seen: []events.SeenCommand{{Name: id, Sequence: 1}},
		Chart: events.Chart{
			Active: []string{"charging", "packing"},
			Data: map[string]events.ContextValue{
				"amount": events.Double(12.5), "customer": events.String("c-17"), "attempts": events.Long(3), "vip": events.Boolean(true),
			},
			Payloads: map[string]json.RawMessage{"charge": json.RawMessage(`{"id":"ch_1","amount":1250,"currency":"EUR"}`)},
			Input:    json.RawMessage(`{"order":"order-42","lines":[{"sku":"a","n":2},{"sku":"b","n":1}]}`),
			Tasks: []events.TaskStatus{{
				TaskID: id, StateID: "charging", Invocation: "charge", Name: "payments.charge", State: events.TaskRunning, Attempt: 1,
				NodeID: "executor-0", Input: json.RawMessage(`{"amount":1250}`), ScheduledAt: now, StartedAt: now, Cause: []events.UUID{id, id},
			}},
			Timers: []events.Timer{
				{ID: 1, Kind: events.TimerStartToClose, Due: now, Ref: "charge", TaskID: id, Cause: []events.UUID{id, id}},
				{ID: 2, Kind: events.TimerAfter, Due: now, Ref: "charging", Event: "late", Cause: []events.UUID{id}},
			},
			Counter: 4,
		},
	}
}

func aTask() *events.Task {
	e := anEvent()
	return &events.Task{
		TaskID: e.EventID, TaskName: "payments.charge", Queue: "payments", TaskType: events.TaskEffect, NodeType: events.NodeEffect,
		WorkflowType: "order", InstanceID: e.InstanceID, InstanceKey: "order-42", Invocation: "charge", Attempt: 1,
		IdempotencyKey: "task-" + e.EventID.String(), Input: e.Payload, Priority: events.PriorityNormal, Semantics: events.Await,
		Delivery: events.AtLeastOnce, Timeouts: events.Timeouts{StartToClose: time.Minute}, ScheduledAt: e.Timestamp,
		CorrelationID: e.CorrelationID, CausationID: e.CausationID,
	}
}

func aCommand() *events.Command {
	e := anEvent()
	return &events.Command{
		CommandID: e.EventID, Command: events.CommandResult, WorkflowType: "order", InstanceID: e.InstanceID, Payload: e.Payload,
		Result:    &events.TaskResult{TaskID: e.EventID, Attempt: 1, State: events.TaskCompleted, NodeID: "executor-0", ExecutionTime: time.Second},
		Timestamp: e.Timestamp, Source: "executor-0",
	}
}

func bench[T any](b *testing.B, r *T, appendTo func([]byte, *T) ([]byte, error), decode func([]byte) (T, error)) {
	b.Helper()
	single, err := appendTo(nil, r)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("encode", func(b *testing.B) {
		b.SetBytes(int64(len(single)))
		b.ReportAllocs()
		var dst []byte
		for b.Loop() {
			dst, _ = appendTo(dst[:0], r)
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.SetBytes(int64(len(single)))
		b.ReportAllocs()
		for b.Loop() {
			_, _ = decode(single)
		}
	})
}

func BenchmarkSnapshot(b *testing.B) { bench(b, aSnapshot(), AppendSnapshot, DecodeSnapshot) }
func BenchmarkEvent(b *testing.B)    { bench(b, anEvent(), AppendEvent, DecodeEvent) }
func BenchmarkTask(b *testing.B)     { bench(b, aTask(), AppendTask, DecodeTask) }
func BenchmarkCommand(b *testing.B)  { bench(b, aCommand(), AppendCommand, DecodeCommand) }

// The same snapshot by the two libraries, into their generic values: the reason
// for the mapping by hand.
func BenchmarkSnapshotGeneric(b *testing.B) {
	single, err := EncodeSnapshot(aSnapshot())
	if err != nil {
		b.Fatal(err)
	}
	w := loaded().current["snapshot"]
	codec, err := goavro.NewCodec(w.text)
	if err != nil {
		b.Fatal(err)
	}
	native, _, err := codec.NativeFromBinary(single[headerSize:])
	if err != nil {
		b.Fatal(err)
	}
	b.Run("goavro/encode", func(b *testing.B) {
		for b.Loop() {
			_, _ = codec.BinaryFromNative(nil, native)
		}
	})
	b.Run("goavro/decode", func(b *testing.B) {
		for b.Loop() {
			_, _, _ = codec.NativeFromBinary(single[headerSize:])
		}
	})
	var loose any
	if _, err := w.schema.DecodeSingleObject(single, &loose); err != nil {
		b.Fatal(err)
	}
	b.Run("twmb/encode", func(b *testing.B) {
		for b.Loop() {
			_, _ = w.schema.Encode(loose)
		}
	})
	b.Run("twmb/decode", func(b *testing.B) {
		for b.Loop() {
			var v any
			_, _ = w.schema.DecodeSingleObject(single, &v)
		}
	})
}

func BenchmarkCloudEvents(b *testing.B) {
	e := anEvent()
	b.ReportAllocs()
	for b.Loop() {
		CloudEvents(e)
	}
}
