package fsm

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/leat-io/leat/pkg/events"
)

// Mapping says which state of the new version corresponds to a state of the old
// one, by id. A state that it does not name keeps its id.
type Mapping map[string]string

func (m Mapping) of(id string) string {
	if to, ok := m[id]; ok {
		return to
	}
	return id
}

// Migrated is the first effect of [Machine.Migrate].
type Migrated struct {
	From, To int32
	Exited   []string // active states that the new version has under another id, or not at all
	Entered  []string // active states that correspond to them
	Active   []string // after it, document order of the new version
}

func (Migrated) effect() {}

// Migrate moves a chart of m to another version of the definition, m.CheckMigration
// having found no error. What was done stays done: no entry and no exit actions
// run, and data keep their values. Tasks and timers that the new version has too
// go on as they are, others are cancelled, new ones begin now. Then the instance
// goes on as far as it can, as after any input. The error is an *[Incident], or
// says why this chart cannot be moved.
func (m *Machine) Migrate(to *Machine, mapping Mapping, chart events.Chart, in Input) (events.Chart, []Effect, error) {
	if m.ended(&chart) {
		return chart, nil, errors.New("the instance has ended, or is being undone")
	}
	if len(chart.Active) == 0 { // parked at its start
		return chart, []Effect{Migrated{From: m.Version(), To: to.Version()}}, nil
	}
	g := &migration{from: m, to: to, mapping: mapping, old: chart}
	if err := g.configure(); err != nil {
		return chart, nil, err
	}
	in.Kind = InputMigrate
	s := &step{m: to, in: in, now: events.Instant(in.Now), chart: g.chart, running: true}
	if err := s.load(); err != nil {
		return chart, nil, err
	}
	g.s = s
	g.chart.Active = s.activeNames()
	if err := to.CheckChart(g.chart); err != nil {
		return chart, nil, fmt.Errorf("states %v become %v, which version %d cannot be in: %w", chart.Active, g.chart.Active, to.Version(), err)
	}
	if to.ended(&g.chart) {
		return chart, nil, fmt.Errorf("states %v become %v, which is the end of version %d", chart.Active, g.chart.Active, to.Version())
	}
	s.chart.Active = g.chart.Active
	s.emit(Migrated{
		From: m.Version(), To: to.Version(), Active: s.chart.Active,
		Exited: without(chart.Active, s.chart.Active), Entered: without(s.chart.Active, chart.Active),
	})
	g.memory()
	if err := g.data(); err != nil {
		return chart, nil, err
	}
	g.tasks()
	g.timers()
	g.begin()
	s.reacted = true
	mark := len(s.effects)
	s.settle()
	s.note(mark, "migrate")
	s.later()
	if s.incident != nil {
		return chart, nil, s.incident
	}
	s.store()
	return s.chart, s.effects, nil
}

// migration is one chart on its way.
type migration struct {
	from, to *Machine
	mapping  Mapping
	old      events.Chart
	chart    events.Chart
	s        *step
	was      map[string]*state // active states of the old version, by the id that stands for them
}

// configure maps the active states.
func (g *migration) configure() error {
	g.chart = g.old
	g.chart.Active = nil
	g.was = make(map[string]*state)
	for _, id := range g.old.Active {
		i, ok := g.from.index[id]
		if !ok {
			return fmt.Errorf("version %d has no state %q", g.from.Version(), id)
		}
		became := g.mapping.of(id)
		at, ok := g.to.index[became]
		switch {
		case !ok:
			return fmt.Errorf("state %q is active and version %d has no state %q: map it", id, g.to.Version(), became)
		case !g.to.states[at].leaf():
			return fmt.Errorf("state %q would become %q, which is %s: map it to a state below", id, became, g.to.states[at].kind)
		}
		if !slices.Contains(g.chart.Active, became) {
			g.chart.Active = append(g.chart.Active, became)
		}
		for ; i >= 0; i = g.from.states[i].parent {
			g.was[g.mapping.of(g.from.states[i].id)] = &g.from.states[i]
		}
	}
	g.was[g.to.states[root].id] = &g.from.states[root]
	return nil
}

// memory maps what history states remember; what cannot be is forgotten.
func (g *migration) memory() {
	kept := make(map[string][]string)
	for i := range g.from.states {
		h := &g.from.states[i]
		ids, remembers := g.old.History[h.id]
		at, ok := g.to.index[g.mapping.of(h.id)]
		if !remembers || !ok || g.to.states[at].kind != History {
			continue
		}
		var now []string
		for _, id := range ids {
			if j, ok := g.to.index[g.mapping.of(id)]; ok && g.to.within(j, g.to.states[at].parent) {
				now = append(now, g.to.states[j].id)
			}
		}
		if len(now) == len(ids) {
			kept[g.to.states[at].id] = now
		}
	}
	g.s.owns.history = true
	g.s.chart.History = kept
}

// data keeps what both versions have, and gives new variables their defaults.
func (g *migration) data() error {
	s := g.s
	s.owns.data, s.owns.payloads = true, false
	s.chart.Data, s.chart.Payloads = make(map[string]events.ContextValue), nil
	for i := range g.to.def.Data {
		v := &g.to.def.Data[i]
		value, had := g.old.Data[v.Name]
		_, known := g.from.kinds[v.Name]
		switch {
		case had && value.Kind() == v.Kind:
			s.setData(v.Name, value)
		case had:
			return fmt.Errorf("data %q is a %s and version %d wants a %s", v.Name, value.Kind(), g.to.Version(), v.Kind)
		case !known && v.Default.Kind() != events.KindNone:
			s.setData(v.Name, v.Default)
		}
	}
	if len(s.chart.Data) == 0 {
		s.chart.Data, s.owns.data = nil, false
	}
	for i := range g.to.def.Payloads {
		p := &g.to.def.Payloads[i]
		value, had := g.old.Payloads[p.Name]
		if !had {
			continue
		}
		if p.Check != nil {
			if err := p.Check(value); err != nil {
				return fmt.Errorf("payload %q does not fit version %d: %w", p.Name, g.to.Version(), err)
			}
		}
		if s.chart.Payloads == nil {
			s.chart.Payloads = make(map[string]json.RawMessage)
		}
		s.chart.Payloads[p.Name] = value
	}
	return nil
}

// counterpart finds the invocation of the new version that stands for the one
// that a task is of, nil for none.
func (g *migration) counterpart(stateID, invocation string) *invocation {
	id, undo := strings.CutPrefix(invocation, compensatePrefix)
	prefix := ""
	if undo {
		prefix = compensatePrefix
	}
	target := g.mapping.of(stateID)
	for _, name := range []string{id, g.mapping.of(id)} {
		if inv := g.to.invs[invocationKey(target, prefix+name)]; inv != nil {
			return inv
		}
	}
	return nil
}

// tasks keeps the tasks whose invocation the new version has as well.
func (g *migration) tasks() {
	s := g.s
	s.ownTasks()
	kept := s.chart.Tasks[:0]
	for i := range g.old.Tasks {
		t := g.old.Tasks[i]
		if at := slices.IndexFunc(kept, func(asker events.TaskStatus) bool { return asker.TaskID == t.AskedBy }); !t.AskedBy.IsNil() && at >= 0 {
			t.StateID, t.Invocation = kept[at].StateID, events.QuestionInvocation(kept[at].Invocation, events.QuestionID(t.Invocation))
			kept = append(kept, t)
			continue
		}
		inv := g.counterpart(t.StateID, t.Invocation)
		if inv != nil && g.stays(&t, inv) {
			t.StateID, t.Invocation, t.Name = g.to.states[inv.state].id, inv.name, inv.def.Task
			kept = append(kept, t)
			continue
		}
		if at, ok := g.to.index[g.mapping.of(t.StateID)]; ok && s.config.has(at) && len(g.to.states[at].tasks) > 0 {
			s.dirty.add(at)
		}
		s.cancelDeadlines(t.TaskID, "")
		if from := t.State; !from.Finished() && t.Attempt > 0 {
			t.State = events.TaskCancelled
			s.changed(&t, from)
		}
	}
	clear(s.chart.Tasks[len(kept):])
	s.chart.Tasks = kept
}

// stays reports whether a task is one of the new version's: open, and for the
// same work; or ended, and still needed.
func (g *migration) stays(t *events.TaskStatus, inv *invocation) bool {
	active := g.s.config.has(inv.state)
	if !t.State.Finished() {
		return inv.def.Task == t.Name && (active || g.lives(t))
	}
	return active || inv.compensate != nil || inv.def.Semantics == events.AsyncAwait || strings.HasPrefix(t.Invocation, compensatePrefix)
}

// lives reports whether a task goes on although its state is not active.
func (g *migration) lives(t *events.TaskStatus) bool {
	i, ok := g.from.index[t.StateID]
	if !ok {
		return false
	}
	for _, id := range g.old.Active {
		if at := g.from.index[id]; at == i || g.from.within(at, i) {
			return false
		}
	}
	return true
}

// timers keeps the due times of the timers that the new version has as well.
func (g *migration) timers() {
	s := g.s
	s.ownTimers()
	kept := s.chart.Timers[:0]
	for _, t := range slices.Clone(s.chart.Timers) {
		switch t.Kind {
		case events.TimerAfter:
			if !g.keepAfter(&t) {
				s.emit(TimerCancelled{ID: t.ID})
				continue
			}
		case events.TimerRuntime:
			if g.to.limits.runtime == 0 {
				s.emit(TimerCancelled{ID: t.ID})
				continue
			}
		case events.TimerSend:
		default:
			at := slices.IndexFunc(s.chart.Tasks, func(task events.TaskStatus) bool { return task.TaskID == t.TaskID })
			if at >= 0 {
				t.Ref = s.chart.Tasks[at].Invocation
			}
		}
		kept = append(kept, t)
	}
	s.chart.Timers = kept
	if g.to.limits.runtime > 0 && g.from.limits.runtime == 0 {
		s.setTimer(events.Timer{Kind: events.TimerRuntime, Due: s.now.Add(g.to.limits.runtime)})
	}
}

// keepAfter renames the timer of an `after` for the new version, if that has it.
func (g *migration) keepAfter(t *events.Timer) bool {
	at, ok := g.from.index[t.Ref]
	if !ok {
		return false
	}
	key := ""
	for i := range g.from.states[at].after {
		if g.from.states[at].after[i].event == t.Event {
			key = g.from.states[at].def.After[i].Key
		}
	}
	to, ok := g.to.index[g.mapping.of(t.Ref)]
	if !ok || !g.s.config.has(to) {
		return false
	}
	for i := range g.to.states[to].after {
		if g.to.states[to].def.After[i].Key == key {
			t.Ref, t.Event = g.to.states[to].id, g.to.states[to].after[i].event
			return true
		}
	}
	return false
}

// begin starts what the active states ask for and the old version did not.
func (g *migration) begin() {
	s := g.s
	for i := s.config.next(0); i >= 0; i = s.config.next(i + 1) {
		state := &g.to.states[i]
		old := g.was[state.id]
		for j := range state.after {
			key := state.def.After[j].Key
			if old == nil || !slices.ContainsFunc(old.def.After, func(a After) bool { return a.Key == key }) {
				s.setAfter(state, &state.after[j])
			}
		}
		for _, inv := range state.invoke {
			if !g.has(inv) {
				s.invoke(inv)
			}
		}
		for _, inv := range state.tasks {
			if !g.has(inv) {
				s.add(inv)
				s.dirty.add(i)
			}
		}
	}
}

func (g *migration) has(inv *invocation) bool {
	return slices.ContainsFunc(g.s.chart.Tasks, func(t events.TaskStatus) bool {
		return t.StateID == g.to.states[inv.state].id && t.Invocation == inv.name
	})
}

func without(list, others []string) []string {
	var out []string
	for _, id := range list {
		if !slices.Contains(others, id) {
			out = append(out, id)
		}
	}
	return out
}
