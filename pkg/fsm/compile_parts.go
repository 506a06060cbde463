package fsm

import (
	"fmt"
	"slices"
	"strings"

	"github.com/leat-io/leat/internal/plain"
	"github.com/leat-io/leat/pkg/events"
)

func (c *compiler) template(t *Template, want Want) *template {
	if t == nil {
		return nil
	}
	out := &template{pos: t.Pos, literal: t.Literal, object: t.Fields != nil}
	if t.Expr != nil {
		out.expr = c.expr(t.Expr, want)
		return out
	}
	for _, f := range t.Fields {
		out.fields = append(out.fields, field{name: f.Name, value: c.template(f.Value, WantAny)})
	}
	for _, item := range t.Items {
		out.items = append(out.items, c.template(item, WantAny))
	}
	return out
}

func (c *compiler) assigns(list []Assign) []assign {
	out := make([]assign, 0, len(list))
	for _, def := range list {
		kind, known := c.m.kinds[def.Name]
		a := assign{pos: def.Pos, name: def.Name, kind: kind, payload: c.m.loads[def.Name]}
		if !known && a.payload == nil {
			c.errorf(def.Pos, "unknown-data", "%q is not declared under data or payloads%s", def.Name, c.suggestData(def.Name))
			continue
		}
		a.value = c.template(def.Value, wantKind(kind))
		if known && def.Value.Expr == nil {
			a.fixed = c.fixed(def, kind)
		}
		out = append(out, a)
	}
	return out
}

// fixed is the value that a literal assigns.
func (c *compiler) fixed(def Assign, kind events.Kind) events.ContextValue {
	if def.Value.Literal == nil {
		if def.Value.Fields != nil && kind == events.KindMap || def.Value.Items != nil && kind == events.KindStrings {
			return events.ContextValue{} // evaluated
		}
		c.errorf(def.Value.Pos, "wrong-kind", "%q is a %s", def.Name, kind)
		return events.ContextValue{}
	}
	value, err := plain.Decode(def.Value.Literal)
	fixed, ok := plain.Value(value, kind)
	if err != nil || !ok {
		c.errorf(def.Value.Pos, "wrong-kind", "%s cannot be assigned to %q, which is a %s", def.Value.Literal, def.Name, kind)
	}
	return fixed
}

func (c *compiler) suggestData(name string) string {
	if len(c.findings) > maxSuggestions {
		return ""
	}
	var names []string
	for _, v := range c.m.def.Data {
		names = append(names, v.Name)
	}
	for _, p := range c.m.def.Payloads {
		names = append(names, p.Name)
	}
	return Suggest(name, names)
}

func (c *compiler) actions(list []Action) []action {
	out := make([]action, 0, len(list))
	for n := range list {
		def := &list[n]
		a := action{
			def: def, assign: c.assigns(def.Assign), to: c.template(def.To, WantString), cond: c.expr(def.If, WantBool),
			then: c.actions(def.Then), or: c.actions(def.Else),
		}
		a.data = c.template(def.Data, WantAny)
		if def.Delay != nil {
			d := c.delay(def.Delay)
			a.delay = &d
		}
		if (def.Kind == ActionRaise || def.Kind == ActionSend) && Reserved(def.Event) {
			c.errorf(def.Pos, "reserved-event", "event %q is the engine's own: choose another name", def.Event)
		}
		out = append(out, a)
		if def.Kind == ActionCompensate {
			c.undo = append(c.undo, &out[n])
		}
	}
	return out
}

func (c *compiler) delay(def *Delay) delay {
	return delay{fixed: def.Fixed, expr: c.expr(def.Expr, WantDuration)}
}

// invocation compiles one piece of work and gives it its defaults.
func (c *compiler) invocation(state int, def *Invocation, position int, dag bool) *invocation {
	s := &c.m.states[state]
	inv := &invocation{
		def: def, state: state, name: def.ID, dag: dag, position: position, input: c.template(def.Input, WantAny),
		taskType: events.TaskEffect, timeouts: def.Timeouts,
		doneEvent: "done.invoke." + def.ID, errorEvent: "error.invoke." + def.ID,
	}
	if def.NodeType == events.NodeCompute {
		inv.taskType = events.TaskCompute
	}
	inv.bound()
	key := invocationKey(s.id, def.ID)
	if c.m.invs[key] != nil {
		c.errorf(def.Pos, "duplicate-id", "state %q has two invocations with id %q", s.id, def.ID)
	}
	c.m.invs[key] = inv
	if def.Kind.Queued() && !slices.Contains(c.m.tasks, def.Task) && def.Task != "" {
		c.m.tasks = append(c.m.tasks, def.Task)
	}
	if def.Compensate != nil {
		undo := *def.Compensate
		undo.ID = compensatePrefix + def.ID
		inv.compensate = c.invocation(state, &undo, position, false)
	}
	return inv
}

// compensatePrefix begins the id of the invocation that undoes another.
const compensatePrefix = "compensate."

func invocationKey(state, id string) string { return state + "\x00" + id }

// needs links the DAG of a state and refuses cycles.
func (c *compiler) needs(s *state) {
	position := make(map[string]int, len(s.tasks))
	for i, inv := range s.tasks {
		position[inv.def.ID] = i
	}
	s.taskAt = position
	for _, inv := range s.tasks {
		for _, n := range inv.def.Needs {
			i, ok := position[n.Task]
			if !ok {
				c.errorf(n.Pos, "unknown-need", "state %q has no task %q%s", s.id, n.Task, Suggest(n.Task, keysOf(s.tasks)))
				continue
			}
			inv.needs = append(inv.needs, need{task: i, kind: n.Type, condition: c.expr(n.Condition, WantBool)})
		}
	}
	for i, inv := range s.tasks {
		for _, n := range inv.needs {
			s.tasks[n.task].dependants = append(s.tasks[n.task].dependants, i)
		}
	}
	c.cycles(s)
}

func keysOf(tasks []*invocation) []string {
	names := make([]string, len(tasks))
	for i, inv := range tasks {
		names[i] = inv.def.ID
	}
	return names
}

// cycles reports tasks that wait for themselves: those that a topological sort
// cannot place.
func (c *compiler) cycles(s *state) {
	placed := make([]bool, len(s.tasks))
	for progress := true; progress; {
		progress = false
		for i, inv := range s.tasks {
			ready := !placed[i]
			for _, n := range inv.needs {
				ready = ready && placed[n.task]
			}
			if ready {
				placed[i], progress = true, true
			}
		}
	}
	var stuck []string
	for i, inv := range s.tasks {
		if !placed[i] {
			stuck = append(stuck, inv.def.ID)
		}
	}
	if len(stuck) > 0 {
		c.errorf(s.def.Pos, "cyclic-needs", "tasks of state %q wait for each other: %s", s.id, strings.Join(stuck, ", "))
	}
}

// linkCompensations resolves what compensate actions may undo.
func (c *compiler) linkCompensations() {
	for _, a := range c.undo {
		from, to := 0, len(c.m.states)
		if a.def.Event != "all" {
			i, ok := c.m.index[a.def.Event]
			if !ok {
				c.errorf(a.def.Pos, "unknown-target", "there is no state %q to compensate%s", a.def.Event, c.suggest(a.def.Event))
				continue
			}
			from, to = i, c.m.states[i].end
		}
		for i := from; i < to; i++ {
			for _, inv := range slices.Concat(c.m.states[i].invoke, c.m.states[i].tasks) {
				if inv.compensate != nil {
					a.compensate = append(a.compensate, inv)
				}
			}
		}
	}
}

// reserved are the names, and the beginnings of names, of the engine's events.
var reserved = []string{"done.state.", "done.invoke.", "error.invoke.", "after."}

// Reserved reports whether only the engine may raise events of that name.
func Reserved(event string) bool {
	if event == errorExecution {
		return true
	}
	return slices.ContainsFunc(reserved, func(prefix string) bool { return strings.HasPrefix(event, prefix) })
}

// Suggest is `, did you mean "x"?` for the name most like the given one, or "".
func Suggest(name string, names []string) string {
	best, distance := "", len(name)/2+1
	if distance > 4 {
		distance = 4
	}
	for _, candidate := range names {
		if d := editDistance(strings.ToLower(name), strings.ToLower(candidate)); d < distance {
			best, distance = candidate, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(", did you mean %q?", best)
}

// editDistance is the Levenshtein distance of two short texts; long ones are
// told apart by their length alone, which bounds the work.
func editDistance(a, b string) int {
	const most = 64
	if len(a) > most || len(b) > most || len(a) > len(b)+4 || len(b) > len(a)+4 {
		return most
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
