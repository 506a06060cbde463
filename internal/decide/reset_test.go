package decide

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/leat-io/leat/internal/facts"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

// A reset behind a migration goes on under the version of then: that version
// decides the signals that the run before held. One that was meant for where the
// instance stood then is a conflict.
func TestWhatWasHeldIsDecidedUnderTheVersionOfTheReset(t *testing.T) {
	const text = `
leat: v1
type: shop
version: 1
states:
  s1: {on: {pay: s2}}
  s2: {on: {ship: s3}}
  s3: {type: final}
`
	one := parse(t, text)
	two := parse(t, strings.Replace(strings.NewReplacer("s1", "t1", "s2", "t2", "s3", "t3").Replace(text), "version: 1", "version: 2", 1))
	machines := map[int32]*fsm.Machine{1: one, 2: two}
	var snap *events.Snapshot
	var history []events.Event
	said := 0
	say := func(c events.Command) Decision {
		said++
		c.WorkflowType, c.Key = "shop", "k"
		c.Resolve(events.DeriveUUID(events.Namespace, strconv.Itoa(said)))
		in := Input{Command: &c, Machine: one, Others: machines, Now: epoch.Add(time.Duration(said) * time.Second), Source: "r"}
		if snap != nil {
			in.Machine = machines[snap.Version]
		}
		d, err := Decide(in, snap)
		if err != nil {
			t.Fatal(err)
		}
		if d.Next != nil {
			snap, history = d.Next, append(history, d.Events...)
		}
		return d
	}
	mapping, err := json.Marshal(facts.MigratePayload{States: map[string]string{"s1": "t1", "s2": "t2", "s3": "t3"}})
	if err != nil {
		t.Fatal(err)
	}
	say(events.Command{Command: events.CommandStart})
	then := snap.SequenceNumber
	say(events.Command{Command: events.CommandMigrate, Version: 2, Payload: mapping})
	say(events.Command{Command: events.CommandPause})
	seen := snap.SequenceNumber
	say(events.Command{Command: events.CommandSignal, Event: "pay", ExpectedSequence: &seen})
	if d := say(events.Command{Command: events.CommandSignal, Event: "pay"}); d.Outcome == nil || d.Outcome.Status != events.OutcomeHeld {
		t.Fatalf("%+v", d.Outcome)
	}
	p, err := facts.ForReset(history, then)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	d := say(events.Command{Command: events.CommandReset, Payload: payload})
	if d.Outcome != nil || len(d.Later) != 1 || d.Later[0].Status != events.OutcomeConflict {
		t.Fatalf("%+v %+v", d.Outcome, d.Later)
	}
	if at := fmt.Sprint(snap.Chart.Active); at != "[s2]" || snap.Version != 1 || snap.State != events.WorkflowRunning || snap.Paused != nil || len(snap.Held) > 0 {
		t.Fatalf("it is in %s of version %d, %s (%+v), and holds %d", at, snap.Version, snap.State, snap.Paused, len(snap.Held))
	}
	checkReplay(t, history, snap, one, two)
}
