package integration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	internal "github.com/leat-io/leat/internal/executor"
	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/executor"
)

// What its claim calls repeatable is made again when its executor is lost, though
// it is to run at most once.
func TestALostAttemptThatMayBeRepeatedIsMadeAgain(t *testing.T) {
	each(t, func(w *world) {
		w.deploy(once)
		w.router("r1")
		line := &wire{}
		config := w.kafka
		config.Dial = line.dial
		first, err := internal.New(internal.Config{Kafka: config, Names: w.names, DrainTimeout: time.Millisecond, Logger: w.logger})
		if err != nil {
			w.Fatal(err)
		}
		if err := first.Handle("slow.work", func(ctx context.Context, _ *events.Task) (json.RawMessage, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}); err != nil {
			w.Fatal(err)
		}
		if err := first.Before("slow.work", func(context.Context, *events.Task) (internal.Admission, error) {
			return internal.Admission{Repeatable: true}, nil
		}); err != nil {
			w.Fatal(err)
		}
		lost := w.run(line, first.Run)
		w.do(client.StartRequest{Type: "slow", Key: "1"})
		w.claimed()
		lost.kill()
		runs := make(chan int32, 10)
		w.executor(map[string]executor.Handler{"slow.work": func(_ context.Context, t executor.Task) (executor.Result, error) {
			runs <- t.Attempt
			return nil, nil
		}})
		if i := w.end("slow", "1"); i.State != events.WorkflowCompleted {
			w.Errorf("it is %s in %v", i.State, i.Chart.Active)
		}
		w.audit(finished(1))
		if n := len(runs); n != 1 {
			w.Fatalf("it ran %d more times", n)
		}
		if attempt := <-runs; attempt < 2 {
			w.Errorf("it ran again as attempt %d", attempt)
		}
	})
}

const patient = `
leat: v1
type: patient
version: 1
initial: working
states:
  working:
    invoke: {task: patient.work, onDone: done, onError: failed}
    on: {leave: left}
  done: {type: final}
  left: {type: final}
  failed: {type: final, outcome: failed}
`

// An attempt is put down for a time, then with a question, and ends with the
// answer: one attempt under one key, with a router that is lost while it is down.
func TestAnAttemptIsPutDownAndTakenUp(t *testing.T) {
	each(t, func(w *world) {
		w.deploy(patient)
		first, _ := w.router("r1")
		began := make(chan string, 10)
		w.executor(map[string]executor.Handler{"patient.work": func(ctx context.Context, t executor.Task) (executor.Result, error) {
			began <- fmt.Sprint(t.Attempt, " ", t.IdempotencyKey)
			var step int
			if _, err := executor.Continuation(ctx, &step); err != nil {
				return nil, err
			}
			switch step {
			case 0:
				return nil, executor.Continue(1, 3*time.Second)
			case 1:
				return nil, executor.Ask(2, executor.Question{ID: "sure", Message: "Really?"})
			}
			return executor.Answers(ctx), nil
		}})
		since := time.Now()
		w.do(client.StartRequest{Type: "patient", Key: "1"})
		w.waits("1", events.TaskScheduled)
		first.kill()
		w.router("r2")
		question := w.waits("1", events.TaskWaitingForInput)
		if took := time.Since(since); took < 3*time.Second {
			w.Errorf("it went on after %s", took)
		}
		w.do(client.TaskRequest{Type: "patient", Key: "1", TaskID: question.TaskID, Attempt: 1, By: "ann", Result: "yes"})
		if i := w.end("patient", "1"); i.State != events.WorkflowCompleted {
			w.Errorf("it is %s", i.State)
		}
		for _, e := range w.history("patient", "1") {
			if e.EventType == events.EventTaskCompleted && e.Data["invocation"].Str() == "working" &&
				!events.SameJSON(e.Payload, json.RawMessage(`[{"id":"sure","result":"yes","by":"ann"}]`)) {
				w.Errorf("it ended with %s", e.Payload)
			}
		}
		w.audit(finished(1))
		if len(began) != 3 {
			w.Fatalf("it ran %d times", len(began))
		}
		if a, b, c := <-began, <-began, <-began; a != b || b != c || a[:2] != "1 " {
			w.Errorf("it ran as %q, %q, %q", a, b, c)
		}
	})
}

// waits waits until a task of the instance is put down in a state, and gives the
// question of one that waits for answers.
func (w *world) waits(key string, state events.TaskState) (found events.TaskStatus) {
	w.Helper()
	w.until(func() error {
		i, err := w.direct.Get(w.ctx, "patient", key, client.GetOptions{})
		if err != nil {
			return err
		}
		at := slices.IndexFunc(i.Chart.Tasks, func(t events.TaskStatus) bool {
			return t.State == state && (!t.ResumeAt.IsZero() || !t.AskedBy.IsNil())
		})
		if at < 0 {
			return errors.New("it is not put down yet")
		}
		found = i.Chart.Tasks[at]
		return nil
	})
	return found
}

// A handler is told within a second that its state was left, by whichever router
// decides that: the one that issued the attempt is lost.
func TestAHandlerIsToldByAnotherRouter(t *testing.T) {
	each(t, func(w *world) {
		w.deploy(patient)
		first, _ := w.router("r1")
		began, told := make(chan bool, 1), make(chan time.Time, 1)
		w.executor(map[string]executor.Handler{"patient.work": func(ctx context.Context, _ executor.Task) (executor.Result, error) {
			began <- true
			<-ctx.Done()
			if !errors.Is(context.Cause(ctx), executor.ErrCancelled) {
				w.Errorf("the context ended because of %v", context.Cause(ctx))
			}
			told <- time.Now()
			return nil, ctx.Err()
		}})
		w.do(client.StartRequest{Type: "patient", Key: "1"})
		<-began
		first.kill()
		w.router("r2")
		d := w.do(client.SignalRequest{Type: "patient", Key: "1", Event: "leave"})
		history := w.history("patient", "1")
		i := slices.IndexFunc(history, func(e events.Event) bool { return e.SequenceNumber == d.Sequence() })
		if i < 0 {
			w.Fatalf("no event %d", d.Sequence())
		}
		took := (<-told).Sub(history[i].Timestamp)
		w.Logf("told %s after the decision", took)
		if took > time.Second {
			w.Errorf("it took %s", took)
		}
		w.audit(finished(1))
	})
}
