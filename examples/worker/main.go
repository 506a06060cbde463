// Command worker does the tasks of order.yaml: what docs/how-to/write-a-worker.md
// explains.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"time"

	"github.com/leat-io/leat/pkg/executor"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	w, err := worker(strings.Split(os.Getenv("KAFKA_BROKERS"), ","))
	if err != nil {
		return err
	}
	return w.Run(ctx) // until Ctrl-C; running tasks get 20 s to end
}

func worker(brokers []string) (*executor.Executor, error) {
	w, err := executor.New(executor.Config{
		Brokers: brokers,
		Limits: map[string]executor.Limit{
			"payments":      {Concurrency: 8, Rate: 50}, // what the bank bears
			"reports.print": {Concurrency: 1},           // there is one printer
		},
	})
	if err != nil {
		return nil, err
	}
	w.Use(logged)
	executor.Handle(w, "payments.charge", charge)
	executor.Handle(w, "reports.print", printReport)
	return w, nil
}

type Order struct {
	Amount int `json:"amount"`
}

type Receipt struct {
	Charged int    `json:"charged"`
	Under   string `json:"under"`
}

var busy atomic.Int32 // the bank has no time at first

func charge(ctx context.Context, in Order) (Receipt, error) {
	switch {
	case in.Amount > 100:
		return Receipt{}, executor.Fail("CARD_DECLINED", "the card was declined", false)
	case busy.Add(1) == 1:
		return Receipt{}, executor.RetryAfter(errors.New("the bank is busy"), 300*time.Millisecond)
	}
	return Receipt{Charged: in.Amount, Under: executor.TaskFrom(ctx).IdempotencyKey}, nil
}

type Report struct {
	Pages int `json:"pages"`
}

type Progress struct {
	Page int `json:"page"`
}

// printReport prints a page after the other. Its first attempt runs out of paper; the
// second goes on with the next page.
func printReport(ctx context.Context, in Report) (string, error) {
	task := executor.TaskFrom(ctx)
	var done Progress
	if _, err := task.DecodeDetails(&done); err != nil {
		return "", err
	}
	var printed []int
	for done.Page < in.Pages {
		if task.Attempt == 1 && done.Page == 2 {
			return "", errors.New("out of paper")
		}
		done.Page++
		printed = append(printed, done.Page)
		if err := executor.Heartbeat(ctx, done); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("attempt %d printed %v", task.Attempt, printed), nil
}

func logged(next executor.Handler) executor.Handler {
	logger := slog.New(slog.NewTextHandler(os.Stderr, nil))
	return func(ctx context.Context, t executor.Task) (executor.Result, error) {
		began := time.Now()
		result, err := next(ctx, t)
		logger.InfoContext(ctx, "task", "name", t.TaskName, "attempt", t.Attempt, "took", time.Since(began), "error", err)
		return result, err
	}
}
