package definition

import (
	"slices"
	"strings"

	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

var stateFields = []string{
	"type", "initial", "states", "on", "always", "after", "entry", "exit", "invoke", "tasks", "onDone", "onError", "history",
	"target", "output", "outcome", "error", "tags", "description",
}

var stateTypes = []string{"atomic", "compound", "parallel", "final", "history"}

// state reads one entry of `states`.
func (r *reader) state(key, n *node, depth int) *fsm.State {
	s := &fsm.State{ID: r.id(key, "state"), Pos: key.pos}
	if n.kind == kindNull {
		return s
	}
	if depth > MaxDepth {
		r.errorf(key.pos, "too-deep", "states are nested more than %d deep", MaxDepth)
		return s
	}
	if !r.fields(n, "state "+quote(s.ID), stateFields...) {
		return s
	}
	s.Type = r.stateType(n)
	s.Description = r.text(n.get("description"), "description")
	s.Tags = r.texts(n.get("tags"), "a tag")
	r.stateBody(s, n, depth)
	r.stateWork(s, n)
	r.stateEnd(s, n)
	r.suits(s, n)
	return s
}

func quote(text string) string { return `"` + clip(text) + `"` }

func (r *reader) stateType(n *node) fsm.StateType {
	if t := n.get("type"); t != nil {
		name := choice(r, t, "the type of a state", stateTypes...)
		if i := slices.Index(stateTypes, name); i >= 0 {
			return fsm.StateType(i) //nolint:gosec // there are five
		}
	}
	if states := n.get("states"); states != nil && len(states.items) > 0 {
		return fsm.Compound
	}
	return fsm.Atomic
}

// stateBody reads what states and the root have in common.
func (r *reader) stateBody(s *fsm.State, n *node, depth int) {
	if states := n.get("states"); states != nil && r.is(states, kindMap, "states") {
		for i, key := range states.keys {
			s.States = append(s.States, r.state(key, states.items[i], depth+1))
		}
	}
	if initial := n.get("initial"); initial != nil {
		s.Initial = r.initial(initial)
	}
	s.On = r.on(n.get("on"))
	s.Always = r.transitions(n.get("always"))
	s.After = r.after(n.get("after"))
	s.Entry = r.actions(n.get("entry"))
	s.Exit = r.actions(n.get("exit"))
}

// stateWork reads what an atomic or composite state waits for.
func (r *reader) stateWork(s *fsm.State, n *node) {
	for _, item := range list(n.get("invoke")) {
		if inv := r.invocation(item, s.ID, false); inv != nil {
			s.Invoke = append(s.Invoke, inv)
		}
	}
	if tasks := n.get("tasks"); tasks != nil && r.is(tasks, kindMap, "tasks") {
		for i, key := range tasks.keys {
			r.id(key, "task")
			if inv := r.invocation(tasks.items[i], key.text, true); inv != nil {
				inv.Pos = key.pos
				s.Tasks = append(s.Tasks, inv)
			}
		}
	}
	s.OnDone = r.transitions(n.get("onDone"))
	s.OnError = r.transitions(n.get("onError"))
	r.useful(s)
}

// useful refuses onDone and onError where nothing raises their event.
func (r *reader) useful(s *fsm.State) {
	if len(s.OnDone) > 0 && s.Type != fsm.Compound && s.Type != fsm.Parallel && len(s.Tasks) == 0 {
		hint := ""
		if len(s.Invoke) > 0 {
			hint = ": put it into the invoke"
		}
		r.errorf(s.OnDone[0].Pos, "useless-handler", "state %q has no children and no tasks that could be done%s", s.ID, hint)
	}
	if len(s.OnError) > 0 && len(s.Tasks) == 0 {
		hint := ""
		if len(s.Invoke) > 0 {
			hint = ": put it into the invoke"
		}
		r.errorf(s.OnError[0].Pos, "useless-handler", "state %q has no tasks that could fail%s", s.ID, hint)
	}
	if len(s.OnDone) > 0 && len(s.Tasks) > 0 && s.Type != fsm.Atomic {
		r.warnf(s.OnDone[0].Pos, "ambiguous-handler", "onDone of state %q is taken when its children are done and when its tasks are", s.ID)
	}
}

// stateEnd reads what only final and history states have.
func (r *reader) stateEnd(s *fsm.State, n *node) {
	s.Deep = choice(r, n.get("history"), "history", "shallow", "deep") == "deep"
	s.Target = r.names(n.get("target"), "target")
	s.Output = r.template(n.get("output"))
	if n.get("outcome") != nil {
		s.Outcome = choice(r, n.get("outcome"), "outcome", events.WorkflowCompleted, events.WorkflowFailed, events.WorkflowCancelled)
	}
	if e := n.get("error"); e != nil && r.fields(e, "error", "code", "message") {
		s.ErrorCode = r.fixed(e.get("code"), "error.code")
		s.ErrorMessage = r.template(e.get("message"))
	}
}

// suits refuses fields that a state of its type does not have.
func (r *reader) suits(s *fsm.State, n *node) {
	var allowed []string
	switch s.Type {
	case fsm.Final:
		allowed = []string{"type", "entry", "exit", "output", "outcome", "error", "tags", "description"}
	case fsm.History:
		allowed = []string{"type", "history", "target", "tags", "description"}
	default:
		allowed = append(slices.Clip(stateFields[:12]), "tags", "description")
	}
	for _, key := range n.keys {
		if !slices.Contains(allowed, key.text) && slices.Contains(stateFields, key.text) {
			r.errorf(key.pos, "bad-type", "%s state %q cannot have %q", s.Type, s.ID, key.text)
		}
	}
	if s.Type == fsm.Atomic && n.get("initial") != nil {
		r.errorf(n.get("initial").pos, "bad-type", "state %q has no children: it has no initial", s.ID)
	}
	if s.Type == fsm.Atomic && len(s.States) > 0 {
		r.errorf(s.Pos, "bad-type", "atomic state %q has child states", s.ID)
	}
}

func (r *reader) initial(n *node) *fsm.Transition {
	t := &fsm.Transition{Pos: n.pos}
	if n.kind == kindMap {
		r.fields(n, "initial", "target", "actions")
		t.Targets = r.names(n.get("target"), "target")
		t.Actions = r.actions(n.get("actions"))
		return t
	}
	t.Targets = r.names(n, "initial")
	return t
}

// on reads transitions by event. One key may hold several descriptors.
func (r *reader) on(n *node) []*fsm.Transition {
	if n == nil || !r.is(n, kindMap, "on") {
		return nil
	}
	var out []*fsm.Transition
	for i, key := range n.keys {
		descriptors := strings.Fields(key.text)
		if len(descriptors) == 0 {
			r.errorf(key.pos, "bad-id", "an event has a name")
		}
		for _, d := range descriptors {
			r.descriptor(key, d)
		}
		for _, t := range r.transitions(n.items[i]) {
			t.Events = descriptors
			out = append(out, t)
		}
	}
	return out
}

func (r *reader) descriptor(key *node, d string) {
	name := strings.TrimSuffix(d, ".*")
	if d == "*" {
		return
	}
	if name == "" || strings.Contains(name, "*") || len(name) > events.MaxNameLength {
		r.errorf(key.pos, "bad-id", "event descriptor %q is not a name, a.b.* or *", clip(d))
	}
}

// after reads transitions by the time that the state has been active.
func (r *reader) after(n *node) []fsm.After {
	if n == nil || !r.is(n, kindMap, "after") {
		return nil
	}
	var out []fsm.After
	for i, key := range n.keys {
		a := fsm.After{Pos: key.pos, Key: key.text, Delay: r.delay(key, "after"), Transitions: r.transitions(n.items[i])}
		for _, other := range out {
			if a.Delay.Expr == nil && other.Delay.Expr == nil && a.Delay.Fixed == other.Delay.Fixed {
				r.errorf(key.pos, "duplicate-timer", "%q is as long as %q: put both transitions into one list", key.text, other.Key)
			}
		}
		out = append(out, a)
	}
	return out
}

// transitions reads one transition or a list.
func (r *reader) transitions(n *node) []*fsm.Transition {
	var out []*fsm.Transition
	for _, item := range list(n) {
		if t := r.transition(item); t != nil {
			out = append(out, t)
		}
	}
	return out
}

func (r *reader) transition(n *node) *fsm.Transition {
	t := &fsm.Transition{Pos: n.pos}
	if n.kind == kindText {
		t.Targets = r.names(n, "target")
		return t
	}
	if !r.fields(n, "a transition", "target", "guard", "assign", "actions", "internal", "description") {
		return nil
	}
	t.Targets = r.names(n.get("target"), "target")
	if target := n.get("target"); target != nil && len(t.Targets) == 0 {
		r.errorf(target.pos, "missing-target", "the target names no state: leave it out to stay")
	}
	t.Guard = r.expr(n.get("guard"), "guard")
	t.Assign = r.assign(n.get("assign"))
	t.Actions = r.actions(n.get("actions"))
	t.Internal = r.boolean(n.get("internal"), "internal")
	t.Description = r.text(n.get("description"), "description")
	return t
}
