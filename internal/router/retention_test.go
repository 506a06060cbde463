package router_test

import (
	"testing"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/pkg/events"
)

const brief = `leat: v1
type: order
version: 1
retention: 100ms
states:
  a: {always: b}
  b: {type: final, output: {of: instance.key}}
`

// What is left of an instance answers for it, also after a restore from the log:
// its key starts nothing anew, and its history stays as it is.
func TestForgottenInstancesAreNotBegunAnew(t *testing.T) {
	w := newWorld(t, brief)
	id := events.InstanceIDForKey("order", "k")
	stop := w.router("r1")
	w.say(id.String(), `{"command":"start","type":"order","key":"k"}`)
	var sizes []int
	var left events.Snapshot
	for _, r := range w.read(w.names.State("order"), 4) { // two snapshots, two checkpoints
		if string(r.Key) == events.CheckpointKey {
			continue
		}
		var err error
		if left, err = avro.DecodeSnapshot(r.Value); err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, len(r.Value))
	}
	before := w.history(3)[id]
	if len(sizes) != 2 || left.ForgottenAt.IsZero() || left.SequenceNumber != 3 || left.State != events.WorkflowCompleted || left.Output != nil {
		t.Fatalf("left is %+v, sizes %v", left, sizes)
	}
	if early := left.ForgottenAt.Sub(left.FinishedAt); early < 100e6 {
		t.Errorf("forgotten after %s", early)
	}
	stop()
	w.router("r2") // has nothing local: restores from the topic
	w.say(id.String(), `{"command":"start","type":"order","key":"k"}`)
	w.say(id.String(), `{"command":"signal","type":"order","key":"k","event":"x"}`)
	w.say(id.String(), `{"command":"start","type":"order","key":"other"}`) // a neighbour in the same partition or not
	outcomes := w.outcomes(2)
	if outcomes[0].Status != events.OutcomeDuplicate || outcomes[0].EventID != before[0].EventID ||
		outcomes[1].Status != events.OutcomeRejected || outcomes[1].Error.Code != "FORGOTTEN" {
		t.Errorf("got %+v", outcomes)
	}
	after := w.history(6)
	if len(after[id]) != 3 || len(after[events.InstanceIDForKey("order", "other")]) != 3 {
		t.Errorf("histories have %d and %d events", len(after[id]), len(after[events.InstanceIDForKey("order", "other")]))
	}
}
