package integration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/executor"
)

// Instances that are paused while they work hold what comes, and go on where
// they were: nothing is lost, reordered or done twice.
func TestInstancesArePausedUnderLoad(t *testing.T) {
	each(t, func(w *world) {
		w.deploy(order)
		w.router("r1")
		w.executor(map[string]executor.Handler{
			"pay.charge": succeed(map[string]string{"id": "c"}), "pay.pack": succeed(nil), "pay.ship": succeed(nil),
		})
		const n = 12
		key := func(i int) string { return fmt.Sprintf("k%d", i) }
		for i := range n {
			if _, err := w.direct.Send(w.ctx, client.StartRequest{Type: "order", Key: key(i), Input: json.RawMessage(`{"sku":"x"}`)}); err != nil {
				w.Fatal(err)
			}
		}
		paused := 0
		for i := range n {
			d, err := w.direct.Do(w.ctx, client.LifeRequest{Type: "order", Key: key(i), Command: events.CommandPause, Reason: "a test"})
			switch {
			case err == nil && len(d.Events) > 0 && d.Events[0].EventType == events.EventWorkflowPaused:
				paused++
			case errors.Is(err, client.ErrRejected) && strings.Contains(err.Error(), "ILLEGAL_TRANSITION"): // it had finished
			default:
				w.Fatalf("pause: %v, %+v", err, d.Outcome)
			}
		}
		for i := range n {
			_, err := w.direct.Do(w.ctx, client.LifeRequest{Type: "order", Key: key(i), Command: events.CommandResume})
			if err != nil && !errors.Is(err, client.ErrRejected) {
				w.Fatal(err)
			}
		}
		for i := range n {
			if s := w.end("order", key(i)); s.State != events.WorkflowCompleted {
				w.Errorf("%s is %s", key(i), s.State)
			}
		}
		w.audit(finished(n))
		entries, err := w.direct.Audit(w.ctx, client.AuditRequest{Type: "order"})
		if err != nil || len(entries) != 2*n {
			w.Fatalf("%d entries in the audit, want %d; %v", len(entries), 2*n, err)
		}
		accepted := 0
		for _, e := range entries {
			if e.Action == "pause" && e.Outcome == events.AuditAccepted {
				accepted++
			}
		}
		if accepted != paused {
			w.Errorf("%d pauses in the audit, %d were accepted", accepted, paused)
		}
	})
}

const saga = `
leat: v1
type: saga
version: 1
compensation: {on: [failed, cancelled]}
initial: charging
states:
  charging:
    invoke: {task: pay.charge, timeout: 20s, compensate: {task: pay.refund, timeout: 20s}, onDone: waiting, onError: failed}
  waiting:
    on: {go: done, fail: failed}
  done: {type: final}
  failed: {type: final, outcome: failed}
`

// A cancelled instance undoes what it did. An undo that fails waits for a person,
// whose retry goes on with it.
func TestACancelledInstanceIsUndone(t *testing.T) {
	each(t, func(w *world) {
		w.deploy(saga)
		w.router("r1")
		var broken atomic.Bool
		broken.Store(true)
		w.executor(map[string]executor.Handler{
			"pay.charge": succeed(nil),
			"pay.refund": func(context.Context, executor.Task) (executor.Result, error) {
				if broken.Load() {
					return nil, errors.New("the bank is away")
				}
				return nil, nil
			},
		})
		w.do(client.StartRequest{Type: "saga", Key: "s"})
		w.stands("saga", "s", func(s client.Instance) bool { return slices.Contains(s.Chart.Active, "waiting") })
		w.do(client.LifeRequest{Type: "saga", Key: "s", Command: events.CommandCancel, Reason: "ordered twice"})
		w.stands("saga", "s", func(s client.Instance) bool { return s.Incident != nil && s.Incident.Code == "COMPENSATION_FAILED" })
		broken.Store(false)
		w.do(client.LifeRequest{Type: "saga", Key: "s", Command: events.CommandRetry})
		if s := w.end("saga", "s"); s.State != events.WorkflowCompensated || s.Error == nil || !strings.Contains(s.Error.Message, "ordered twice") {
			w.Errorf("it is %s: %v", s.State, s.Error)
		}

		// One that is terminated is not undone, and can be taken back from its end.
		w.do(client.StartRequest{Type: "saga", Key: "t"})
		w.stands("saga", "t", func(s client.Instance) bool { return slices.Contains(s.Chart.Active, "waiting") })
		w.do(client.LifeRequest{Type: "saga", Key: "t", Command: events.CommandTerminate})
		if s := w.end("saga", "t"); s.State != events.WorkflowCancelled {
			w.Errorf("it is %s", s.State)
		}
		w.do(client.LifeRequest{Type: "saga", Key: "t", Command: events.CommandRetry})
		w.do(client.SignalRequest{Type: "saga", Key: "t", Event: "go"})
		if s := w.end("saga", "t"); s.State != events.WorkflowCompleted {
			w.Errorf("it is %s", s.State)
		}
		w.audit(finished(2))
	})
}

// stands waits until an instance stands as it should.
func (w *world) stands(workflowType, key string, as func(client.Instance) bool) {
	w.Helper()
	w.until(func() error {
		s, err := w.direct.Get(w.ctx, workflowType, key, client.GetOptions{})
		if err == nil && !as(s) {
			err = fmt.Errorf("%s is %s in %v", key, s.State, s.Chart.Active)
		}
		return err
	})
}
