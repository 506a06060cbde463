package leattest

import (
	"context"
	"time"

	"github.com/leat-io/leat/pkg/client"
)

const (
	// longest is how long nothing may happen in virtual time while a test waits.
	longest = 365 * 24 * time.Hour
	// longestCall is how long a handler may run in virtual time: while it does, the
	// executor says six times a minute that it lives.
	longestCall = 24 * time.Hour
	// lookEvery is how often that is checked.
	lookEvery = time.Hour
)

// bound ends the wait of a test for what will never be: it says what the test waits
// for, and closes the client. Call what it returns when the test has ended.
func (e *Env) bound() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			timer := time.NewTimer(lookEvery)
			select {
			case <-ctx.Done():
				timer.Stop()
				return
			case <-timer.C:
			}
			if e.isHopeless(ctx) {
				e.client.Close()
				return
			}
		}
	}()
	return func() { cancel(); <-ended }
}

// isHopeless says why, if it is.
func (e *Env) isHopeless(ctx context.Context) bool {
	if names := e.calls.since(longestCall); names != "" {
		e.t.Errorf("leattest: after %s of virtual time a handler has not returned: %s", after(longestCall), names)
		return true
	}
	if time.Since(e.network.Moved()) < longest || e.timersWait(ctx) {
		return false
	}
	e.t.Errorf("leattest: nothing has happened for %s of virtual time, and nothing will: no timer of an instance is set, and no handler runs", after(longest))
	return true
}

// timersWait reports whether an instance waits for a moment to come.
func (e *Env) timersWait(ctx context.Context) bool {
	for _, workflowType := range e.types {
		page, err := e.own.List(ctx, client.ListRequest{Type: workflowType, Limit: 1000})
		if err != nil {
			continue
		}
		for i := range page.Items {
			if !page.Items[i].State.Finished() && len(page.Items[i].Chart.Timers) > 0 {
				return true
			}
		}
	}
	return false
}
