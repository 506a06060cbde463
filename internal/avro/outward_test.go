package avro

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/pkg/events"
)

func anEvent() *events.Event {
	instance := events.InstanceIDForKey("order", "order-42")
	return &events.Event{
		EventID: events.EventID("order", instance, 7), EventType: events.EventTaskCompleted, WorkflowType: "order", InstanceID: instance,
		CorrelationID: instance, SequenceNumber: 7, Timestamp: time.Date(2026, 9, 21, 10, 0, 0, 120_000, time.UTC), Source: "router-0",
		IdempotencyKey: "order-" + instance.String() + "-7",
		Data:           map[string]events.ContextValue{"task_name": events.String("payments.charge"), "attempt": events.Long(1)},
		Metadata:       map[string]events.ContextValue{"command_id": events.String(instance.String()), "version": events.Long(3)},
		Payload:        json.RawMessage(`{"charge_id":"ch_1","amount":1250,"currency":"EUR"}`),
		CausationID:    instance, CorrelationChain: []events.UUID{events.Namespace, instance},
	}
}

func ExampleCloudEvents() {
	for _, h := range CloudEvents(anEvent()) {
		fmt.Printf("%s: %s\n", h.Key, h.Value)
	}
	// Output:
	// ce_specversion: 1.0
	// ce_id: 7a9d7267-ed29-56f2-b3e8-a307469c9597
	// ce_source: /workflow/order
	// ce_type: task.completed
	// ce_time: 2026-09-21T10:00:00.00012Z
	// ce_subject: 3765fa2a-1e57-5fe6-9fe1-6042f4c9acbf
	// ce_dataschema: urn:avro:io.leat.v1.Event:7f7a913c59d0527d
	// content-type: application/avro
	// ce_correlationid: 3765fa2a-1e57-5fe6-9fe1-6042f4c9acbf
	// ce_causationid: 3765fa2a-1e57-5fe6-9fe1-6042f4c9acbf
	// ce_sequence: 00000000000000000007
	// ce_partitionkey: 3765fa2a-1e57-5fe6-9fe1-6042f4c9acbf
	// ce_workflowtype: order
}

func TestRootEventHasNoCausationHeader(t *testing.T) {
	e := anEvent()
	e.CausationID, e.CorrelationChain = events.Nil, nil
	for _, h := range CloudEvents(e) {
		if h.Key == "ce_causationid" {
			t.Errorf("%s: %s", h.Key, h.Value)
		}
		if cap(h.Value) != len(h.Value) {
			t.Errorf("%s: appending to the value would write into the next", h.Key)
		}
	}
}

func ExampleToJSON() {
	single, err := EncodeCheckpoint(&events.Checkpoint{Partition: 3, NextOffset: 42, Source: "router-0", Timestamp: time.UnixMicro(1_789_984_800_123_456)})
	if err != nil {
		panic(err)
	}
	schema, text, err := ToJSON(single)
	fmt.Println(schema, string(text), err)
	// Output: checkpoint {"next_offset":42,"partition":3,"source":"router-0","timestamp":1789984800123456} <nil>
}

func TestToJSON(t *testing.T) {
	for _, r := range records() {
		full := r.full(t)
		b := mustEncode(t, r, full)
		schema, got, err := ToJSON(b)
		if err != nil || schema != r.name {
			t.Fatal(schema, err)
		}
		var fields map[string]any
		if err := json.Unmarshal(got, &fields); err != nil {
			t.Fatal(err)
		}
		v := reflect.TypeOf(full).Elem()
		for f := range v.Fields() {
			if fields[wireName(f)] == nil {
				t.Errorf("%s: %s is missing in %s", r.name, wireName(f), got)
			}
		}
		_, again, _ := ToJSON(b)
		if diff := cmp.Diff(string(got), string(again)); diff != "" {
			t.Errorf("%s: not the same twice", r.name)
		}
		for n := range b {
			if _, _, err := ToJSON(b[:n]); err == nil {
				t.Errorf("%s cut at %d: no error", r.name, n)
			}
		}
	}
	if _, _, err := ToJSON([]byte("\xC3\x0100000000")); err == nil {
		t.Error("an unknown schema: no error")
	}
}
