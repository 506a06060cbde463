package router_test

import (
	"fmt"
	"testing"

	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/router"
	"github.com/leat-io/leat/pkg/events"
)

// Instances that write nothing unless somebody speaks to them.
const silent = `
leat: v1
type: order
version: 1
data: {n: {type: long, default: 0}}
initial: open
states:
  open: {on: {more: {assign: {n: data.n + 1}}}}
`

// TestStatesThatAreGoneAreWrittenBack deletes the topic that holds what is known
// of every instance: under a router, or while none runs. Another router, which
// has nothing but the topic, finds every instance afterwards.
func TestStatesThatAreGoneAreWrittenBack(t *testing.T) {
	t.Parallel()
	const n = 20
	for _, c := range []struct {
		name    string
		running bool
	}{{"under a router", true}, {"while none runs", false}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, silent)
			dir := t.TempDir()
			first := func(r *router.Config) { r.Dir = dir }
			stop := w.routerWith("r1", first)
			for i := range n {
				w.start(fmt.Sprint("k", i))
			}
			w.history(2 * n)
			if !c.running {
				stop()
			}
			w.remove(w.names.State("order"))
			if !c.running {
				stop = w.routerWith("r1", first)
			}
			w.more(0, n/2) // the others say nothing meanwhile
			w.history(2*n + n/2)
			stop()
			w.router("r2")
			w.more(n/2, n)
			w.history(3 * n)
		})
	}
}

// more says something that instances record.
func (w *world) more(from, to int) {
	w.t.Helper()
	var all []*kafka.Record
	for i := from; i < to; i++ {
		key := fmt.Sprint("k", i)
		value := fmt.Appendf(nil, `{"command":"signal","type":"order","key":%q,"event":"more"}`, key)
		all = append(all, kafka.NewRecord(w.names.Commands("order"), []byte(events.InstanceIDForKey("order", key).String()), value))
	}
	w.send(all...)
}
