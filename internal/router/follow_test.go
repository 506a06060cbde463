package router

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/leat-io/leat/internal/decide"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/registry"
	"github.com/leat-io/leat/internal/shard"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

// followWorld is a transaction without a broker, in which one type is deployed
// and no other.
func followWorld(t *testing.T, source string) (*transaction, *entry, func(c events.Command) followed) {
	t.Helper()
	config, err := Config{Slot: "slot"}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	l := newLane(config, registry.New(registry.Config{Kafka: kafka.Config{Brokers: []string{"127.0.0.1:1"}}}), nil, memory(t))
	tx := l.begin(&shard.Batch{})
	tx.synced = true
	machine := parse(t, source)
	at := instance{shard.Partition{Topic: config.Names.Commands("bad")}, events.InstanceIDForKey("bad", "k")}
	e := &entry{key: []byte(at.id.String())}
	follow := func(c events.Command) followed {
		t.Helper()
		c.WorkflowType, c.InstanceID = "bad", at.id
		c.Resolve(events.DeriveUUID(at.id, string(c.Command)+c.Event))
		f, err := tx.follow(t.Context(), request{at: at, entry: e, in: decide.Input{Command: &c, Machine: machine, Now: time.UnixMicro(1).UTC(), Source: "slot"}})
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	return tx, e, follow
}

// TestResultsThatAPausedInstanceCannotHold is about results that do not fit what
// a paused instance holds: the work is done and is not done again.
func TestResultsThatAPausedInstanceCannotHold(t *testing.T) {
	tx, e, follow := followWorld(t, `
leat: v1
type: bad
version: 1
initial: a
states:
  a:
    tasks: {t1: {task: q.t}, t2: {task: q.t}, t3: {task: q.t}, t4: {task: q.t}, t5: {task: q.t}}
    onDone: b
    onError: c
  b: {}
  c: {}
`)
	tx.careful = true
	follow(events.Command{Command: events.CommandStart, Key: "k"})
	follow(events.Command{Command: events.CommandPause})
	large := []byte(`"` + strings.Repeat("x", 250<<10) + `"`)
	replaced := 0
	for _, task := range e.cur.Chart.Tasks {
		f := follow(events.Command{Command: events.CommandResult, Payload: large, Result: &events.TaskResult{TaskID: task.TaskID, Attempt: 1, State: events.TaskCompleted}})
		if f.lost != nil {
			t.Fatalf("a result is lost: %v", f.lost)
		}
		if f.replaced != nil {
			replaced++
		}
	}
	if len(e.cur.Held) != 5 || replaced != 2 {
		t.Fatalf("%d results are held, %d of them as failures", len(e.cur.Held), replaced)
	}
	if failed := e.cur.Held[4].Command.Result; failed.State != events.TaskFailed || failed.Error.Code != decide.CodeTooLarge || failed.Error.Retryable {
		t.Errorf("what does not fit is held as %+v", failed)
	}
	follow(events.Command{Command: events.CommandResume})
	for _, task := range e.cur.Chart.Tasks {
		if !task.State.Finished() {
			t.Errorf("task %s is %s after the resume", task.Invocation, task.State)
		}
	}
}

// TestNobodyIsToldWhatTheRouterAsksItself is about commands of the router's own:
// it sees how they are answered, and no client does.
func TestNobodyIsToldWhatTheRouterAsksItself(t *testing.T) {
	tx, e, _ := followWorld(t, "leat: v1\ntype: bad\nversion: 1\nstates:\n  a: {}\n")
	for _, own := range []bool{true, false} {
		c := events.Command{Command: events.CommandCancel, WorkflowType: "bad", Key: "k"}
		c.Resolve(events.Namespace)
		in := tx.input()
		in.Command, tx.records = &c, nil
		f, err := tx.decide(t.Context(), request{at: instance{id: c.InstanceID}, entry: e, in: in, own: own})
		if err != nil || f.Outcome == nil || f.Outcome.Error.Code != decide.CodeNotFound {
			t.Fatalf("%+v, %v", f.Outcome, err)
		}
		told := slices.ContainsFunc(tx.records, func(r *kafka.Record) bool { return r.Topic == tx.lane.config.Names.Outcomes("bad") })
		if told == own {
			t.Errorf("the router's own: %v, and clients are told: %v", own, told)
		}
	}
}

// TestOperatorsSeeSignalsThatAreRefusedElsewhere is about a send whose receiver
// does not take it: its sender went on long ago.
func TestOperatorsSeeSignalsThatAreRefusedElsewhere(t *testing.T) {
	tx, _, follow := followWorld(t, "leat: v1\ntype: bad\nversion: 1\nstates:\n  a: {}\n")
	sent := events.Command{Command: events.CommandSignal, Event: "hi", Source: "order/1", CausationID: events.DeriveUUID(events.Namespace, "event")}
	asked := events.Command{Command: events.CommandSignal, Event: "hi", Source: "a person"}
	for _, c := range []struct {
		command events.Command
		kept    int
	}{{sent, 1}, {asked, 0}} {
		before := len(tx.records)
		f := follow(c.command)
		if f.Outcome == nil || f.Outcome.Status != events.OutcomeRejected {
			t.Fatalf("the outcome is %+v", f.Outcome)
		}
		tx.tellOperator(&kafka.Record{Topic: "workflow.bad.commands"}, &c.command, f.Outcome)
		dead := 0
		for _, r := range tx.records[before:] {
			if r.Topic == "dlq.workflow.bad.commands" {
				dead++
			}
		}
		if dead != c.kept {
			t.Errorf("%d dead letters of a signal of %q, want %d", dead, c.command.Source, c.kept)
		}
	}
}

// TestWhatCannotBeWrittenIsAnIncident goes through what can keep a decision from
// being written.
func TestWhatCannotBeWrittenIsAnIncident(t *testing.T) {
	for _, c := range []struct{ name, action, code string }{
		{"a type that is not deployed", `{send: {to: "'x'", type: other, event: hi}}`, decide.CodeUnknownType},
		{"a state that is too large", `{assign: {a: input.big, b: input.big, c: input.big, d: input.big}}`, decide.CodeTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			tx, e, follow := followWorld(t, `
leat: v1
type: bad
version: 1
payloads: {a: {}, b: {}, c: {}, d: {}}
states:
  a: {on: {go: {target: b, actions: [`+c.action+`]}}}
  b: {}
`)
			follow(events.Command{Command: events.CommandStart, Key: "k", Payload: []byte(`{"big":"` + strings.Repeat("x", 250<<10) + `"}`)})
			tx.careful = true // as the transaction is decided when its snapshots turn out not to be writable
			f := follow(events.Command{Command: events.CommandSignal, Event: "go"})
			if f.lost != nil || f.replaced != nil {
				t.Fatalf("lost %v, replaced %v", f.lost, f.replaced)
			}
			i := e.cur.Incident
			if i == nil || i.Code != c.code || i.Input == nil || i.Input.Command.Event != "go" {
				t.Fatalf("the incident is %+v, of %+v", i, f.Outcome)
			}
			// The way out does not lead into a dead end either.
			follow(events.Command{Command: events.CommandRetry})
			if again := e.cur.Incident; again == nil || again.Code != c.code {
				t.Errorf("after a retry that changed nothing: %+v", again)
			}
			follow(events.Command{Command: events.CommandTerminate})
			if e.cur.State != events.WorkflowCancelled {
				t.Errorf("it cannot be ended: %s", e.cur.State)
			}
		})
	}
}

// TestAPanicIsAnIncidentOfItsInstance is about a defect of ours: the input is
// kept, and whoever mends the defect retries it.
func TestAPanicIsAnIncidentOfItsInstance(t *testing.T) {
	tx, e, follow := followWorld(t, "leat: v1\ntype: bad\nversion: 1\nstates:\n  a: {}\n")
	follow(events.Command{Command: events.CommandStart, Key: "k"})
	at := instance{shard.Partition{Topic: "workflow.bad.commands"}, e.cur.InstanceID}
	c := events.Command{Command: events.CommandSignal, Event: "go", WorkflowType: "bad", InstanceID: at.id}
	c.Resolve(events.DeriveUUID(at.id, "go"))
	f, err := tx.follow(t.Context(), request{at: at, entry: e, in: decide.Input{Command: &c, Machine: new(fsm.Machine), Now: time.UnixMicro(2).UTC(), Source: "slot"}})
	if err != nil || f.lost != nil {
		t.Fatal(err, f.lost)
	}
	if i := e.cur.Incident; i == nil || i.Code != decide.CodeUndecidable || !strings.Contains(i.Message, "panic") || i.Input.Command.Event != "go" {
		t.Errorf("the incident is %+v", i)
	}
}

// TestDetailsOfHeartbeatsCauseNoIncident is about an instance that has room for
// everything but the details of a heartbeat, which are a help and no more.
func TestDetailsOfHeartbeatsCauseNoIncident(t *testing.T) {
	tx, e, follow := followWorld(t, `
leat: v1
type: bad
version: 1
initial: a
states:
  a:
    tasks: {t1: {task: q.t}, t2: {task: q.t}, t3: {task: q.t}, t4: {task: q.t, retry: {maxAttempts: 3}}}
    onDone: b
    onError: c
  b: {}
  c: {}
`)
	tx.careful = true
	text := func(n int) []byte { return []byte(`"` + strings.Repeat("x", n) + `"`) }
	follow(events.Command{Command: events.CommandStart, Key: "k", Payload: text(maxRecord - 750<<10 - 32<<10)})
	report := func(task int, kind events.CommandType, r events.TaskResult, payload []byte) {
		t.Helper()
		r.TaskID, r.Attempt, r.NodeID = e.cur.Chart.Tasks[task].TaskID, 1, "node"
		if f := follow(events.Command{Command: kind, Event: string(kind), Result: &r, Payload: payload}); f.lost != nil || f.replaced != nil {
			t.Fatalf("%s: %+v", kind, f)
		}
	}
	for task := range 3 {
		report(task, events.CommandResult, events.TaskResult{State: events.TaskCompleted}, text(250<<10-2))
	}
	report(3, events.CommandClaim, events.TaskResult{}, nil)
	due := e.cur.Chart.Timers[0].Due
	report(3, events.CommandHeartbeat, events.TaskResult{HeartbeatDetails: text(1000)}, nil)
	report(3, events.CommandHeartbeat, events.TaskResult{HeartbeatDetails: text(60 << 10)}, nil)
	last := e.cur.Chart.Tasks[3]
	if e.cur.Incident != nil || len(last.HeartbeatDetails) != 1002 || e.cur.Chart.Timers[0].Due.Before(due) {
		t.Fatalf("%+v, %d bytes of details", e.cur.Incident, len(last.HeartbeatDetails))
	}
	failed := events.TaskResult{State: events.TaskFailed, Error: &events.Error{Code: "E", Message: "m", Retryable: true}, HeartbeatDetails: text(60 << 10)}
	report(3, events.CommandResult, failed, nil)
	if e.cur.Incident != nil || e.cur.Chart.Tasks[3].State != events.TaskRetrying {
		t.Fatalf("%+v, the task is %s", e.cur.Incident, e.cur.Chart.Tasks[3].State)
	}
}
