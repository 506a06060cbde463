package executor_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/executor"
)

type order struct {
	Items []struct {
		Amount int `json:"amount"`
	} `json:"items"`
}

type receipt struct {
	Total int `json:"total"`
}

// start runs an executor on w's broker until the test ends.
func (w *world) start(t *testing.T, c executor.Config, prepare func(e *executor.Executor)) {
	t.Helper()
	c.Brokers = w.cluster.ListenAddrs()
	e, err := executor.New(c)
	if err != nil {
		t.Fatal(err)
	}
	prepare(e)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func testWorld(t *testing.T) *world {
	t.Helper()
	w, err := newWorld()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	return w
}

// What a handler gets wrong shows in the history, in words that help.
func TestWhatHandlersGetWrong(t *testing.T) {
	w := testWorld(t)
	w.start(t, executor.Config{}, func(e *executor.Executor) {
		executor.Handle(e, "payments.total", func(_ context.Context, in order) (receipt, error) {
			var r receipt
			for _, i := range in.Items {
				r.Total += i.Amount
			}
			return r, nil
		})
		executor.Handle(e, "payments.large", func(context.Context, any) (string, error) { return strings.Repeat("x", 300<<10), nil })
		executor.Handle(e, "payments.panic", func(context.Context, any) (any, error) { panic("no such account") })
		executor.Handle(e, "payments.channel", func(context.Context, any) (any, error) { return make(chan int), nil })
		executor.Handle(e, "payments.late", func(ctx context.Context, _ any) (any, error) { <-ctx.Done(); return nil, ctx.Err() })
		executor.Handle(e, "payments.nothing", func(context.Context, struct{}) (any, error) { return nil, nil })
	})
	for _, c := range []struct {
		task, input, payload, failure string
		retryable                     bool
	}{
		{"total", `{"items":[{"amount":3},{"amount":4}],"more":true}`, `{"total":7}`, "", false},
		{"total", `null`, `{"total":0}`, "", false},
		{"total", `{"items":[{"amount":3},{"amount":"4"}]}`, "", `BAD_INPUT: the input of payments.total does not fit: field items[1].amount is "4", want a whole number (int)`, false},
		{"large", `1`, "", "BAD_RESULT: the result of payments.large is 307202 bytes of JSON, at most 262144 (256 KiB): keep what is large elsewhere and return a reference", false},
		{"panic", `1`, "", "PANIC: the handler panicked: no such account", true},
		{"channel", `1`, "", "BAD_RESULT: the result of payments.channel, a chan int, cannot be written as JSON: ", false},
		{"late", `1`, "", "START_TO_CLOSE_TIMEOUT: the handler was not done when the attempt's 30ms (startToClose) were over: context deadline exceeded", true},
		{"nothing", `{}`, "", "", false},
	} {
		report, err := w.askFor(&events.Task{TaskName: "payments." + c.task, Input: json.RawMessage(c.input), Timeouts: events.Timeouts{StartToClose: 30 * time.Millisecond}})
		if err != nil {
			t.Fatal(err)
		}
		got, retryable := "", false
		if f := report.Result.Error; f != nil {
			got, retryable = f.Error(), f.Retryable
		}
		if string(report.Payload) != c.payload || !strings.HasPrefix(got, c.failure) || (got == "") != (c.failure == "") || retryable != c.retryable {
			t.Errorf("%s: got %q %q (retryable %t)", c.task, report.Payload, got, retryable)
		}
	}
}

// The context knows the task; what the last attempt told is there for this one.
func TestTheContextKnowsTheTask(t *testing.T) {
	w := testWorld(t)
	type progress struct{ Page int }
	w.start(t, executor.Config{ClaimAfter: time.Hour}, func(e *executor.Executor) {
		executor.Handle(e, "payments.pages", func(ctx context.Context, _ any) (string, error) {
			task := executor.TaskFrom(ctx)
			var p progress
			if has, err := task.DecodeDetails(&p); err != nil || !has {
				return "", executor.Terminal(fmt.Errorf("%t %w", has, err))
			}
			if err := executor.Heartbeat(ctx, progress{p.Page + 1}); err != nil {
				return "", err
			}
			return "", executor.RetryAfter(executor.Fail("BUSY", fmt.Sprintf("%s attempt %d page %d", task.IdempotencyKey, task.Attempt, p.Page), true), 90*time.Second)
		})
	})
	for details, want := range map[string]string{
		`{"Page":7}`:    "BUSY: order-42/pay attempt 2 page 7",
		`{"Page":true}`: "TASK_FAILED: true the heartbeat details of payments.pages do not fit: field Page is true, want a whole number (int)",
	} {
		report, err := w.askFor(&events.Task{TaskName: "payments.pages", Attempt: 2, HeartbeatDetails: json.RawMessage(details)})
		if err != nil {
			t.Fatal(err)
		}
		if got := report.Result.Error.Error(); got != want {
			t.Errorf("got %s", got)
		}
		if report.Result.Error.Code == "BUSY" && (string(report.Result.HeartbeatDetails) != `{"Page":8}` || report.Result.RetryAfter != 90*time.Second) {
			t.Errorf("got %+v", report.Result)
		}
	}
}

func TestOutsideOfAHandler(t *testing.T) {
	if task := executor.TaskFrom(t.Context()); !task.TaskID.IsNil() {
		t.Errorf("got %+v", task)
	}
	if err := executor.Heartbeat(t.Context(), 1); err == nil || !strings.Contains(err.Error(), "the context is not that of a task's handler") {
		t.Error(err)
	}
	ctx := executor.WithTask(t.Context(), executor.Task{Task: events.Task{TaskName: "payments.charge", Attempt: 3}})
	if err := executor.Heartbeat(ctx, map[string]int{"page": 1}); err != nil || executor.TaskFrom(ctx).Attempt != 3 {
		t.Error(err)
	}
	for details, want := range map[any]string{
		make(chan int):              "heartbeat: the details, a chan int, cannot be written as JSON",
		strings.Repeat("x", 64<<10): "heartbeat of payments.charge: the details are 65538 bytes of JSON, at most 65536 (64 KiB)",
	} {
		if err := executor.Heartbeat(ctx, details); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Error(err)
		}
	}
	if executor.RetryAfter(nil, time.Second) != nil {
		t.Error("no error has become one")
	}
}

// Middleware is around all handlers, the first outermost, and may answer itself.
func TestMiddleware(t *testing.T) {
	w := testWorld(t)
	var mu sync.Mutex
	var seen []string
	note := func(name string) executor.Middleware {
		return func(next executor.Handler) executor.Handler {
			return func(ctx context.Context, t executor.Task) (executor.Result, error) {
				result, err := next(ctx, t)
				mu.Lock()
				defer mu.Unlock()
				seen = append(seen, fmt.Sprintf("%s %v %v", name, result, err))
				return result, err
			}
		}
	}
	w.start(t, executor.Config{}, func(e *executor.Executor) {
		executor.Handle(e, "payments.first", func(context.Context, any) (int, error) { return 1, nil })
		e.Use(note("outer"), note("inner"))
		e.Use(func(next executor.Handler) executor.Handler {
			return func(ctx context.Context, t executor.Task) (executor.Result, error) {
				if t.TaskName == "payments.refused" {
					return nil, executor.Terminal(errors.New("not here"))
				}
				return next(ctx, t)
			}
		})
		e.HandleTask("payments.refused", func(context.Context, executor.Task) (executor.Result, error) { return 2, nil })
		if err := e.HandleExec("payments.exec", []string{"cat"}); err != nil {
			t.Fatal(err)
		}
	})
	for _, task := range []string{"first", "refused", "exec"} {
		if _, err := w.ask("payments."+task, `"in"`); err != nil {
			t.Fatal(err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	want := []string{
		"inner 1 <nil>", "outer 1 <nil>", "inner <nil> not here", "outer <nil> not here",
		"inner [34 105 110 34] <nil>", "outer [34 105 110 34] <nil>",
	}
	if !slices.Equal(seen, want) {
		t.Errorf("got %q", seen)
	}
}

func TestHandlePanicsWithWhatIsWrong(t *testing.T) {
	e, err := executor.New(executor.Config{Brokers: []string{"localhost:1"}})
	if err != nil {
		t.Fatal(err)
	}
	ok := func(context.Context, any) (any, error) { return nil, nil }
	executor.Handle(e, "payments.charge", ok)
	for want, handle := range map[string]func(){
		`handle "charge": want queue.task`:                     func() { executor.Handle(e, "charge", ok) },
		`handle "payments.charge": there is a handler already`: func() { executor.Handle(e, "payments.charge", ok) },
		`handle "payments.refund": the handler is nil`:         func() { e.HandleTask("payments.refund", nil) },
		`handle "payments.void": the handler is nil`:           func() { executor.Handle[any, any](e, "payments.void", nil) },
	} {
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.HasPrefix(got, want) {
					t.Errorf("got %s, want %s", got, want)
				}
			}()
			handle()
		}()
	}
}

func TestLimitsWithoutAHandlerAreRefused(t *testing.T) {
	if _, err := executor.New(executor.Config{Brokers: []string{"a:1"}, Limits: map[string]executor.Limit{"payments": {Rate: -1}}}); err == nil {
		t.Error("a negative rate was taken")
	}
	e, err := executor.New(executor.Config{Brokers: []string{"a:1"}, Limits: map[string]executor.Limit{"paiments": {Concurrency: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	executor.Handle(e, "payments.charge", func(context.Context, any) (any, error) { return nil, nil })
	if err := e.Run(t.Context()); err == nil || !strings.Contains(err.Error(), `limit on "paiments": there is no handler for it; handled are payments.charge`) {
		t.Errorf("got %v", err)
	}
}

func TestSchemasAreOfTheHandlersTypes(t *testing.T) {
	e, err := executor.New(executor.Config{Brokers: []string{"a:1"}})
	if err != nil {
		t.Fatal(err)
	}
	executor.Handle(e, "payments.total", func(context.Context, order) (receipt, error) { return receipt{}, nil })
	e.HandleTask("payments.raw", func(context.Context, executor.Task) (executor.Result, error) { return nil, nil })
	got := e.Schemas()
	if len(got) != 1 || !strings.Contains(string(got["payments.total"].Input), `"amount":{"type":"integer"}`) ||
		!strings.Contains(string(got["payments.total"].Output), `"total":{"type":"integer"}`) {
		t.Errorf("got %s", got)
	}
}
