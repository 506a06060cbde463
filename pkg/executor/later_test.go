package executor_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/executor"
)

// An attempt is put down, and goes on with what it was put down with.
func TestContinueAndAsk(t *testing.T) {
	w := testWorld(t)
	w.start(t, executor.Config{}, func(e *executor.Executor) {
		executor.Handle(e, "payments.wire", func(ctx context.Context, in string) (string, error) {
			var state struct{ Job int }
			again, err := executor.Continuation(ctx, &state)
			switch {
			case err != nil:
				return "", executor.Terminal(err)
			case again:
				return fmt.Sprintf("job %d, %d answers", state.Job, len(executor.Answers(ctx))), nil
			case in == "ask":
				return "", executor.Ask(map[string]int{"Job": 7}, executor.Question{ID: "sure", Message: "Really?"})
			case in == "bad":
				return "", executor.Continue(make(chan int), 0)
			}
			return "", fmt.Errorf("not yet: %w", executor.Continue(map[string]int{"Job": 7}, time.Minute))
		})
	})
	for _, c := range []struct {
		task events.Task
		want string
	}{
		{events.Task{Input: json.RawMessage(`"wait"`)}, `scheduled {"Job":7} after 1m0s, 0 questions`},
		{events.Task{Input: json.RawMessage(`"ask"`)}, `waiting_for_input {"Job":7} after 0s, 1 questions`},
		{events.Task{Input: json.RawMessage(`"bad"`)}, "failed  after 0s, 0 questions: TASK_FAILED: continue: the state, a chan int, cannot be written as JSON"},
		{events.Task{Continuation: json.RawMessage(`{"Job":8}`), Answers: []events.Answer{{ID: "sure"}}, Input: json.RawMessage(`"x"`)}, `completed "job 8, 1 answers" after 0s, 0 questions`},
		{events.Task{Continuation: json.RawMessage(`{"Job":"x"}`), Input: json.RawMessage(`"x"`)}, "failed  after 0s, 0 questions: TASK_FAILED: the continuation of payments.wire does not fit"},
	} {
		c.task.TaskName = "payments.wire"
		report, err := w.askFor(&c.task)
		if err != nil {
			t.Fatal(err)
		}
		r := report.Result
		got := fmt.Sprintf("%s %s after %s, %d questions", r.State, report.Payload, r.ResumeAfter, len(r.Questions))
		if r.Error != nil {
			got += ": " + r.Error.Error()
		}
		if !strings.HasPrefix(got, c.want) {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}

// A handler says which attempts may be made again.
func TestRepeatableNeedsAHandler(t *testing.T) {
	e, err := executor.New(executor.Config{Brokers: []string{"localhost:1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if got := fmt.Sprint(recover()); !strings.Contains(got, `before "payments.read": there is no handler of that name`) {
			t.Errorf("got %s", got)
		}
	}()
	e.Repeatable("payments.read", func(context.Context, executor.Task) bool { return true })
}
