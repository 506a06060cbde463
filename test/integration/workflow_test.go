package integration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/executor"
	"github.com/leat-io/leat/test/audit"
)

const order = `
leat: v1
type: order
version: 1
input: {type: object, required: [sku], properties: {sku: {type: string}}}
data: {charge: {type: string}}
initial: charging
states:
  charging:
    invoke:
      task: pay.charge
      input: "{'sku': input.sku}"
      timeout: 20s
      retry: {policy: fixed, initial: 20ms, maxAttempts: 3, nonRetryable: [DECLINED]}
      onDone: {target: packing, assign: {charge: event.data.id}}
      onError:
        - {guard: "event.data.code == 'DECLINED'", target: declined}
        - {target: failed}
  packing:
    invoke: {task: pay.pack, timeout: 20s, onDone: shipping, onError: failed}
  shipping:
    invoke: {task: pay.ship, timeout: 20s, onDone: done, onError: failed}
  done: {type: final, output: {charge: data.charge}}
  declined: {type: final, outcome: failed, error: {code: DECLINED, message: "'the card was declined'"}}
  failed: {type: final, outcome: failed}
`

func succeed(result executor.Result) executor.Handler {
	return func(context.Context, executor.Task) (executor.Result, error) { return result, nil }
}

func TestThreeStepsFollowOneAnother(t *testing.T) {
	each(t, func(w *world) {
		w.deploy(order)
		w.router("r1")
		var got atomic.Value
		w.executor(map[string]executor.Handler{
			"pay.charge": func(_ context.Context, t executor.Task) (executor.Result, error) {
				got.Store(string(t.Input))
				return map[string]string{"id": "ch-1"}, nil
			},
			"pay.pack": succeed(nil), "pay.ship": succeed("on its way"),
		})
		w.do(client.StartRequest{Type: "order", Key: "a/ä 1", Input: json.RawMessage(`{"sku":"x-7"}`)})
		i := w.end("order", "a/ä 1")
		if i.State != events.WorkflowCompleted || string(i.Output) != `{"charge":"ch-1"}` || !slices.Equal(i.Chart.Active, []string{"done"}) {
			w.Errorf("got %s %s %v", i.State, i.Output, i.Chart.Active)
		}
		if got.Load() != `{"sku":"x-7"}` {
			w.Errorf("the task's input was %v", got.Load())
		}
		want := []string{
			"workflow.created", "workflow.started", "task.scheduled charging/1",
			"task.completed charging/1", "state.transitioned", "task.scheduled packing/1",
			"task.completed packing/1", "state.transitioned", "task.scheduled shipping/1",
			"task.completed shipping/1", "state.transitioned", "workflow.completed",
		}
		if diff := cmp.Diff(want, withoutClaims(kinds(w.history("order", "a/ä 1")))); diff != "" {
			w.Errorf("history (-want +got):\n%s", diff)
		}
		w.audit(finished(1))
	})
}

// withoutClaims leaves out that a task was claimed: a fast one need not be.
func withoutClaims(short []string) []string {
	return slices.DeleteFunc(short, func(s string) bool { return strings.HasPrefix(s, "task.started") })
}

func TestFailedAttemptsAreRetriedUntilOneSucceeds(t *testing.T) {
	each(t, func(w *world) {
		w.deploy(order)
		w.router("r1")
		var keys sync.Map
		w.executor(map[string]executor.Handler{
			"pay.charge": func(_ context.Context, t executor.Task) (executor.Result, error) {
				keys.Store(t.IdempotencyKey, true)
				switch t.Attempt {
				case 1:
					return nil, errors.New("the bank is away")
				case 2:
					panic("a bug")
				}
				return map[string]string{"id": "third"}, nil
			},
			"pay.pack": succeed(nil), "pay.ship": succeed(nil),
		})
		w.do(client.StartRequest{Type: "order", Key: "1", Input: json.RawMessage(`{"sku":"x"}`)})
		if i := w.end("order", "1"); string(i.Output) != `{"charge":"third"}` {
			w.Errorf("got %s %s", i.State, i.Output)
		}
		var codes []string
		for _, e := range w.history("order", "1") {
			if e.EventType == events.EventTaskRetry {
				codes = append(codes, audit.Text(&e, "error_code"))
			}
		}
		if diff := cmp.Diff([]string{"TASK_FAILED", "PANIC"}, codes); diff != "" {
			w.Errorf("codes (-want +got):\n%s", diff)
		}
		n := 0
		keys.Range(func(any, any) bool { n++; return true })
		if n != 1 {
			w.Errorf("the three attempts had %d idempotency keys, want one", n)
		}
		w.audit(finished(1))
	})
}

func TestAFailureForGoodTakesOnError(t *testing.T) {
	each(t, func(w *world) {
		w.deploy(order)
		w.router("r1")
		var runs atomic.Int32
		w.executor(map[string]executor.Handler{
			"pay.charge": func(_ context.Context, t executor.Task) (executor.Result, error) {
				if t.InstanceKey == "declined" {
					runs.Add(1)
					return nil, executor.Fail("DECLINED", "no money", true)
				}
				return nil, errors.New("never")
			},
			"pay.pack": succeed(nil), "pay.ship": succeed(nil),
		})
		for _, key := range []string{"declined", "exhausted"} {
			w.do(client.StartRequest{Type: "order", Key: key, Input: json.RawMessage(`{"sku":"x"}`)})
		}
		i := w.end("order", "declined")
		if i.State != events.WorkflowFailed || i.Error == nil || i.Error.Code != "DECLINED" || runs.Load() != 1 {
			w.Errorf("got %s %+v after %d runs", i.State, i.Error, runs.Load())
		}
		if i = w.end("order", "exhausted"); i.State != events.WorkflowFailed || !slices.Equal(i.Chart.Active, []string{"failed"}) {
			w.Errorf("got %s %v", i.State, i.Chart.Active)
		}
		retries := 0
		for _, k := range kinds(w.history("order", "exhausted")) {
			if strings.HasPrefix(k, "task.retry") {
				retries++
			}
		}
		if retries != 2 {
			w.Errorf("%d retries, want 2 of 3 attempts", retries)
		}
		w.audit(finished(2))
	})
}

const graph = `
leat: v1
type: parcel
version: 1
initial: packing
states:
  packing:
    tasks:
      label: {task: desk.label, timeout: 20s}
      pick:  {task: hall.pick, timeout: 20s}
      ship:  {task: desk.ship, timeout: 20s, needs: [label, {task: pick, type: hard}], input: "{'no': results.label.no}"}
      mail:  {task: desk.mail, timeout: 20s, needs: [{task: ship, type: conditional, condition: "results.ship.tracked"}]}
      log:   {task: hall.log, timeout: 20s, needs: [{task: mail, type: soft}]}
    onDone: done
    onError: failed
  done: {type: final}
  failed: {type: final, outcome: failed}
`

func TestTasksWaitForTheirNeeds(t *testing.T) {
	each(t, func(w *world) {
		w.deploy(graph)
		w.router("r1")
		var mu sync.Mutex
		ran := make(map[string][]string) // by key, in the order of the ends
		handler := func(result func(executor.Task) executor.Result) executor.Handler {
			return func(_ context.Context, t executor.Task) (executor.Result, error) {
				mu.Lock()
				defer mu.Unlock()
				ran[t.InstanceKey] = append(ran[t.InstanceKey], t.Invocation)
				return result(t), nil
			}
		}
		nothing := handler(func(executor.Task) executor.Result { return nil })
		w.executor(map[string]executor.Handler{
			"desk.label": handler(func(executor.Task) executor.Result { return map[string]int{"no": 7} }),
			"desk.ship": handler(func(t executor.Task) executor.Result {
				return map[string]bool{"tracked": t.InstanceKey == "tracked" && string(t.Input) == `{"no":7}`}
			}),
			"desk.mail": nothing,
		}, func(c *executor.Config) { c.NodeID = "desk" })
		w.executor(map[string]executor.Handler{"hall.*": nothing}, func(c *executor.Config) { c.NodeID = "hall" })
		for key, want := range map[string][]string{
			"tracked": {"label", "log", "mail", "pick", "ship"}, "plain": {"label", "log", "pick", "ship"},
		} {
			w.do(client.StartRequest{Type: "parcel", Key: key})
			if i := w.end("parcel", key); i.State != events.WorkflowCompleted {
				w.Errorf("%s: %s %v", key, i.State, i.Error)
			}
			mu.Lock()
			got := slices.Clone(ran[key])
			mu.Unlock()
			for _, pair := range [][2]string{{"label", "ship"}, {"pick", "ship"}, {"ship", "mail"}, {"mail", "log"}, {"ship", "log"}} {
				if a, b := slices.Index(got, pair[0]), slices.Index(got, pair[1]); a >= 0 && b >= 0 && a > b {
					w.Errorf("%s: %s ran before %s: %v", key, pair[1], pair[0], got)
				}
			}
			slices.Sort(got)
			if diff := cmp.Diff(want, got); diff != "" {
				w.Errorf("%s ran (-want +got):\n%s", key, diff)
			}
		}
		if short := kinds(w.history("parcel", "plain")); !slices.Contains(short, "task.skipped mail/0") {
			w.Errorf("mail was not skipped: %v", short)
		}
		w.audit(finished(2))
	})
}

const race = `
leat: v1
type: race
version: 1
initial: running
states:
  running:
    on: {signal: by_signal}
    after: {300ms: by_timer}
  by_signal: {type: final}
  by_timer: {type: final}
`

// A signal and a timer that come at the same time: one of them wins, whichever,
// and the other one changes nothing.
func TestSignalAndTimerRace(t *testing.T) {
	each(t, func(w *world) {
		w.deploy(race)
		w.router("r1")
		const n = 40
		var all sync.WaitGroup
		for i := range n {
			all.Go(func() {
				key := fmt.Sprint("k", i)
				if _, err := w.direct.Do(w.ctx, client.StartRequest{Type: "race", Key: key}); err != nil {
					w.Error(err)
					return
				}
				pause := time.NewTimer(time.Duration(i) * 12 * time.Millisecond)
				defer pause.Stop()
				<-pause.C
				d, err := w.direct.Do(w.ctx, client.SignalRequest{Type: "race", Key: key, Event: "signal"})
				if err != nil && !errors.Is(err, client.ErrRejected) {
					w.Error(err)
					return
				}
				s, err2 := w.direct.WaitFinished(w.ctx, "race", key)
				want := "by_timer"
				if err == nil {
					want = "by_signal"
				}
				if err2 != nil || !slices.Equal(s.Chart.Active, []string{want}) {
					w.Errorf("%s: the signal led to %+v %v, and the end is %v (%v)", key, d.Outcome, err, s.Chart.Active, err2)
				}
			})
		}
		all.Wait()
		won := map[string]int{}
		for _, states := range w.audit(finished(n)).States {
			won[states[len(states)-1].Chart.Active[0]]++
		}
		w.Logf("won: %v", won)
		if won["by_signal"]+won["by_timer"] != n {
			w.Errorf("won: %v, want %d", won, n)
		}
	})
}
