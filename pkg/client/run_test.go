package client

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
)

type paid struct {
	Receipt string `json:"receipt"`
	Amount  int    `json:"amount"`
}

func begin(ctx context.Context, t *testing.T, c *Client, key string) *Run {
	t.Helper()
	run, err := c.Start(ctx, StartRequest{Type: "order", Key: key, Input: map[string]int{"amount": 12}})
	if err != nil {
		t.Fatal(err)
	}
	return run
}

func TestARunHasTheResult(t *testing.T) {
	c := withOrder(t)
	ctx := within(t, 30*time.Second)
	run := begin(ctx, t, c, "1")
	if run.Type() != "order" || run.InstanceID() != events.InstanceIDForKey("order", "1") || run.Receipt().Topic == "" {
		t.Fatalf("got %+v", run.Receipt())
	}
	select {
	case <-run.Done():
		t.Fatal("it is done before it is")
	default:
	}
	if err := run.Signal(ctx, "finish", paid{Receipt: "r-1", Amount: 12}); err != nil {
		t.Fatal(err)
	}
	var got paid
	if err := run.Result(ctx, &got); err != nil || got != (paid{"r-1", 12}) {
		t.Fatalf("got %+v, %v", got, err)
	}
	<-run.Done()
	if got, err := Result[paid](ctx, run); err != nil || got.Amount != 12 {
		t.Fatalf("got %+v, %v", got, err)
	}
	if raw, err := Result[json.RawMessage](ctx, run); err != nil || string(raw) != `{"receipt":"r-1","amount":12}` {
		t.Fatalf("got %s, %v", raw, err)
	}
	if err := run.Result(ctx, nil); err != nil {
		t.Fatal(err)
	}
	if s, err := run.Wait(ctx); err != nil || s.SequenceNumber != 4 || s.Chart.Active[0] != "done" {
		t.Fatalf("got %+v, %v", s, err)
	}
	attached, err := c.Attach(ctx, "order", "1")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Result[paid](ctx, attached); err != nil || got.Amount != 12 {
		t.Fatalf("got %+v, %v", got, err)
	}
}

func TestAResultThatDoesNotFit(t *testing.T) {
	c := withOrder(t)
	ctx := within(t, 30*time.Second)
	run := begin(ctx, t, c, "1")
	if err := run.Signal(ctx, "finish", json.RawMessage(`{"amount":"twelve"}`)); err != nil {
		t.Fatal(err)
	}
	_, err := Result[paid](ctx, run)
	if !errors.Is(err, ErrResult) || !strings.Contains(err.Error(), `amount is "twelve", which is no int`) {
		t.Fatalf("got %v", err)
	}
}

func TestARunThatDoesNotComplete(t *testing.T) {
	c := withOrder(t)
	ctx := within(t, 30*time.Second)
	for name, tt := range map[string]struct {
		do   func(*Run) error
		want WorkflowError
		text string
	}{
		"failed": {
			func(r *Run) error { return r.Signal(ctx, "fail", nil) },
			WorkflowError{State: events.WorkflowFailed, Code: "CARD_DECLINED", Message: "the bank says no"},
			"failed: CARD_DECLINED: the bank says no",
		},
		"cancelled": {
			func(r *Run) error { return r.Cancel(ctx, "ordered twice") },
			WorkflowError{State: events.WorkflowCancelled, Code: "CANCELLED", Message: "ordered twice"},
			"was cancelled: CANCELLED: ordered twice",
		},
		"timed out": {
			func(r *Run) error { return r.Signal(ctx, "expire", nil) },
			WorkflowError{State: events.WorkflowTimeout},
			"timed out",
		},
	} {
		run := begin(ctx, t, c, name)
		if err := tt.do(run); err != nil {
			t.Fatal(err)
		}
		err := run.Result(ctx, nil)
		var got *WorkflowError
		if !errors.As(err, &got) || !errors.Is(err, ErrWorkflow) || !strings.HasSuffix(err.Error(), tt.text) {
			t.Fatalf("%s: got %v", name, err)
		}
		tt.want.Type, tt.want.InstanceID = "order", run.InstanceID()
		if *got != tt.want {
			t.Errorf("%s: got %+v", name, *got)
		}
		if s, err := run.Wait(ctx); err != nil || s.State != tt.want.State {
			t.Errorf("%s: got %+v, %v", name, s, err)
		}
	}
}

func TestAStartThatIsRefused(t *testing.T) {
	c := withOrder(t)
	ctx := within(t, 30*time.Second)
	run, err := c.Start(ctx, StartRequest{Type: "order", Key: "1", Version: 9})
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Result(ctx, nil); !errors.Is(err, ErrRejected) || !strings.Contains(err.Error(), "version 9 is not deployed") {
		t.Fatalf("got %v", err)
	}
}

// A start that comes too late is answered with where the instance is, and the run
// of one that still runs sees the end.
func TestARunOfADuplicate(t *testing.T) {
	c := withOrder(t)
	ctx := within(t, 30*time.Second)
	first := begin(ctx, t, c, "1")
	second := begin(ctx, t, c, "1")
	if err := first.Signal(ctx, "finish", paid{Amount: 1}); err != nil {
		t.Fatal(err)
	}
	for _, run := range []*Run{first, second, begin(ctx, t, c, "1")} {
		if got, err := Result[paid](ctx, run); err != nil || got.Amount != 1 {
			t.Fatalf("got %+v, %v", got, err)
		}
		if s, err := run.Wait(ctx); err != nil || s.Key != "1" {
			t.Fatalf("got %+v, %v", s, err)
		}
	}
}

func TestACancelledWaitLeavesNothing(t *testing.T) {
	c := withOrder(t)
	ctx := within(t, 60*time.Second)
	func() {
		run := begin(ctx, t, c, "1")
		if err := run.Result(within(t, time.Millisecond), nil); !errors.Is(err, ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v", err)
		}
	}()
	if _, err := c.WaitFinished(within(t, 100*time.Millisecond), "order", "1"); !errors.Is(err, ErrTimeout) || !strings.Contains(err.Error(), "running in packing") {
		t.Fatalf("got %v", err)
	}
	nothingWaits(ctx, t, c) // the Run is held no longer
}

// nothingWaits runs the garbage collector until no watch is left.
func nothingWaits(ctx context.Context, t *testing.T, c *Client) {
	t.Helper()
	for n := 1; n > 0; {
		if ctx.Err() != nil {
			t.Fatalf("%d are watched still", n)
		}
		runtime.GC()
		kafka.Pause(ctx, time.Millisecond)
		n = watches(c)
	}
}

func watches(c *Client) (n int) {
	c.mu.Lock()
	feeds := slices.Collect(maps.Values(c.feeds))
	c.mu.Unlock()
	for _, f := range feeds {
		f.mu.Lock()
		n += len(f.waiting) + len(f.commands)
		f.mu.Unlock()
	}
	return n + c.topics.Watching()
}

// Who waits for Done, or for AfterFunc, need not hold the Run.
func TestDoneWithoutTheRun(t *testing.T) {
	c := withOrder(t)
	ctx := within(t, 60*time.Second)
	called := make(chan struct{})
	done, stop := func() (<-chan struct{}, func() bool) {
		run := begin(ctx, t, c, "1")
		run.AfterFunc(func() { close(called) })
		return run.Done(), run.AfterFunc(func() { t.Error("it was stopped") })
	}()
	if !stop() || stop() {
		t.Fatal("it can be stopped once")
	}
	for range 5 {
		runtime.GC()
	}
	if _, err := c.Signal(ctx, SignalRequest{Type: "order", Key: "1", Event: "finish"}); err != nil {
		t.Fatal(err)
	}
	for _, seen := range []<-chan struct{}{done, called} {
		select {
		case <-seen:
		case <-ctx.Done():
			t.Fatal("nobody said that it ended")
		}
	}
	again := make(chan struct{})
	begin(ctx, t, c, "1").AfterFunc(func() { close(again) })
	<-again
	nothingWaits(ctx, t, c)
}

func TestClosingEndsRuns(t *testing.T) {
	c := withOrder(t)
	run := begin(within(t, 30*time.Second), t, c, "1")
	done := run.Done()
	c.Close()
	<-done
	if err := run.Result(context.Background(), nil); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "closed") {
		t.Fatalf("got %v", err)
	}
	if err := run.Signal(context.Background(), "finish", nil); !errors.Is(err, ErrInvalid) {
		t.Fatalf("got %v", err)
	}
}

// Ten thousand runs wait at once, in no goroutine of their own and in little memory.
func TestManyRunsWait(t *testing.T) {
	c := newClient(t)
	ctx := within(t, 120*time.Second)
	if _, err := c.Deploy(ctx, DeployRequest{Name: "order.yaml", Source: []byte(order), Partitions: 4}); err != nil {
		t.Fatal(err)
	}
	const n = 10_000
	ends := make([]*kafka.Record, n)
	for i := range ends {
		ends[i] = endOf(t, c, strconv.Itoa(i), i)
	}
	begin(ctx, t, c, "warm")
	memory, goroutines := inUse(), runtime.NumGoroutine()
	runs := startAll(ctx, t, c, n)
	ended := make(chan int, n)
	for i, run := range runs {
		run.AfterFunc(func() { ended <- i })
	}
	bytes, more := (inUse()-memory)/n, runtime.NumGoroutine()-goroutines
	t.Logf("%d waits: %d goroutines more, %d bytes a wait with what the broker keeps of it", n, more, bytes)
	if more > 50 || bytes > 10_000 {
		t.Errorf("%d goroutines and %d bytes a wait more", more, bytes)
	}
	if got := watches(c); got < 2*n {
		t.Errorf("%d are watched", got)
	}
	send(t, c, ends...)
	for range n {
		select {
		case i := <-ended:
			if got, err := Result[int](ctx, runs[i]); err != nil || got != i {
				t.Fatalf("%d: got %d, %v", i, got, err)
			}
		case <-ctx.Done():
			t.Fatal("not all have ended")
		}
	}
	clear(runs)
	nothingWaits(ctx, t, c)
}

// startAll starts orders 0 to n-1.
func startAll(ctx context.Context, t *testing.T, c *Client, n int) []*Run {
	t.Helper()
	runs := make([]*Run, n)
	var all sync.WaitGroup
	for worker := range 100 {
		all.Go(func() {
			for i := worker; i < n; i += 100 {
				run, err := c.Start(ctx, StartRequest{Type: "order", Key: strconv.Itoa(i)})
				if err != nil {
					t.Error(err)
					return
				}
				runs[i] = run
			}
		})
	}
	all.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return runs
}

// endOf is the snapshot of an order that is completed.
func endOf(t *testing.T, c *Client, key string, output int) *kafka.Record {
	t.Helper()
	id, now := events.InstanceIDForKey("order", key), events.Instant(time.Now())
	value, err := avro.EncodeSnapshot(&events.Snapshot{
		WorkflowType: "order", InstanceID: id, Key: key, Version: 1, SequenceNumber: 4, State: events.WorkflowCompleted, CorrelationID: id,
		CreatedAt: now, UpdatedAt: now, FinishedAt: now, Isolation: events.ReadCommitted, Output: json.RawMessage(strconv.Itoa(output)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return kafka.NewRecord(c.names.State("order"), []byte(id.String()), value)
}

func inUse() int64 {
	for range 3 { // what has cleanups is freed later
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
