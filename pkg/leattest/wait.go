package leattest

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/leat-io/leat/pkg/client"
)

// WaitState waits until the state is active in the instance with this key, or id as
// id:UUID, and gives the instance. In virtual time the clock goes on meanwhile, as
// far as it takes. The test ends when the instance has finished elsewhere, or, in
// real time, after 30 seconds.
func (e *Env) WaitState(workflowType, key, state string) client.Instance {
	e.t.Helper()
	return e.wait(workflowType, key, "in state "+state, func(i *client.Instance) bool { return slices.Contains(i.Chart.Active, state) })
}

// WaitFinished is [Env.WaitState] for the end of the instance, however it ends.
func (e *Env) WaitFinished(workflowType, key string) client.Instance {
	e.t.Helper()
	return e.wait(workflowType, key, "finished", func(i *client.Instance) bool { return i.State.Finished() })
}

// wait checks the instance after each of its events.
func (e *Env) wait(workflowType, key, what string, ok func(*client.Instance) bool) client.Instance {
	e.t.Helper()
	e.work()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if e.network == nil {
		ctx, cancel = context.WithTimeout(ctx, patience)
		defer cancel()
	}
	began := time.Now()
	var last client.Instance
	for event, err := range e.client.Follow(ctx, workflowType, key, 1) {
		if err == nil && event.SequenceNumber > last.SequenceNumber {
			last, err = e.client.Get(ctx, workflowType, key, client.GetOptions{MinSequence: event.SequenceNumber})
		}
		switch {
		case errors.Is(err, client.ErrTimeout):
			e.t.Fatalf("leattest: %s %s is not %s after %s: %s", workflowType, key, what, time.Since(began).Round(time.Millisecond), standing(&last))
		case err != nil:
			e.t.Fatalf("leattest: wait for %s %s: %v", workflowType, key, err)
		case ok(&last):
			return last
		case last.Incident != nil:
			e.t.Fatalf("leattest: %s %s is not %s and waits for an operator: %s", workflowType, key, what, standing(&last))
		}
	}
	e.t.Fatalf("leattest: %s %s will never be %s: %s", workflowType, key, what, standing(&last))
	return last
}
