package events_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/leat-io/leat/pkg/events"
)

var noon = time.Date(2026, 9, 21, 12, 0, 0, 0, time.UTC)

// record is anything that validates.
type record interface{ Validate() error }

// checkRecord spoils a fresh record for each field and wants that field named.
func checkRecord[T any, R interface {
	*T
	record
}](t *testing.T, fresh func() T, spoil map[string]func(*T)) {
	t.Helper()
	good := fresh()
	if err := R(&good).Validate(); err != nil {
		t.Fatalf("the good one: %v", err)
	}
	for field, change := range spoil {
		bad := fresh()
		change(&bad)
		wantField(t, R(&bad).Validate(), field)
	}
}

func TestEventValidation(t *testing.T) {
	fresh := func() events.Event {
		return events.Event{
			EventID: id("event"), EventType: events.EventTaskStarted, WorkflowType: "quake", InstanceID: id("instance"),
			CorrelationID: id("correlation"), SequenceNumber: 1, Timestamp: noon, CausationID: id("b"),
			CorrelationChain: []events.UUID{id("a"), id("b")},
		}
	}
	checkRecord(t, fresh, map[string]func(*events.Event){
		"event_id":          func(e *events.Event) { e.EventID = events.Nil },
		"event_type":        func(e *events.Event) { e.EventType = "user.created" },
		"workflow_type":     func(e *events.Event) { e.WorkflowType = "" },
		"instance_id":       func(e *events.Event) { e.InstanceID = events.Nil },
		"correlation_id":    func(e *events.Event) { e.CorrelationID = events.Nil },
		"sequence_number":   func(e *events.Event) { e.SequenceNumber = 0 },
		"timestamp":         func(e *events.Event) { e.Timestamp = time.Time{} },
		"data.a":            func(e *events.Event) { e.Data = map[string]events.ContextValue{"b": {}, "a": {}} },
		"metadata.x":        func(e *events.Event) { e.Metadata = map[string]events.ContextValue{"x": {}} },
		"payload":           func(e *events.Event) { e.Payload = json.RawMessage("\"\xff\"") },
		"correlation_chain": func(e *events.Event) { e.CausationID = id("a") },
	})
	for name, change := range map[string]func(*events.Event){
		"cause without chain": func(e *events.Event) { e.CorrelationChain = nil },
		"chain without cause": func(e *events.Event) { e.CausationID = events.Nil },
		"chain too long":      func(e *events.Event) { e.CorrelationChain = make([]events.UUID, events.MaxCausalDepth+1) },
	} {
		e := fresh()
		change(&e)
		if e.CorrelationChain != nil && name == "chain too long" {
			e.CausationID = events.Nil
		}
		t.Run(name, func(t *testing.T) { wantField(t, e.Validate(), "correlation_chain") })
	}
}

func TestTaskValidation(t *testing.T) {
	fresh := func() events.Task {
		return events.Task{
			TaskID: id("task"), TaskName: "payments.charge", Queue: "payments", TaskType: events.TaskEffect, NodeType: events.NodeEffect,
			WorkflowType: "quake", InstanceID: id("instance"), Invocation: "charge", Attempt: 1, IdempotencyKey: "k",
			Priority: events.PriorityNormal, Semantics: events.Await, Delivery: events.AtLeastOnce, ScheduledAt: noon,
			CorrelationID: id("correlation"), CausationID: id("causation"),
		}
	}
	checkRecord(t, fresh, map[string]func(*events.Task){
		"task_id":                    func(k *events.Task) { k.TaskID = events.Nil },
		"task_name":                  func(k *events.Task) { k.TaskName = "" },
		"queue":                      func(k *events.Task) { k.Queue = "refunds" },
		"task_type":                  func(k *events.Task) { k.TaskType = "" },
		"node_type":                  func(k *events.Task) { k.NodeType = "effect" },
		"workflow_type":              func(k *events.Task) { k.WorkflowType = "state" + strings.Repeat("x", 100) },
		"instance_id":                func(k *events.Task) { k.InstanceID = events.Nil },
		"invocation":                 func(k *events.Task) { k.Invocation = "" },
		"attempt":                    func(k *events.Task) { k.Attempt = 0 },
		"idempotency_key":            func(k *events.Task) { k.IdempotencyKey = "" },
		"input":                      func(k *events.Task) { k.Input = json.RawMessage{} },
		"priority":                   func(k *events.Task) { k.Priority = "" },
		"execution_semantics":        func(k *events.Task) { k.Semantics = "exactly_once" },
		"delivery_guarantee":         func(k *events.Task) { k.Delivery = "exactly_once" },
		"timeouts.schedule_to_start": func(k *events.Task) { k.Timeouts.ScheduleToStart = -1 },
		"timeouts.start_to_close":    func(k *events.Task) { k.Timeouts.StartToClose = -1 },
		"timeouts.schedule_to_close": func(k *events.Task) { k.Timeouts.ScheduleToClose = -1 },
		"timeouts.heartbeat":         func(k *events.Task) { k.Timeouts.Heartbeat = -1 },
		"scheduled_at":               func(k *events.Task) { k.ScheduledAt = time.Time{} },
		"correlation_id":             func(k *events.Task) { k.CorrelationID = events.Nil },
		"causation_id":               func(k *events.Task) { k.CausationID = events.Nil },
	})
}

func TestSnapshotValidation(t *testing.T) {
	fresh := func() events.Snapshot {
		return events.Snapshot{
			WorkflowType: "quake", InstanceID: id("instance"), SequenceNumber: 1, State: events.WorkflowRunning,
			Isolation: events.ReadCommitted, CorrelationID: id("correlation"), CreatedAt: noon, UpdatedAt: noon,
			Chart: events.Chart{
				Tasks:  []events.TaskStatus{{TaskID: id("task"), State: events.TaskRunning}},
				Timers: []events.Timer{{Kind: events.TimerAfter, Due: noon}},
			},
		}
	}
	checkRecord(t, fresh, map[string]func(*events.Snapshot){
		"workflow_type":       func(s *events.Snapshot) { s.WorkflowType = "" },
		"instance_id":         func(s *events.Snapshot) { s.InstanceID = events.Nil },
		"sequence_number":     func(s *events.Snapshot) { s.SequenceNumber = 0 },
		"state":               func(s *events.Snapshot) { s.State = "" },
		"isolation_level":     func(s *events.Snapshot) { s.Isolation = "" },
		"correlation_id":      func(s *events.Snapshot) { s.CorrelationID = events.Nil },
		"created_at":          func(s *events.Snapshot) { s.CreatedAt = time.Time{} },
		"updated_at":          func(s *events.Snapshot) { s.UpdatedAt = time.Time{} },
		"first_offset":        func(s *events.Snapshot) { s.FirstOffset = -1 },
		"newest_offset":       func(s *events.Snapshot) { s.NewestOffset = -1 },
		"chart.data.x":        func(s *events.Snapshot) { s.Chart.Data = map[string]events.ContextValue{"x": {}} },
		"chart.tasks.task_id": func(s *events.Snapshot) { s.Chart.Tasks[0].TaskID = events.Nil },
		"chart.tasks.state":   func(s *events.Snapshot) { s.Chart.Tasks[0].State = "" },
		"chart.timers.kind":   func(s *events.Snapshot) { s.Chart.Timers[0].Kind = "" },
		"chart.timers.due":    func(s *events.Snapshot) { s.Chart.Timers[0].Due = time.Time{} },
	})
}

func TestSmallRecordValidation(t *testing.T) {
	checkRecord(t, func() events.Checkpoint { return events.Checkpoint{Timestamp: noon} }, map[string]func(*events.Checkpoint){
		"next_offset": func(c *events.Checkpoint) { c.NextOffset = -1 },
		"timestamp":   func(c *events.Checkpoint) { c.Timestamp = time.Time{} },
	})
	checkRecord(t, func() events.Outcome {
		return events.Outcome{CommandID: id("c"), WorkflowType: "quake", Status: events.OutcomeIgnored, Timestamp: noon}
	}, map[string]func(*events.Outcome){
		"command_id":    func(o *events.Outcome) { o.CommandID = events.Nil },
		"workflow_type": func(o *events.Outcome) { o.WorkflowType = "" },
		"status":        func(o *events.Outcome) { o.Status = "accepted" },
		"timestamp":     func(o *events.Outcome) { o.Timestamp = time.Time{} },
	})
	checkRecord(t, func() events.Outcome {
		return events.Outcome{
			CommandID: id("c"), WorkflowType: "quake", Status: events.OutcomeDescribed, Timestamp: noon,
			InstanceState: events.WorkflowRunning, InstanceSequence: 2, Snapshot: []byte{0xC3, 0x01},
		}
	}, map[string]func(*events.Outcome){
		"instance_state":    func(o *events.Outcome) { o.InstanceState = "" },
		"instance_sequence": func(o *events.Outcome) { o.InstanceSequence = -1 },
		"snapshot":          func(o *events.Outcome) { o.Snapshot = nil },
	})
	without := events.Outcome{
		CommandID: id("c"), WorkflowType: "quake", Status: events.OutcomeDescribed, Timestamp: noon, InstanceState: "running",
		Error: &events.Error{Code: "TOO_LARGE", Message: "the snapshot is too large"},
	}
	if err := without.Validate(); err != nil {
		t.Errorf("an outcome that says why it has no snapshot: %v", err)
	}
	without.Status, without.InstanceState = events.OutcomeDuplicate, "runs"
	wantField(t, without.Validate(), "instance_state")
	checkRecord(t, func() events.DefinitionRecord {
		return events.DefinitionRecord{WorkflowType: "quake", Version: 1, Source: "x", Partitions: 1, DeployedAt: noon}
	}, map[string]func(*events.DefinitionRecord){
		"workflow_type": func(d *events.DefinitionRecord) { d.WorkflowType = "" },
		"version":       func(d *events.DefinitionRecord) { d.Version = 0 },
		"source":        func(d *events.DefinitionRecord) { d.Source = strings.Repeat("x", events.MaxDefinitionLength+1) },
		"partitions":    func(d *events.DefinitionRecord) { d.Partitions = events.MaxPartitions + 1 },
		"deployed_at":   func(d *events.DefinitionRecord) { d.DeployedAt = time.Time{} },
	})
	for partitions, ok := range map[int32]bool{-1: false, 0: false, 1: true, events.MaxPartitions: true, events.MaxPartitions + 1: false, math.MaxInt32: false} {
		d := events.DefinitionRecord{WorkflowType: "quake", Version: 1, Source: "x", Partitions: partitions, DeployedAt: noon}
		if err := d.Validate(); (err == nil) != ok {
			t.Errorf("%d partitions: got %v", partitions, err)
		}
	}
}

func TestNamesOfTypesAndQueues(t *testing.T) {
	long := strings.Repeat("a", events.MaxTypeLength)
	for name, ok := range map[string]bool{
		"a": true, "order": true, "a-b_c9": true, long: true,
		"": false, "9a": false, "-a": false, "Order": false, "a.b": false, "a b": false, "ä": false, long + "a": false,
		"definitions": false, "schedules": false, // topics of the engine
		"order_commands": false, "order_state": false, "order_outcomes": false, // Kafka would take workflow.order_state for workflow.order.state
		"order_states": true,
	} {
		if err := events.CheckWorkflowType("type", name); (err == nil) != ok {
			t.Errorf("type %q: %v", name, err)
		}
	}
	for name, ok := range map[string]bool{
		"payments": true, "Payments-2": true, "9": true, "a_b": true, long: true,
		"": false, "_a": false, "-a": false, "a.b": false, "a/b": false, "ä": false, long + "a": false,
	} {
		if err := events.CheckQueue("queue", name); (err == nil) != ok {
			t.Errorf("queue %q: %v", name, err)
		}
	}
}

func TestInstantIsWhatTheWireKeeps(t *testing.T) {
	local := time.Date(2026, 9, 21, 12, 0, 0, 123_456_789, time.FixedZone("x", 3600))
	if got := events.Instant(local); got != time.Date(2026, 9, 21, 11, 0, 0, 123_456_000, time.UTC) {
		t.Errorf("got %v", got)
	}
}

func TestErrorReadsAsOne(t *testing.T) {
	var err error = &events.Error{Code: "CARD_DECLINED", Message: "no funds"}
	if err.Error() != "CARD_DECLINED: no funds" {
		t.Error(err)
	}
	wantField(t, (&events.Error{Code: "A", Message: strings.Repeat("m", events.MaxMessageLength+1)}).Validate(), "message")
}
