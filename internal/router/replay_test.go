package router

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
	"github.com/leat-io/leat/test/drawn"
)

// checkReplay holds the law of every history: decided again, it gives the same
// events, and the instance stands where it stood.
func checkReplay(t interface {
	Helper()
	Fatalf(format string, args ...any)
}, history []events.Event, snap *events.Snapshot, machines ...*fsm.Machine,
) {
	t.Helper()
	r, err := Replay(history, known(machines...), 0)
	if err != nil {
		t.Fatalf("the history cannot be replayed: %v", err)
	}
	if r.Difference != nil {
		text, _ := json.MarshalIndent(r.Difference, "", " ")
		t.Fatalf("the replay differs: %s", text)
	}
	if len(history) == 0 {
		return
	}
	if diff := Stands(snap, r.Snapshot); diff != "" {
		t.Fatalf("the replay stands elsewhere: %s\n%s", diff, cmp.Diff(snap.Chart, r.Snapshot.Chart, cmp.AllowUnexported(events.ContextValue{})))
	}
}

func known(machines ...*fsm.Machine) Machines {
	return func(version int32) *fsm.Machine {
		at := slices.IndexFunc(machines, func(m *fsm.Machine) bool { return m.Version() == version })
		if at < 0 {
			return nil
		}
		return machines[at]
	}
}

// course is an instance that things happen to.
type course struct {
	t       *rapid.T
	machine *fsm.Machine
	snap    *events.Snapshot
	history []events.Event
	now     time.Time
	said    int
}

func newCourse(t *rapid.T, m *fsm.Machine) *course {
	l := &course{t: t, machine: m, now: epoch}
	l.say(events.Command{Command: events.CommandStart, Payload: json.RawMessage(`{}`)})
	return l
}

func (l *course) say(c events.Command) {
	l.said++
	c.WorkflowType, c.Key = l.machine.Type(), "k"
	c.Resolve(events.DeriveUUID(events.Namespace, fmt.Sprint("said ", l.said)))
	l.decide(input{command: &c})
}

func (l *course) decide(in input) {
	in.machine, in.now, in.source = l.machine, l.now, "r1"
	d, err := decide(in, l.snap)
	if err != nil {
		l.t.Fatal(err)
	}
	if d.next != nil {
		l.snap = d.next
	}
	l.history = append(l.history, d.events...)
}

// happen lets something drawn happen: a signal, a report, or a timer whose time
// has come.
func (l *course) happen() {
	l.now = l.now.Add(time.Duration(rapid.IntRange(0, 3000).Draw(l.t, "ms")) * time.Millisecond)
	if len(l.snap.Chart.Active) == 0 {
		return // parked at its start
	}
	in := drawn.Input(l.t, instanceOf(l.snap), &l.snap.Chart, l.now)
	switch in.Kind {
	case fsm.InputTimer:
		at := slices.IndexFunc(l.snap.Chart.Timers, func(t events.Timer) bool { return t.ID == in.TimerID })
		timer := l.snap.Chart.Timers[at]
		if timer.Due.After(l.now) {
			l.now = timer.Due
		}
		l.decide(input{timer: &timer})
	case fsm.InputEvent:
		l.say(events.Command{Command: events.CommandSignal, Event: in.Name, Payload: json.RawMessage(`{"x":1}`)})
	case fsm.InputClaim:
		l.say(events.Command{Command: events.CommandClaim, Result: &events.TaskResult{TaskID: in.Task.TaskID, Attempt: in.Task.Attempt, NodeID: "n"}})
	case fsm.InputHeartbeat:
		l.say(events.Command{Command: events.CommandHeartbeat, Result: &events.TaskResult{TaskID: in.Task.TaskID, Attempt: in.Task.Attempt, NodeID: "n"}})
	default:
		l.say(events.Command{Command: events.CommandResult, Result: in.Task, Payload: json.RawMessage(`{"y":2}`)})
	}
}

func TestEveryHistoryReplays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newCourse(t, drawn.Machine(t))
		for range rapid.IntRange(1, 25).Draw(t, "inputs") {
			l.happen()
		}
		checkReplay(t, l.history, l.snap, l.machine)
	})
}

func TestReplaySaysWhereItDiffers(t *testing.T) {
	const v1 = `
leat: v1
type: shop
version: 1
initial: waiting
states:
  waiting: {on: {pay: paid, leave: gone}, after: {72h: gone}}
  paid: {on: {ship: done}}
  done: {type: final}
  gone: {type: final, outcome: cancelled}
`
	one := parse(t, v1)
	start := func(t *testing.T) []events.Event {
		t.Helper()
		var snap *events.Snapshot
		var history []events.Event
		for i, c := range []events.Command{
			{Command: events.CommandStart}, {Command: events.CommandSignal, Event: "pay"}, {Command: events.CommandSignal, Event: "ship"},
		} {
			c.WorkflowType, c.Key = "shop", "k"
			c.Resolve(events.DeriveUUID(events.Namespace, fmt.Sprint(i)))
			d, err := decide(input{command: &c, machine: one, now: epoch.Add(time.Duration(i) * time.Hour), source: "r"}, snap)
			if err != nil {
				t.Fatal(err)
			}
			snap, history = d.next, append(history, d.events...)
		}
		return history
	}
	for _, c := range []struct {
		name     string
		old, new string // in the definition
		sequence int64
		want     string
	}{
		{"same", "", "", 0, ""},
		{"another target", "pay: paid", "pay: done", 3, "data.active"},
		{"a signal that nothing takes", "ship: done", "sent: done", 4, `nothing would be recorded: no transition is enabled by "ship"`},
		{"an earlier timer", "72h: gone", "30m: gone", 3, "timer after.30m.waiting would have fired"},
		{"another start", "initial: waiting", "initial: paid", 2, "data.active"},
		{"another outcome", "done: {type: final}", "done: {type: final, outcome: failed}", 5, "event_type"},
	} {
		t.Run(c.name, func(t *testing.T) {
			two := parse(t, strings.Replace(strings.Replace(v1, "version: 1", "version: 2", 1), c.old, c.new, 1))
			r, err := Replay(start(t), known(one, two), 2)
			if err != nil {
				t.Fatal(err)
			}
			if c.sequence == 0 {
				if r.Difference != nil || r.Events != 5 || r.Decisions != 3 {
					t.Fatalf("%+v", r)
				}
				return
			}
			if r.Difference == nil || r.Difference.Sequence != c.sequence {
				t.Fatalf("want a difference at %d, got %+v", c.sequence, r.Difference)
			}
			text, _ := json.Marshal(r.Difference)
			if !strings.Contains(strings.ReplaceAll(string(text), `\"`, `"`), c.want) {
				t.Fatalf("want %q in %s", c.want, text)
			}
		})
	}
	t.Run("a history that was tampered with", func(t *testing.T) {
		history := start(t)
		history[2].Data = fields{"event": events.String("pay"), "active": events.Strings([]string{"gone"})}
		r, err := Replay(history, known(one), 0)
		if err != nil || r.Difference == nil || r.Difference.Sequence != 3 {
			t.Fatalf("%+v %v", r, err)
		}
	})
	t.Run("a history without its beginning", func(t *testing.T) {
		if _, err := Replay(start(t)[1:], known(one), 0); err == nil {
			t.Fatal("no error")
		}
	})
}
