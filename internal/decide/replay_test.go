package decide

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/leat-io/leat/internal/facts"
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
	for i := range history {
		if list := history[i].Undeclared(); list != nil {
			t.Fatalf("event %d, %s, carries what its kind does not declare: %v", i+1, history[i].EventType, list)
		}
	}
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
	t        *rapid.T
	machines []*fsm.Machine // by version, the first is 1
	snap     *events.Snapshot
	history  []events.Event
	now      time.Time
	said     int
}

func newCourse(t *rapid.T, machines ...*fsm.Machine) *course {
	l := &course{t: t, machines: machines, now: epoch}
	l.say(events.Command{Command: events.CommandStart, Payload: json.RawMessage(`{}`)})
	return l
}

func (l *course) say(c events.Command) Decision {
	l.said++
	c.WorkflowType, c.Key = l.machines[0].Type(), "k"
	c.Resolve(events.DeriveUUID(events.Namespace, fmt.Sprint("said ", l.said)))
	return l.decide(Input{Command: &c})
}

func (l *course) decide(in Input) Decision {
	in.Machine, in.Now, in.Source = l.machines[0], l.now, "r1"
	if l.snap != nil {
		in.Machine = l.machines[l.snap.Version-1]
	}
	in.Others = map[int32]*fsm.Machine{}
	for _, m := range l.machines {
		in.Others[m.Version()] = m
	}
	d, err := Decide(in, l.snap)
	if err != nil {
		l.t.Fatal(err)
	}
	if d.Next != nil {
		l.snap = d.Next
	}
	l.history = append(l.history, d.Events...)
	return d
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
		l.decide(Input{Timer: &timer})
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
		checkReplay(t, l.history, l.snap, l.machines...)
	})
}

// What is reset and migrated at will still has one history that replays, stands
// where its version can stand, and never gives a task id twice.
func TestEveryHistoryReplaysThroughResetsAndMigrations(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		one, two, mapping := drawn.Versions(t)
		back := make(map[string]string)
		for from, to := range mapping {
			back[to] = from
		}
		l := newCourse(t, one, two)
		for range rapid.IntRange(1, 30).Draw(t, "inputs") {
			switch rapid.IntRange(0, 7).Draw(t, "what") {
			case 0:
				l.migrate(mapping, back)
			case 1:
				l.reset()
			default:
				l.happen()
			}
			if len(l.snap.Chart.Active) > 0 {
				if err := l.machines[l.snap.Version-1].CheckChart(l.snap.Chart); err != nil {
					t.Fatal(err)
				}
			}
		}
		checkReplay(t, l.history, l.snap, l.machines...)
		issued := make(map[string]bool)
		for i := range l.history {
			e := &l.history[i]
			if e.EventType != events.EventTaskScheduled {
				continue
			}
			attempt := e.Data["task_id"].Str() + "/" + strconv.FormatInt(e.Data["attempt"].Int(), 10)
			if issued[attempt] {
				t.Fatalf("attempt %s is issued twice", attempt)
			}
			issued[attempt] = true
		}
	})
}

// migrate moves the instance to the other version. That cannot be refused while
// it lives: all states of one version are those of the other.
func (l *course) migrate(mapping, back map[string]string) {
	c := events.Command{Command: events.CommandMigrate, Version: 2, Reason: "why not"}
	if l.snap.Version == 2 {
		c.Version, mapping = 1, back
	}
	c.Payload, _ = json.Marshal(facts.MigratePayload{States: mapping})
	ended := l.machines[l.snap.Version-1].Ended(&l.snap.Chart)
	before := l.snap
	if d := l.say(c); d.Outcome != nil != ended {
		l.t.Fatalf("ended is %v and the outcome %+v", ended, d.Outcome)
	}
	if ended {
		return
	}
	open := func(s *events.Snapshot) (ids []events.UUID) {
		for _, t := range s.Chart.Tasks {
			ids = append(ids, t.TaskID)
		}
		return ids
	}
	if was, is := open(before), open(l.snap); !slices.Equal(was, is) {
		l.t.Fatalf("tasks %v became %v", was, is)
	}
	if len(before.Chart.Timers) != len(l.snap.Chart.Timers) {
		l.t.Fatalf("timers %+v became %+v", before.Chart.Timers, l.snap.Chart.Timers)
	}
}

// reset goes back to where some decision ended, if that can be. The instance
// stands there again, and then what the run before held is decided.
func (l *course) reset() {
	to := int64(rapid.IntRange(1, len(l.history)).Draw(l.t, "to"))
	p, err := facts.ForReset(l.history, to)
	if err != nil {
		return
	}
	payload, err := json.Marshal(p)
	if err != nil {
		l.t.Fatal(err)
	}
	before, at := l.snap, len(l.history)
	d := l.say(events.Command{Command: events.CommandReset, Payload: payload})
	if d.Outcome != nil {
		if d.Outcome.Error.Code == CodeInvalidInput {
			l.t.Fatalf("to %d: %v", to, d.Outcome.Error)
		}
		return // it had ended then
	}
	r, err := Replay(l.history[:to], known(l.machines...), 0)
	if err != nil || r.Difference != nil {
		l.t.Fatalf("%v %+v", err, r.Difference)
	}
	then := r.Snapshot
	if e := &l.history[at]; e.EventType != events.EventWorkflowRetrying || e.Data["reset_to"].Int() != to {
		l.t.Fatalf("a reset begins with %+v", e)
	}
	is := l.after(at)
	if !slices.Equal(then.Chart.Active, is.Chart.Active) || fmt.Sprint(then.Chart.Data) != fmt.Sprint(is.Chart.Data) ||
		len(then.Chart.Tasks) != len(is.Chart.Tasks) || then.Version != is.Version {
		l.t.Fatalf("it stood at\n%+v, after the reset at\n%+v", then.Chart, is.Chart)
	}
	l.released(before, d)
	for _, old := range before.Chart.Tasks {
		if old.State.Finished() {
			continue
		}
		c := events.Command{
			Command: events.CommandResult, WorkflowType: "flat", Key: "k",
			Result: &events.TaskResult{TaskID: old.TaskID, Attempt: max(1, old.Attempt), State: events.TaskCompleted},
		}
		c.Resolve(events.DeriveUUID(old.TaskID, "late"))
		late, err := Decide(Input{Command: &c, Machine: l.machines[l.snap.Version-1], Now: l.now}, l.snap)
		if err != nil || len(late.Events) > 0 {
			l.t.Fatalf("a late result of the run that was given up counts: %v %+v", err, late.Events)
		}
	}
}

// after is where the instance stood when the decision that begins at history[at]
// was made, and nothing of what it held before was decided yet.
func (l *course) after(at int) *events.Snapshot {
	end := at + 1
	id := l.history[at].Metadata[events.MetadataCommandID]
	for end < len(l.history) && l.history[end].Metadata[events.MetadataCommandID].Equal(id) {
		end++
	}
	r, err := Replay(l.history[:end], known(l.machines...), 0)
	if err != nil || r.Difference != nil {
		l.t.Fatalf("%v %+v", err, r.Difference)
	}
	return r.Snapshot
}

// released: what the run before held is decided or still held, and not lost.
func (l *course) released(before *events.Snapshot, d Decision) {
	if !l.snap.Holding() && len(l.snap.Held) > 0 {
		l.t.Fatalf("%d commands are held by what goes on", len(l.snap.Held))
	}
	for _, h := range before.Held {
		id := h.Command.CommandID
		decided := slices.ContainsFunc(d.Events, func(e events.Event) bool {
			return e.Metadata[events.MetadataCommandID].Str() == id.String()
		})
		answered := slices.ContainsFunc(d.Later, func(o events.Outcome) bool { return o.CommandID == id })
		held := slices.ContainsFunc(l.snap.Held, func(h events.HeldInput) bool { return h.Command.CommandID == id })
		if !decided && !answered && !held {
			l.t.Fatalf("the %s %s, which was held, is lost", h.Command.Command, id)
		}
	}
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
			c.Resolve(events.DeriveUUID(events.Namespace, strconv.Itoa(i)))
			d, err := Decide(Input{Command: &c, Machine: one, Now: epoch.Add(time.Duration(i) * time.Hour), Source: "r"}, snap)
			if err != nil {
				t.Fatal(err)
			}
			snap, history = d.Next, append(history, d.Events...)
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
