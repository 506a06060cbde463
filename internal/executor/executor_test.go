package executor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
)

func echo(_ context.Context, t *events.Task) (json.RawMessage, error) { return t.Input, nil }

func TestAShortTaskIsReportedWithoutAClaim(t *testing.T) {
	b := newBench(t, 2)
	e := b.executor(Config{NodeID: "node-1", ClaimAfter: time.Minute}, echo)
	stop := b.start(e)
	task := b.task("pay.charge", nil)
	b.issue(task)
	got := b.until("result", atLeast(events.CommandResult, 1))
	if len(got) != 1 {
		t.Fatalf("got %v", kinds(got))
	}
	c := got[0]
	if c.Result.TaskID != task.TaskID || c.Result.State != events.TaskCompleted || c.Result.NodeID != "node-1" ||
		c.InstanceID != task.InstanceID || c.CorrelationID != task.CorrelationID || c.CausationID != task.CausationID ||
		c.CommandID != events.DeriveUUID(task.TaskID, "result/1") || string(c.Payload) != `{"amount":3}` {
		t.Fatalf("got %+v %+v", c, c.Result)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if n := b.committed(); n != 1 {
		t.Fatalf("%d offsets were committed", n)
	}
}

func TestALongTaskIsClaimedAndGivesSignsOfLife(t *testing.T) {
	b := newBench(t, 1)
	let := make(chan struct{})
	e := b.executor(Config{ClaimAfter: time.Millisecond, HeartbeatEvery: 5 * time.Millisecond}, func(context.Context, *events.Task) (json.RawMessage, error) {
		<-let
		return nil, nil
	})
	stop := b.start(e)
	b.issue(b.task("pay.charge", nil))
	got := b.until("heartbeats", atLeast(events.CommandHeartbeat, 2))
	if got[0].Command != events.CommandClaim {
		t.Fatalf("got %v", kinds(got))
	}
	close(let)
	got = b.until("result", atLeast(events.CommandResult, 1))
	if got[len(got)-1].Command != events.CommandResult {
		t.Fatalf("got %v", kinds(got))
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

func TestFailures(t *testing.T) {
	b := newBench(t, 1)
	e := b.executor(Config{}, func(ctx context.Context, task *events.Task) (json.RawMessage, error) {
		switch task.InstanceKey {
		case "1":
			return nil, errors.New("no luck")
		case "2":
			return nil, Terminal(errors.New("never"))
		case "3":
			return nil, &events.Error{Code: "CARD_DECLINED", Message: "declined"}
		case "4":
			panic("oops")
		case "5":
			return json.RawMessage("{"), nil
		case "6":
			<-ctx.Done()
			return nil, ctx.Err()
		case "7":
			return nil, fmt.Errorf("while charging: %w", &events.Error{Code: "BUSY", Message: "later", Retryable: true})
		default:
			return json.RawMessage(`"` + strings.Repeat("x", events.MaxPayloadLength) + `"`), nil
		}
	})
	stop := b.start(e)
	want := map[events.UUID]events.Error{}
	for _, w := range []events.Error{
		{Code: CodeFailed, Message: "no luck", Retryable: true},
		{Code: CodeFailed, Message: "never"},
		{Code: "CARD_DECLINED", Message: "declined"},
		{Code: CodePanic, Message: "the handler panicked: oops", Retryable: true},
		{Code: CodeResult},
		{Code: CodeTimeout, Message: "the handler was not done when the attempt's 20ms (startToClose) were over: context deadline exceeded", Retryable: true},
		{Code: "BUSY", Message: "while charging: BUSY: later", Retryable: true},
		{Code: CodeResult, Message: "the result of pay.charge is 262146 bytes of JSON, at most 262144 (256 KiB): keep what is large elsewhere and return a reference"},
	} {
		task := b.task("pay.charge", func(task *events.Task) { task.Timeouts.StartToClose = 20 * time.Millisecond })
		want[task.TaskID] = w
		b.issue(task)
	}
	missing := b.task("pay.refund", nil)
	want[missing.TaskID] = events.Error{Code: CodeNoHandler, Retryable: true}
	b.issue(missing)
	for _, c := range b.until("results", atLeast(events.CommandResult, len(want))) {
		if c.Command != events.CommandResult {
			continue
		}
		w, got := want[c.Result.TaskID], c.Result.Error
		if got == nil || got.Code != w.Code || got.Retryable != w.Retryable || w.Message != "" && got.Message != w.Message {
			t.Errorf("got %+v, want %+v", got, w)
		}
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

func TestARecordThatIsNoTaskGoesToTheDeadLetters(t *testing.T) {
	b := newBench(t, 1)
	stop := b.start(b.executor(Config{}, echo))
	poison := kafka.NewRecord(b.names.Tasks("pay"), []byte("k"), []byte("poison"))
	poison.Headers = []kafka.Header{{Key: "mine", Value: []byte("kept")}}
	nothing := kafka.NewRecord(b.names.Tasks("pay"), []byte("k"), nil)
	skipped := kafka.NewRecord(b.names.Tasks("pay"), nil, []byte("batch of offsets 1 to 1 of t/0 unpacks to more than 16777216 bytes; it was skipped"))
	if err := b.producer.Send(t.Context(), poison, nothing, skipped); err != nil {
		t.Fatal(err)
	}
	b.issue(b.task("pay.charge", nil))
	b.until("result", atLeast(events.CommandResult, 1))
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if n := b.committed(); n != 4 {
		t.Fatalf("%d offsets were committed", n)
	}
	r, err := kafka.NewReader(b.config)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var dead []*kafka.Record
	if err := r.ReadAll(t.Context(), b.names.DeadLetters(b.names.Tasks("pay")), func(r *kafka.Record) error { dead = append(dead, r); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(dead) != 3 || dead[1].Value != nil || string(dead[0].Key) != "k" || string(dead[0].Value) != "poison" || string(dead[0].Headers[0].Value) != "kept" || len(dead[0].Headers) != 5 {
		t.Fatalf("got %+v", dead)
	}
}

func TestSlotsBoundWhatRuns(t *testing.T) {
	b := newBench(t, 2)
	var running, most atomic.Int32
	e := b.executor(Config{Concurrency: 3}, func(context.Context, *events.Task) (json.RawMessage, error) {
		n := running.Add(1)
		defer running.Add(-1)
		for {
			if old := most.Load(); n <= old || most.CompareAndSwap(old, n) {
				return nil, nil
			}
		}
	})
	stop := b.start(e)
	for range 200 {
		b.issue(b.task("pay.charge", nil))
	}
	b.until("200 results", atLeast(events.CommandResult, 200))
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if most.Load() > 3 {
		t.Fatalf("%d ran at once", most.Load())
	}
	if n := b.committed(); n != 200 {
		t.Fatalf("%d offsets were committed", n)
	}
}

func TestDrainLetsRunningTasksEnd(t *testing.T) {
	b := newBench(t, 1)
	let, begun := make(chan struct{}), make(chan struct{}, 8)
	e := b.executor(Config{Concurrency: 1}, func(context.Context, *events.Task) (json.RawMessage, error) {
		begun <- struct{}{}
		<-let
		return nil, nil
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	b.issue(b.task("pay.charge", nil), b.task("pay.charge", nil), b.task("pay.charge", nil))
	<-begun
	cancel()
	// The partition is somebody else's before the handler ends: the first task is
	// claimed, the other two are theirs.
	b.until("claim", atLeast(events.CommandClaim, 1))
	var ran atomic.Int32
	stop := b.start(b.executor(Config{}, func(context.Context, *events.Task) (json.RawMessage, error) {
		ran.Add(1)
		return nil, nil
	}))
	b.until("two results", atLeast(events.CommandResult, 2))
	close(let)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	got := b.until("three results", atLeast(events.CommandResult, 3))
	if count(got, events.CommandResult) != 3 || ran.Load() != 2 || len(begun) != 0 {
		t.Fatalf("the other ran %d, got %v", ran.Load(), kinds(got))
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

func TestDrainCancelsWhatTakesTooLong(t *testing.T) {
	b := newBench(t, 1)
	begun := make(chan struct{})
	e := b.executor(Config{DrainTimeout: time.Millisecond}, func(ctx context.Context, _ *events.Task) (json.RawMessage, error) {
		close(begun)
		<-ctx.Done()
		return nil, ctx.Err()
	})
	stop := b.start(e)
	b.issue(b.task("pay.charge", nil))
	<-begun
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	got := b.until("result", atLeast(events.CommandResult, 1))
	if last := got[len(got)-1]; last.Result.Error == nil || last.Result.Error.Code != CodeDrained || !last.Result.Error.Retryable {
		t.Fatalf("got %+v", last.Result)
	}
}

func TestARebalanceRunsNothingTwice(t *testing.T) {
	b := newBench(t, 4)
	var mine atomic.Int32
	let := make(chan struct{})
	handler := func(context.Context, *events.Task) (json.RawMessage, error) {
		mine.Add(1)
		<-let
		return nil, nil
	}
	first := b.start(b.executor(Config{NodeID: "first", Concurrency: 40}, handler))
	for range 20 {
		b.issue(b.task("pay.charge", nil))
	}
	b.until("20 claims", atLeast(events.CommandClaim, 20))
	second := b.start(b.executor(Config{NodeID: "second", Concurrency: 40}, handler))
	for range 20 {
		b.issue(b.task("pay.charge", nil))
	}
	b.until("40 claims", atLeast(events.CommandClaim, 40))
	close(let)
	got := b.until("40 results", atLeast(events.CommandResult, 40))
	if err := errors.Join(first(), second()); err != nil {
		t.Fatal(err)
	}
	if mine.Load() != 40 || count(got, events.CommandResult) != 40 {
		t.Fatalf("%d began, %d results", mine.Load(), count(got, events.CommandResult))
	}
	if n := b.committed(); n != 40 {
		t.Fatalf("%d offsets were committed", n)
	}
}

func TestAtMostOnceRunsOnlyBehindTheGroupsOffset(t *testing.T) {
	b := newBench(t, 1)
	seen := make(chan int64, 1)
	var e *Executor
	e = b.executor(Config{}, func(context.Context, *events.Task) (json.RawMessage, error) {
		e.mu.Lock()
		defer e.mu.Unlock()
		for _, p := range e.intakes[0].parts {
			seen <- p.committed
		}
		return nil, nil
	})
	stop := b.start(e)
	b.issue(b.task("pay.charge", func(t *events.Task) { t.Delivery = events.AtMostOnce }))
	b.until("result", atLeast(events.CommandResult, 1))
	if at := <-seen; at != 1 {
		t.Fatalf("the task began with the group at %d", at)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

func TestReadyTellsWhatIsMissing(t *testing.T) {
	b := newBench(t, 1)
	e := b.executor(Config{}, echo)
	if e.Ready() == nil {
		t.Fatal("ready before Run")
	}
	if err := e.Handle("ship.parcel", echo); err != nil {
		t.Fatal(err)
	}
	stop := b.start(e)
	b.issue(b.task("pay.charge", nil))
	b.until("result", atLeast(events.CommandResult, 1))
	if err := e.Ready(); err == nil || !strings.Contains(err.Error(), "tasks.ship") {
		t.Fatalf("got %v", err)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

func TestHandleRefuses(t *testing.T) {
	e, err := New(Config{Kafka: kafka.Config{Brokers: []string{"localhost:1"}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", "pay", "pay.", ".charge"} {
		if e.Handle(name, echo) == nil {
			t.Errorf("%q was taken", name)
		}
	}
	if err := e.Handle("pay.*", echo); err != nil {
		t.Fatal(err)
	}
	if e.Handle("pay.*", echo) == nil {
		t.Error("a second handler was taken")
	}
	if e.handler(&events.Task{TaskName: "pay.anything", Queue: "pay"}) == nil {
		t.Error("pay.* does not run pay.anything")
	}
}

// What leaves open whether a task was done is final for a task that must not run
// twice; what its handler says of itself is not.
func TestUnknownOutcomeOfWhatRunsAtMostOnce(t *testing.T) {
	b := newBench(t, 1)
	e := b.executor(Config{}, func(ctx context.Context, task *events.Task) (json.RawMessage, error) {
		switch string(task.Input) {
		case "1":
			<-ctx.Done()
			return nil, ctx.Err()
		case "2":
			panic("oops")
		default:
			return nil, errors.New("busy")
		}
	})
	stop := b.start(e)
	want := map[events.UUID]string{}
	for input, failure := range map[string]string{
		"1": "START_TO_CLOSE_TIMEOUT: the handler was not done when the attempt's 20ms (startToClose) were over: context deadline exceeded: its outcome is not known",
		"2": "PANIC: the handler panicked: oops: its outcome is not known",
		"3": "TASK_FAILED: busy!",
	} {
		task := b.task("pay.charge", func(task *events.Task) {
			task.Input, task.Delivery, task.Timeouts.StartToClose = json.RawMessage(input), events.AtMostOnce, time.Minute
			if input == "1" {
				task.Timeouts.StartToClose = 20 * time.Millisecond
			}
		})
		want[task.TaskID] = failure
		b.issue(task)
	}
	for _, c := range b.until("results", atLeast(events.CommandResult, len(want))) {
		if c.Command != events.CommandResult {
			continue
		}
		got := c.Result.Error.Error()
		if c.Result.Error.Retryable {
			got += "!"
		}
		if got != want[c.Result.TaskID] {
			t.Errorf("got %s, want %s", got, want[c.Result.TaskID])
		}
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

// A queue that comes with the executor and is never used holds nothing up, and a
// handler that is there already is not touched.
func TestBuiltinQueues(t *testing.T) {
	b := newBench(t, 1)
	e := b.executor(Config{}, func(context.Context, *events.Task) (json.RawMessage, error) { return json.RawMessage(`"own"`), nil })
	other := func(context.Context, *events.Task) (json.RawMessage, error) { return json.RawMessage(`"builtin"`), nil }
	for _, name := range []string{"pay.charge", "unused.call", "unused.other"} {
		if err := e.HandleBuiltin(name, other); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Join(e.Queues(), " "); got != "pay unused" {
		t.Fatalf("queues %s", got)
	}
	stop := b.start(e)
	b.issue(b.task("pay.charge", nil))
	got := b.until("result", atLeast(events.CommandResult, 1))
	if payload := string(got[len(got)-1].Payload); payload != `"own"` {
		t.Errorf("got %s", payload)
	}
	if err := e.Ready(); err != nil {
		t.Errorf("not ready: %v", err)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}
