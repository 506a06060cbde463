package leattest_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/executor"
	"github.com/leat-io/leat/pkg/leattest"
)

const attempts = `leat: v1
type: attempts
version: 1
initial: working
states:
  working:
    invoke: {task: jobs.work, timeout: {scheduleToClose: 2s}, onDone: done, onError: failed}
    on: {leave: done}
  done: {type: final}
  failed: {type: final, outcome: failed}
`

// A handler is told within a second that nobody waits for it any more, whatever
// the reason.
func TestHandlersAreToldThatTheirAttemptIsOver(t *testing.T) {
	env := leattest.Start(t)
	began, told := make(chan time.Time, 1), make(chan error, 1)
	env.Handle("jobs.work", func(ctx context.Context, _ executor.Task) (executor.Result, error) {
		began <- time.Now()
		<-ctx.Done()
		told <- context.Cause(ctx)
		return nil, ctx.Err()
	})
	env.DeploySource(attempts)
	c := env.Client()
	for key, end := range map[string]client.Request{
		"left":       client.SignalRequest{Type: "attempts", Key: "left", Event: "leave"},
		"cancelled":  client.LifeRequest{Command: events.CommandCancel, Type: "attempts", Key: "cancelled"},
		"terminated": client.LifeRequest{Command: events.CommandTerminate, Type: "attempts", Key: "terminated"},
		"late":       nil, // its time is over
	} {
		if _, err := c.Start(t.Context(), client.StartRequest{Type: "attempts", Key: key}); err != nil {
			t.Fatal(err)
		}
		since := (<-began).Add(2 * time.Second)
		if end != nil {
			since = time.Now()
			if _, err := c.Do(t.Context(), end); err != nil {
				t.Fatal(err)
			}
		}
		if cause := <-told; !errors.Is(cause, executor.ErrCancelled) {
			t.Errorf("%s: the context ended because of %v", key, cause)
		}
		took := time.Since(since)
		t.Logf("%s: told after %s", key, took)
		if took > time.Second {
			t.Errorf("%s: it took %s", key, took)
		}
	}
}

const approval = `leat: v1
type: approval
version: 1
initial: working
states:
  working: {invoke: {task: jobs.work, onDone: done, onError: failed}}
  done: {type: final}
  failed: {type: final, outcome: failed}
`

// An attempt waits for a day, asks, and goes on with the answer: as the same
// attempt, under the same key, without a slot.
func TestAnAttemptGoesOnLater(t *testing.T) {
	leattest.Virtual(t, func(t *testing.T, env *leattest.Env) {
		var keys []string
		env.Handle("jobs.work", func(ctx context.Context, task executor.Task) (executor.Result, error) {
			keys = append(keys, task.IdempotencyKey)
			var step int
			if _, err := executor.Continuation(ctx, &step); err != nil {
				return nil, err
			}
			switch {
			case task.Attempt != 1:
				return nil, executor.Fail("ATTEMPT", "it is another attempt", false)
			case step == 0:
				return nil, executor.Continue(1, 24*time.Hour)
			case step == 1:
				return nil, executor.Ask(2, executor.Question{ID: "sure", Message: "Really?", Assignee: "ann"})
			}
			return executor.Answers(ctx), nil
		})
		env.DeploySource(approval)
		c := env.Client()
		began := time.Now()
		if _, err := c.Start(t.Context(), client.StartRequest{Type: "approval", Key: "a"}); err != nil {
			t.Fatal(err)
		}
		i := waitForQuestion(t, c)
		if took := time.Since(began); took < 24*time.Hour {
			t.Errorf("it asked after %s", took)
		}
		for _, s := range i.Chart.Tasks {
			if s.AskedBy.IsNil() {
				continue
			}
			if _, err := c.Do(t.Context(), client.TaskRequest{Type: "approval", Key: "a", TaskID: s.TaskID, Attempt: 1, By: "ann", Result: true}); err != nil {
				t.Fatal(err)
			}
		}
		if i := env.WaitFinished("approval", "a"); i.State != events.WorkflowCompleted {
			t.Errorf("it is %s", i.State)
		}
		history, err := c.History(t.Context(), "approval", "a", client.HistoryRequest{})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range history {
			if e.EventType == events.EventTaskCompleted && e.Data["invocation"].Str() == "working" && !events.SameJSON(e.Payload, json.RawMessage(`[{"id":"sure","result":true,"by":"ann"}]`)) {
				t.Errorf("it went on with %s", e.Payload)
			}
		}
		if len(keys) != 3 || keys[0] != keys[2] {
			t.Errorf("it ran under %q", keys)
		}
	})
}

func waitForQuestion(t *testing.T, c *client.Client) client.Instance {
	t.Helper()
	for {
		i, err := c.Get(t.Context(), "approval", "a", client.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range i.Chart.Tasks {
			if s.State == events.TaskWaitingForInput {
				return i
			}
		}
		wait := time.NewTimer(time.Hour) // of virtual time
		<-wait.C
	}
}
