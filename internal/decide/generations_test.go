package decide

import (
	"slices"
	"testing"

	"github.com/leat-io/leat/pkg/events"
)

// TestFiftyGenerations says that a child's chain is its parent's, with the event
// that asked for the child at its end, down to the fiftieth, and that the
// correlation is the same for all.
func TestFiftyGenerations(t *testing.T) {
	machine := parse(t, `
leat: v1
type: tree
version: 1
states:
  down: {invoke: {id: next, workflow: {type: tree}, onDone: ok, onError: ok}}
  ok: {type: final}
`)
	c := events.Command{Command: events.CommandStart, WorkflowType: "tree", Key: "root"}
	c.Resolve(events.DeriveUUID(events.Namespace, "root"))
	var chain []events.UUID
	correlation := c.CommandID
	for generation := range int32(51) {
		d, err := Decide(Input{Command: &c, Explicit: true, Machine: machine, Now: epoch, Source: "r"}, nil)
		if err != nil || len(d.Events) != 3 || len(d.Sends) != 1 {
			t.Fatalf("generation %d: %+v, %v", generation, d, err)
		}
		created, asked := &d.Events[0], &d.Events[2]
		if !slices.Equal(created.CorrelationChain, chain) || created.CorrelationID != correlation {
			t.Fatalf("generation %d begins with chain %v of %s, want %v of %s", generation, created.CorrelationChain, created.CorrelationID, chain, correlation)
		}
		for i := range d.Events {
			if err := d.Events[i].Validate(); err != nil {
				t.Fatal(err)
			}
		}
		c = d.Sends[0]
		if c.Command != events.CommandStart || c.Parent.Generation != generation+1 || c.CausationID != asked.EventID {
			t.Fatalf("generation %d asks for %+v", generation, c)
		}
		chain = append(slices.Clone(asked.CorrelationChain), asked.EventID)
	}
	if len(chain) != 102 {
		t.Fatalf("the chain of the fifty-first has %d ids", len(chain))
	}
}
