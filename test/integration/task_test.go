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
	"github.com/leat-io/leat/test/audit"
)

const slow = `
leat: v1
type: slow
version: 1
initial: working
states:
  working:
    invoke:
      task: slow.work
      timeout: {startToClose: 50s, heartbeat: 2s}
      retry: {policy: fixed, initial: 20ms, maxAttempts: 5}
      onDone: resting
      onError: failed
  resting:
    on: {go: done}
  done: {type: final}
  failed: {type: final, outcome: failed}
`

// claimed waits until the first attempt of the task is running somewhere.
func (w *world) claimed() {
	w.Helper()
	const want = "task.started working/1"
	w.until(func() error {
		list, err := w.direct.History(w.ctx, "slow", "1", client.HistoryRequest{})
		if short := kinds(list); err != nil || !slices.Contains(short, want) {
			return fmt.Errorf("no %s in %v (%w)", want, short, err)
		}
		return nil
	})
}

// rest waits until the slow task is done.
func (w *world) rest(key string) {
	w.Helper()
	w.until(func() error {
		s, err := w.direct.Get(w.ctx, "slow", key, client.GetOptions{})
		if err != nil || !slices.Contains(s.Chart.Active, "resting") {
			return fmt.Errorf("is in %v: %w", s.Chart.Active, err)
		}
		return nil
	})
}

func TestASlowTaskIsClaimedAndKeptAliveByHeartbeats(t *testing.T) {
	each(t, func(w *world) {
		w.deploy(slow)
		w.router("r1")
		w.executor(map[string]executor.Handler{"slow.work": func(ctx context.Context, _ executor.Task) (executor.Result, error) {
			long := time.NewTimer(5 * time.Second) // more than two heartbeat timeouts
			defer long.Stop()
			select {
			case <-long.C:
				return nil, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}}, func(c *executor.Config) { c.NodeID = "tortoise" })
		w.do(client.StartRequest{Type: "slow", Key: "1"})
		w.claimed()
		s, err := w.direct.Get(w.ctx, "slow", "1", client.GetOptions{})
		if err != nil || len(s.Chart.Tasks) != 1 || s.Chart.Tasks[0].State != events.TaskRunning || s.Chart.Tasks[0].NodeID != "tortoise" {
			w.Errorf("got %+v, %v", s.Chart.Tasks, err)
		}
		w.rest("1")
		w.do(client.SignalRequest{Type: "slow", Key: "1", Event: "go"})
		w.end("slow", "1")
		if short := kinds(w.history("slow", "1")); slices.Contains(short, "task.retry working/1") {
			w.Errorf("the task was tried again although it gave signs of life: %v", short)
		}
		b := w.audit(finished(1))
		beats := 0
		for i := range b.Commands {
			if b.Commands[i].Command.Command == events.CommandHeartbeat {
				beats++
			}
		}
		if beats == 0 {
			w.Error("there was no heartbeat")
		}
	})
}

// An executor that is stopped in order gives its task back.
func TestATaskSurvivesTheStopOfItsExecutor(t *testing.T) {
	each(t, func(w *world) {
		w.deploy(slow)
		w.router("r1")
		first := w.executor(map[string]executor.Handler{"slow.work": func(ctx context.Context, _ executor.Task) (executor.Result, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}, func(c *executor.Config) { c.DrainTimeout = time.Millisecond })
		w.do(client.StartRequest{Type: "slow", Key: "1"})
		w.claimed()
		ran := make(chan int32, 10)
		first.stop()
		w.executor(map[string]executor.Handler{"slow.work": func(_ context.Context, t executor.Task) (executor.Result, error) {
			ran <- t.Attempt
			return nil, nil
		}})
		w.rest("1")
		w.do(client.SignalRequest{Type: "slow", Key: "1", Event: "go"})
		w.end("slow", "1")
		if n := len(ran); n != 1 {
			w.Errorf("it ran %d more times", n)
		}
		if attempt := <-ran; attempt != 2 {
			w.Errorf("it ran again as attempt %d", attempt)
		}
		w.audit(finished(1))
	})
}

// An executor that nobody hears of any more loses its task to another one. What
// it says later counts for nothing.
func TestALateResultIsIgnored(t *testing.T) {
	each(t, func(w *world) {
		w.deploy(slow)
		w.router("r1")
		release := make(chan struct{})
		line := &wire{}
		config := w.kafka
		config.Dial = line.dial
		first, err := internal.New(internal.Config{Kafka: config, Names: w.names, NodeID: "first", Logger: w.logger})
		if err != nil {
			w.Fatal(err)
		}
		if err := first.Handle("slow.work", func(ctx context.Context, _ *events.Task) (json.RawMessage, error) {
			select {
			case <-release:
				return json.RawMessage(`"late"`), nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}); err != nil {
			w.Fatal(err)
		}
		w.run(line, first.Run)
		w.do(client.StartRequest{Type: "slow", Key: "1"})
		w.claimed()
		line.cut()
		w.executor(map[string]executor.Handler{"slow.work": succeed("in time")}, func(c *executor.Config) { c.NodeID = "second" })
		w.rest("1")
		line.mend()
		close(release)
		b := w.audit(func(b *audit.Books) error {
			for _, outcomes := range b.Outcomes {
				if outcomes[0].Status == events.OutcomeIgnored {
					return nil
				}
			}
			return errors.New("the late result is not there yet")
		})
		for _, list := range b.Outcomes {
			w.Logf("the outcome: %s %v", list[0].Status, list[0].Error)
		}
		w.do(client.SignalRequest{Type: "slow", Key: "1", Event: "go"})
		w.end("slow", "1")
		for _, e := range w.history("slow", "1") {
			if e.EventType == events.EventTaskCompleted && (string(e.Payload) != `"in time"` || e.Data["attempt"].Int() < 2) {
				w.Errorf("the result of attempt %d is %s", e.Data["attempt"].Int(), e.Payload)
			}
		}
		w.audit(finished(1))
	})
}

const once = `
leat: v1
type: slow
version: 1
initial: working
states:
  working:
    invoke:
      task: slow.work
      delivery: at_most_once
      timeout: {heartbeat: 2s}
      retry: {policy: fixed, initial: 20ms, maxAttempts: 5}
      onDone: done
      onError: [{guard: "event.data.code == 'HEARTBEAT_TIMEOUT' && !event.data.retryable", target: unknown}, {target: done}]
  done: {type: final}
  unknown: {type: final, outcome: failed}
`

// What may run at most once is not run again when its executor is lost, whatever
// its retry policy says: nobody knows how far it came.
func TestALostAttemptOfWhatMayRunOnceIsAFailure(t *testing.T) {
	each(t, func(w *world) {
		w.deploy(once)
		w.router("r1")
		runs := make(chan string, 10)
		line := &wire{}
		config := w.kafka
		config.Dial = line.dial
		first, err := internal.New(internal.Config{Kafka: config, Names: w.names, DrainTimeout: time.Millisecond, Logger: w.logger})
		if err != nil {
			w.Fatal(err)
		}
		if err := first.Handle("slow.work", func(ctx context.Context, _ *events.Task) (json.RawMessage, error) {
			runs <- "first"
			<-ctx.Done()
			return nil, ctx.Err()
		}); err != nil {
			w.Fatal(err)
		}
		lost := w.run(line, first.Run)
		w.do(client.StartRequest{Type: "slow", Key: "1"})
		w.claimed()
		lost.kill()
		w.executor(map[string]executor.Handler{"slow.work": func(context.Context, executor.Task) (executor.Result, error) {
			runs <- "second"
			return nil, nil
		}})
		if i := w.end("slow", "1"); i.State != events.WorkflowFailed || !slices.Contains(i.Chart.Active, "unknown") {
			w.Errorf("it is %s in %v", i.State, i.Chart.Active)
		}
		w.audit(finished(1))
		if node := <-runs; node != "first" || len(runs) > 0 {
			w.Errorf("it ran on %s and %d more times", node, len(runs))
		}
	})
}
