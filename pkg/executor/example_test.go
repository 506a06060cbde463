package executor_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"time"

	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/executor"
)

type Order struct {
	Amount int    `json:"amount"`
	Note   string `json:"note,omitempty"`
}

type Receipt struct {
	Charged int    `json:"charged"`
	Under   string `json:"under"`
}

func charge(ctx context.Context, in Order) (Receipt, error) {
	if in.Amount > 100 {
		return Receipt{}, executor.Fail("CARD_DECLINED", "the card was declined", false)
	}
	return Receipt{Charged: in.Amount, Under: executor.TaskFrom(ctx).IdempotencyKey}, nil
}

// A worker: it runs until Ctrl-C and lets running tasks end.
func Example() {
	w, err := executor.New(executor.Config{Brokers: []string{"localhost:9092"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	executor.Handle(w, "payments.charge", charge)

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := w.Run(ctx); err != nil {
		fmt.Println(err)
	}
}

// A handler is a function: a test calls it. WithTask is for those that ask for
// their task.
func ExampleWithTask() {
	ctx := executor.WithTask(context.Background(), executor.Task{Task: events.Task{IdempotencyKey: "order-42/pay", Attempt: 1}})
	fmt.Println(charge(ctx, Order{Amount: 30}))
	fmt.Println(charge(ctx, Order{Amount: 300}))
	// Output:
	// {30 order-42/pay} <nil>
	// {0 } CARD_DECLINED: the card was declined
}

// An attempt that is lost does not begin anew: the next one goes on where its
// heartbeats say that it was.
func ExampleHeartbeat() {
	pages := func(ctx context.Context, _ struct{}) (int, error) {
		var done struct{ Page int }
		if _, err := executor.TaskFrom(ctx).DecodeDetails(&done); err != nil {
			return 0, err
		}
		for done.Page < 9 {
			done.Page++ // work on it
			if err := executor.Heartbeat(ctx, done); err != nil {
				return 0, err // the attempt's time is over
			}
		}
		return done.Page, nil
	}
	second := executor.Task{Task: events.Task{TaskName: "reports.print", Attempt: 2, HeartbeatDetails: []byte(`{"Page": 7}`)}}
	fmt.Println(pages(executor.WithTask(context.Background(), second), struct{}{}))
	// Output: 9 <nil>
}

// A service that is busy says when to come again.
func ExampleRetryAfter() {
	err := executor.RetryAfter(errors.New("429 Too Many Requests"), 90*time.Second)
	fmt.Println(err)
	// Output: 429 Too Many Requests
}

// Middleware is around every handler.
func ExampleExecutor_Use() {
	w, err := executor.New(executor.Config{Brokers: []string{"localhost:9092"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	logger := slog.New(slog.NewTextHandler(os.Stderr, nil))
	w.Use(func(next executor.Handler) executor.Handler {
		return func(ctx context.Context, t executor.Task) (executor.Result, error) {
			began := time.Now()
			result, err := next(ctx, t)
			logger.InfoContext(ctx, "task", "name", t.TaskName, "attempt", t.Attempt, "took", time.Since(began), "error", err)
			return result, err
		}
	})
	executor.Handle(w, "payments.charge", charge)
}

// At most eight tasks of the queue at once and fifty a second, of which one may be
// a refund.
func ExampleConfig_limits() {
	w, err := executor.New(executor.Config{
		Brokers: []string{"localhost:9092"},
		Limits: map[string]executor.Limit{
			"payments":        {Concurrency: 8, Rate: 50},
			"payments.refund": {Concurrency: 1},
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	executor.Handle(w, "payments.charge", charge)
	executor.Handle(w, "payments.refund", charge)
}

func ExampleExecutor_Schemas() {
	w, err := executor.New(executor.Config{Brokers: []string{"localhost:9092"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	executor.Handle(w, "payments.charge", charge)
	fmt.Println(string(w.Schemas()["payments.charge"].Input))
	// Output: {"$schema":"https://json-schema.org/draft/2020-12/schema","properties":{"amount":{"type":"integer"},"note":{"type":"string"}},"required":["amount"],"type":"object"}
}
