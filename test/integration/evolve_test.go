package integration

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
)

// A live population is moved to another version while signals come in: nothing is
// lost or done twice, every history replays, and all end under the new version.
func TestInstancesAreMigratedUnderLoad(t *testing.T) {
	each(t, func(w *world) {
		const n = 200
		w.deploy(door)
		w.router("r1")
		key := func(i int) string { return fmt.Sprint("k", i) }
		var starts sync.WaitGroup
		for i := range n {
			starts.Go(func() { w.do(client.StartRequest{Type: "door", Key: key(i)}) })
		}
		starts.Wait()
		two := strings.ReplaceAll(strings.Replace(door, "version: 1", "version: 2", 1), "open", "ajar")
		w.deploy(two)
		var load sync.WaitGroup
		for i := range n {
			load.Go(func() { w.do(client.SignalRequest{Type: "door", Key: key(i), Event: "knock"}) })
			load.Go(func() {
				w.do(client.MigrateRequest{Type: "door", Key: key(i), Version: 2, States: map[string]string{"open": "ajar"}})
			})
		}
		load.Wait()
		for i := range n {
			load.Go(func() { w.do(client.SignalRequest{Type: "door", Key: key(i), Event: "shut"}) })
		}
		load.Wait()
		b := w.audit(finished(n))
		for id, states := range b.States {
			if s := states[len(states)-1]; s.Version != 2 || s.Chart.Data["n"].Int() != 1 {
				w.Errorf("%s ended under version %d with %v", id, s.Version, s.Chart.Data)
			}
		}
	})
}

// A finished instance goes on from an earlier sequence, and its history replays.
func TestAnInstanceIsReset(t *testing.T) {
	each(t, func(w *world) {
		w.deploy(door)
		w.router("r1")
		w.do(client.StartRequest{Type: "door", Key: "k"})
		w.do(client.SignalRequest{Type: "door", Key: "k", Event: "knock"})
		w.do(client.SignalRequest{Type: "door", Key: "k", Event: "shut"})
		w.end("door", "k")
		r := client.ResetRequest{Type: "door", Key: "k", To: 2, History: w.history("door", "k"), Reason: "shut too early"}
		if d := w.do(r); len(d.Events) == 0 || d.Events[0].EventType != events.EventWorkflowRetrying {
			w.Fatalf("got %+v", d)
		}
		w.do(client.SignalRequest{Type: "door", Key: "k", Event: "shut"})
		if s := w.end("door", "k"); s.Chart.Data["n"].Int() != 0 {
			w.Errorf("the knock after the reset's sequence still counts: %v", s.Chart.Data)
		}
		w.audit(finished(1))
	})
}
