package decide

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/leat-io/leat/internal/facts"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

// laborious spends nearly all that a step may on each `go`; `note` costs nothing
// and leaves half a payload's worth of bytes in the history.
const laborious = `
leat: v1
type: bad
version: 1
data: {n: {type: long, default: 0}}
initial: a
states:
  a:
    on:
      go: {assign: {n: "data.n + 1 + input.l.filter(x, input.l.exists(y, y == x + 5000)).size()"}}
      note: {actions: [{emit: {event: noted, data: input.text}}, {emit: {event: noted, data: input.text}}]}
      calm: {assign: {n: data.n + 1}}
    after: {1ms: late}
  late: {}
`

// laboriousInput is a start payload of it.
func laboriousInput() []byte {
	return fmt.Appendf(nil, `{"l":[%s0],"text":%q}`, strings.Repeat("1,", 300), strings.Repeat("x", 120<<10))
}

// standing is where an instance stands.
type standing struct{ cur *events.Snapshot }

// decideWorld decides for one instance, without a transaction.
func decideWorld(t *testing.T, source string) (*standing, func(c events.Command) Decision) {
	t.Helper()
	machine, e := parse(t, source), &standing{}
	return e, func(c events.Command) Decision {
		t.Helper()
		c.WorkflowType, c.InstanceID = "bad", events.InstanceIDForKey("bad", "k")
		c.Resolve(events.DeriveUUID(c.InstanceID, string(c.Command)+c.Event))
		d, err := Decide(Input{Command: &c, Explicit: true, Machine: machine, Now: time.UnixMicro(1).UTC(), Source: "slot"}, e.cur)
		if err != nil {
			t.Fatal(err)
		}
		if d.Next != nil {
			e.cur = d.Next
		}
		return d
	}
}

// TestWhatWasHeldIsDecidedInTurns is about an instance that has much to decide
// when it goes on: it asks itself for the rest, and others come in between.
func TestWhatWasHeldIsDecidedInTurns(t *testing.T) {
	for _, c := range []struct {
		event string
		turns func(n int) bool
	}{
		{"go", func(n int) bool { return n > 10 }},
		{"note", func(n int) bool { return n > 0 && n < 10 }},
		{"calm", func(n int) bool { return n == 0 }},
	} {
		t.Run(c.event, func(t *testing.T) {
			e, follow := decideWorld(t, laborious)
			follow(events.Command{Command: events.CommandStart, Key: "k", Payload: laboriousInput()})
			follow(events.Command{Command: events.CommandPause})
			const signals = 25
			for i := range signals {
				follow(events.Command{Command: events.CommandSignal, Event: c.event, CommandID: events.DeriveUUID(events.Namespace, strconv.Itoa(i))})
			}
			f := follow(events.Command{Command: events.CommandResume})
			turns := 0
			for ; len(e.cur.Held) > 0; turns++ {
				if n := len(f.Sends); n != 1 || !goesOn(&f.Sends[0]) || f.Sends[0].Validate() != nil {
					t.Fatalf("%d signals are left, and it sends %+v", len(e.cur.Held), f.Sends)
				}
				if turns == 1 {
					f = waitsItsTurn(t, e, follow)
					continue
				}
				before := len(e.cur.Held)
				if f = follow(f.Sends[0]); len(e.cur.Held) >= before || len(f.Audit) > 0 {
					t.Fatalf("after another turn %d signals are left of %d, %d entries of the audit", len(e.cur.Held), before, len(f.Audit))
				}
			}
			if len(f.Sends) != 0 || !c.turns(turns) {
				t.Errorf("%d turns, and then it sends %+v", turns, f.Sends)
			}
			if again := follow(goOn(Input{Command: &events.Command{}}, e.cur)); again.Next != nil || again.Outcome != nil {
				t.Errorf("a turn too many leads to %+v", again)
			}
		})
	}
}

// waitsItsTurn checks what happens to an instance that is still deciding.
func waitsItsTurn(t *testing.T, e *standing, follow func(events.Command) Decision) Decision {
	t.Helper()
	now := e.cur.Chart.Timers[0].Due.Add(time.Second)
	if d, err := decideTimer(Input{Timer: &e.cur.Chart.Timers[0], Now: now}, e.cur); err != nil || d.Next != nil {
		t.Errorf("a timer overtakes what was held: %+v, %v", d, err)
	}
	f := follow(events.Command{Command: events.CommandSignal, Event: "calm"})
	if f.Outcome == nil || f.Outcome.Status != events.OutcomeHeld || f.Outcome.Error.Code != "BEHIND" {
		t.Errorf("a signal overtakes what was held: %+v", f.Outcome)
	}
	own := goOn(Input{Command: &events.Command{CommandID: events.Namespace}}, e.cur)
	follow(events.Command{Command: events.CommandPause, CommandID: events.DeriveUUID(events.Namespace, "pause")})
	if f := follow(own); f.Next != nil || e.cur.State != events.WorkflowPaused {
		t.Errorf("it goes on by itself while it is paused: %+v", f)
	}
	f = follow(events.Command{Command: events.CommandResume, CommandID: events.DeriveUUID(events.Namespace, "resume")})
	if f.Outcome != nil {
		t.Errorf("a person cannot let it go on: %+v", f.Outcome)
	}
	return f
}

// TestAnInstanceThatCannotGoOnIsAnIncident is about a definition that is not
// there when an instance asks itself to go on.
func TestAnInstanceThatCannotGoOnIsAnIncident(t *testing.T) {
	c := goOn(Input{Command: &events.Command{}}, &events.Snapshot{WorkflowType: "bad", InstanceID: events.Namespace})
	held := events.Command{Command: events.CommandSignal, Event: "first"}
	snap := &events.Snapshot{WorkflowType: "bad", InstanceID: events.Namespace, State: events.WorkflowRunning, Held: []events.HeldInput{{Command: &held}, {Command: &held}}}
	_, err := Decide(Input{Command: &c}, snap)
	d, ok := Park(Input{Command: &c}, snap, err)
	if i := d.Next; !ok || i.Incident.Code != CodeUnknownVersion || i.Incident.Input.Command.Event != "first" || len(i.Held) != 1 {
		t.Errorf("%v leads to %+v", err, d.Next)
	}
}

// TestAResetRecallsNoMoreThanItMay is about a history of decisions that are each
// as much as one may be.
func TestAResetRecallsNoMoreThanItMay(t *testing.T) {
	e, follow := decideWorld(t, laborious)
	var history []events.Event
	keep := func(d Decision) { history = append(history, d.Events...) }
	keep(follow(events.Command{Command: events.CommandStart, Key: "k", Payload: laboriousInput()}))
	for i := range 20 {
		keep(follow(events.Command{Command: events.CommandSignal, Event: "go", CommandID: events.DeriveUUID(events.Namespace, strconv.Itoa(i))}))
	}
	list, err := facts.Read(history)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		count int
		code  string
	}{{"a part", 3, ""}, {"all", len(list), fsm.CodeWork}} {
		to := history[len(history)-1].SequenceNumber
		if c.count < len(list) {
			to = list[c.count].Sequence - 1
		}
		past, err := recall(&Input{Machine: parse(t, laborious)}, e.cur, &facts.ResetPayload{ResetTo: to, Facts: list[:c.count]})
		if errors.Is(err, errMuchToRecall) != (c.code != "") || err == nil && past.SequenceNumber != to {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
