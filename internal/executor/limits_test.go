package executor

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
)

// gauge counts what runs at once, and the most that it has seen.
type gauge struct{ now, most atomic.Int32 }

func (g *gauge) run() (end func()) {
	n := g.now.Add(1)
	for {
		if old := g.most.Load(); n <= old || g.most.CompareAndSwap(old, n) {
			return func() { g.now.Add(-1) }
		}
	}
}

func TestLimitsBoundAQueueAndATask(t *testing.T) {
	b := newBench(t, 2)
	var all, charges gauge
	e := b.executor(Config{Concurrency: 8, Limits: map[string]Limit{"pay": {Concurrency: 3}, "pay.charge": {Concurrency: 1}}},
		func(context.Context, *events.Task) (json.RawMessage, error) {
			defer all.run()()
			defer charges.run()()
			return nil, nil
		})
	if err := e.Handle("pay.refund", func(context.Context, *events.Task) (json.RawMessage, error) {
		defer all.run()()
		return nil, nil
	}); err != nil {
		t.Fatal(err)
	}
	stop := b.start(e)
	for range 50 {
		b.issue(b.task("pay.charge", nil), b.task("pay.refund", nil))
	}
	b.until("100 results", atLeast(events.CommandResult, 100))
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if all.most.Load() > 3 || charges.most.Load() > 1 {
		t.Fatalf("%d tasks and %d charges ran at once", all.most.Load(), charges.most.Load())
	}
}

// A task that waits for its own bound holds its own kind back alone, and what is
// read ahead of it is bounded.
func TestALimitedTaskHoldsBackNothingElse(t *testing.T) {
	b := newBench(t, 1)
	let, begun := make(chan struct{}), make(chan struct{}, 100)
	var most atomic.Int32
	var e *Executor
	e = b.executor(Config{Concurrency: 4, Limits: map[string]Limit{"pay.charge": {Concurrency: 1}}}, func(context.Context, *events.Task) (json.RawMessage, error) {
		begun <- struct{}{}
		<-let
		e.mu.Lock()
		defer e.mu.Unlock()
		most.Store(max(most.Load(), int32(e.intakes[0].queued)))
		return nil, nil
	})
	if err := e.Handle("pay.refund", echo); err != nil {
		t.Fatal(err)
	}
	stop := b.start(e)
	b.issue(b.task("pay.charge", nil), b.task("pay.charge", nil), b.task("pay.charge", nil), b.task("pay.refund", nil))
	<-begun
	b.until("the refund's result", atLeast(events.CommandResult, 1))
	for range 40 {
		b.issue(b.task("pay.charge", nil))
	}
	close(let)
	b.until("all results", atLeast(events.CommandResult, 44))
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if most.Load() > 8 {
		t.Fatalf("%d tasks were read ahead of 4 slots", most.Load())
	}
}

func TestARateLetsTasksBeginOneAfterTheOther(t *testing.T) {
	bounds := []*bound{newBound(Limit{Rate: 2, Burst: 1})}
	var q queue
	for i := range 3 {
		q.push(&job{offset: int64(i)}, "pay", bounds)
	}
	now := time.Unix(1000, 0)
	for i, c := range []struct {
		after time.Duration
		runs  bool
		wait  time.Duration
	}{
		{0, true, 0},
		{0, false, 500 * time.Millisecond},
		{200 * time.Millisecond, false, 300 * time.Millisecond},
		{500 * time.Millisecond, true, 0},
		{900 * time.Millisecond, false, 100 * time.Millisecond},
		{time.Hour, true, 0},
		{time.Hour, false, 0}, // nothing is left
	} {
		j, wait := q.pop(now.Add(c.after))
		if (j != nil) != c.runs || wait.Round(time.Millisecond) != c.wait {
			t.Fatalf("%d: %v, wait %s", i, j, wait)
		}
		if j != nil {
			take(j.bounds, now.Add(c.after))
			giveBack(j.bounds)
		}
	}
}

func TestARateHoldsInAnExecutor(t *testing.T) {
	b := newBench(t, 1)
	e := b.executor(Config{Limits: map[string]Limit{"pay": {Rate: 50, Burst: 1}}}, echo)
	stop := b.start(e)
	began := time.Now()
	for range 6 {
		b.issue(b.task("pay.charge", nil))
	}
	b.until("6 results", atLeast(events.CommandResult, 6))
	if took := time.Since(began); took < 95*time.Millisecond {
		t.Fatalf("6 tasks at 50 a second took %s", took)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

// A task that was overtaken is this executor's when its partition is given up.
// If no turn comes before the executor stops, it says so instead of keeping it.
func TestDrainReportsWhatARateHeldBack(t *testing.T) {
	b := newBench(t, 1)
	e := b.executor(Config{DrainTimeout: 10 * time.Millisecond, Limits: map[string]Limit{"pay.charge": {Rate: 0.001}}}, echo)
	if err := e.Handle("pay.refund", echo); err != nil {
		t.Fatal(err)
	}
	stop := b.start(e)
	waits := b.task("pay.charge", nil)
	b.issue(b.task("pay.charge", nil), waits, b.task("pay.refund", nil))
	b.until("two results", atLeast(events.CommandResult, 2))
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	got := b.until("three results", atLeast(events.CommandResult, 3))
	for _, c := range got {
		if c.Command == events.CommandResult && c.Result.TaskID == waits.TaskID && c.Result.Error != nil && c.Result.Error.Code == CodeDrained {
			return
		}
	}
	t.Fatalf("got %v", kinds(got))
}

func TestLimitsAreChecked(t *testing.T) {
	for name, l := range map[string]Limit{
		"": {}, ".": {}, "pay.": {}, "pay.*": {}, ".charge": {}, "p ay": {},
		"pay": {Concurrency: -1}, "pay.a": {Rate: -1}, "pay.b": {Burst: -1},
	} {
		_, err := New(Config{Kafka: kafka.Config{Brokers: []string{"localhost:1"}}, Limits: map[string]Limit{name: l}})
		if err == nil || !strings.Contains(err.Error(), `limit on "`+name+`"`) {
			t.Errorf("%q: %v", name, err)
		}
	}
	for name, ok := range map[string]bool{"pay": true, "pay.charge": true, "pay.refund": false, "pya": false, "all": true, "all.thing": true} {
		e, err := New(Config{Kafka: kafka.Config{Brokers: []string{"localhost:1"}}, Limits: map[string]Limit{name: {Concurrency: 1}}})
		if err == nil {
			err = errors.Join(e.Handle("pay.charge", echo), e.Handle("all.*", echo))
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := e.checkLimits(); (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "handled are all.*, pay.charge") {
			t.Errorf("%q: %v", name, err)
		}
	}
}
