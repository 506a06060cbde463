package mcp_test

import (
	"context"
	"testing"
	"time"

	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
)

// A replica that stops answers what waits as tasks, where it may, and cancels nothing
// that it lets go of.
func TestAReplicaStops(t *testing.T) {
	e := start(t)
	e.deploy(`{leat: v1, type: patient, version: 1, tool: {description: Waits., wait: 1m}, initial: a, states: {a: {after: {1h: b}}, b: {type: final}}}`)
	r := e.replica(nil)
	c := at(t, r.Handler(nil))
	plain := c.with(func(c *caller) { c.capabilities = map[string]any{} })
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	answered, left := make(chan *reply, 1), make(chan error, 1)
	go func() {
		got, _ := c.post(t.Context(), "tools/call", map[string]any{"name": "patient"})
		answered <- got
	}()
	go func() {
		_, err := plain.post(ctx, "tools/call", map[string]any{"name": "patient"})
		left <- err
	}()
	states := func() (all []events.WorkflowState) {
		page, err := e.client.List(t.Context(), client.ListRequest{Type: "patient"})
		if err != nil {
			t.Fatal(err)
		}
		for i := range page.Items {
			all = append(all, page.Items[i].State)
		}
		return all
	}
	until(t, func() bool { return len(states()) == 2 })
	r.offered.Stop()
	select {
	case got := <-answered:
		if got == nil || len(got.Result) == 0 {
			t.Errorf("got %+v", got)
		}
	case <-time.After(patience):
		t.Fatal("it is not answered")
	}
	leave()
	<-left
	for range 10 { // there is nothing to wait for: a cancellation would come at once
		<-time.After(50 * time.Millisecond)
	}
	for _, s := range states() {
		if s != events.WorkflowRunning {
			t.Errorf("it is %s", s)
		}
	}
}
