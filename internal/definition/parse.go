package definition

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/leat-io/leat/internal/cel"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

// Parse reads a definition and compiles it. The findings are all that is worth
// saying about it, warnings included; the machine is nil when one of them is an
// error, and then the error lists those. Name appears in messages only.
func Parse(name string, src []byte) (*fsm.Machine, Findings, error) {
	top, err := parseNode(src)
	if err != nil {
		bad, ok := errors.AsType[*problem](err)
		if !ok {
			return nil, nil, fmt.Errorf("read %s: %w", name, err)
		}
		findings := collect(name, []fsm.Finding{{Pos: bad.pos, Rule: bad.rule, Text: bad.text}})
		return nil, findings, findings.Err()
	}
	return parseTop(name, top)
}

// parseTop does what Parse does with a file that has been read.
func parseTop(name string, top *node) (*fsm.Machine, Findings, error) {
	r := &reader{}
	r.depth(top, 0)
	if len(r.findings) > 0 {
		findings := collect(name, r.findings)
		return nil, findings, findings.Err()
	}
	def := r.definition(top)
	def.File = name
	machine := r.compile(def)
	findings := collect(name, r.findings)
	if findings.HasErrors() {
		return nil, findings, findings.Err()
	}
	return machine, findings, nil
}

// compile hands the definition to fsm and adds the checks that need the whole.
func (r *reader) compile(def *fsm.Definition) *fsm.Machine {
	if def.Root == nil {
		return nil
	}
	names := cel.Names{Data: make(map[string]events.Kind)}
	for _, v := range def.Data {
		names.Data[v.Name] = v.Kind
	}
	for _, p := range def.Payloads {
		names.Payloads = append(names.Payloads, p.Name)
	}
	walk(def.Root, func(s *fsm.State) { names.States = append(names.States, s.ID) })
	environment, err := cel.New(names)
	if err != nil {
		r.errorf(def.Pos, "expression", "%v", err)
		return nil
	}
	machine, found := fsm.Compile(def, environment)
	r.findings = append(r.findings, found...)
	r.check(def)
	return machine
}

// walk visits a state and all below it, in document order.
func walk(s *fsm.State, visit func(*fsm.State)) {
	visit(s)
	for _, child := range s.States {
		walk(child, visit)
	}
}

// depth refuses values that are nested too deep: states within states, and
// other values below a state.
func (r *reader) depth(n *node, depth int) {
	if depth > MaxDepth {
		if len(r.findings) == 0 {
			r.errorf(n.pos, "too-deep", "values are nested more than %d deep", MaxDepth)
		}
		return
	}
	for i, item := range n.items {
		if n.kind == kindMap && n.keys[i].text == "states" && item.kind == kindMap {
			for _, state := range item.items {
				r.depth(state, 1)
			}
			continue
		}
		r.depth(item, depth+1)
	}
}

func (r *reader) definition(n *node) *fsm.Definition {
	def := &fsm.Definition{Pos: n.pos}
	if !r.fields(n, "a definition", "leat", "type", "version", "description", "input", "data", "payloads", "secrets",
		"compensation", "limits", "isolation", "retention", "search", "tool", "initial", "on", "always", "after", "entry", "exit", "states") {
		return def
	}
	r.require(n, "leat", "type", "version", "states")
	if format := n.get("leat"); format != nil && format.text != "v1" {
		r.errorf(format.pos, "bad-value", "leat is v1, the format that this engine reads, not %q", clip(format.text))
	}
	def.Type = r.text(n.get("type"), "type")
	if t := n.get("type"); t != nil && t.kind == kindText {
		if err := events.CheckWorkflowType("type", def.Type); err != nil {
			r.errorf(t.pos, "bad-id", "%v", err)
		}
	}
	if v := n.get("version"); v != nil {
		def.Version = int32(r.integer(v, "version", 1, math.MaxInt32)) //nolint:gosec // checked
	}
	def.Description = r.text(n.get("description"), "description")
	r.schema(n.get("input"), def)
	r.data(n.get("data"), def)
	r.payloads(n.get("payloads"), def)
	def.Secrets = r.texts(n.get("secrets"), "a secret")
	r.compensation(n.get("compensation"), def)
	r.limits(n.get("limits"), def)
	def.Isolation = choice(r, n.get("isolation"), "isolation",
		events.ReadCommitted, events.ReadUncommitted, events.RepeatableRead, events.Serializable)
	def.Retention = r.duration(n.get("retention"), "retention")
	r.search(n.get("search"), def)
	r.tool(n.get("tool"), def)
	def.Root = r.rootState(n, def.Type)
	return def
}

func (r *reader) require(n *node, names ...string) {
	for _, name := range names {
		if n.get(name) == nil {
			r.errorf(n.pos, "missing-field", "%q is missing", name)
		}
	}
}

// rootState makes a state of the top level. Its `type` is the workflow's.
func (r *reader) rootState(n *node, name string) *fsm.State {
	root := &fsm.State{ID: name, Pos: n.pos, Type: fsm.Compound}
	if name == "parallel" && n.get("initial") == nil {
		root.Type = fsm.Parallel
	}
	r.stateBody(root, n, 0)
	if n.get("states") != nil && len(root.States) == 0 {
		r.errorf(n.get("states").pos, "missing-field", "there are no states")
		return nil
	}
	if len(root.States) == 0 {
		return nil
	}
	return root
}

func (r *reader) compensation(n *node, def *fsm.Definition) {
	if n == nil || !r.fields(n, "compensation", "on", "order") {
		return
	}
	def.Compensation = &fsm.Compensation{Pos: n.pos}
	for _, item := range list(n.get("on")) {
		def.Compensation.On = append(def.Compensation.On, choice(r, item, "compensation.on",
			events.WorkflowFailed, events.WorkflowCancelled, events.WorkflowTimeout))
	}
	if n.get("on") == nil {
		def.Compensation.On = []events.WorkflowState{events.WorkflowFailed, events.WorkflowCancelled, events.WorkflowTimeout}
	}
	order := choice(r, n.get("order"), "compensation.order", "reverse", "forward", "parallel")
	def.Compensation.Reverse, def.Compensation.AtOnce = order == "reverse", order == "parallel"
}

func (r *reader) limits(n *node, def *fsm.Definition) {
	if n == nil || !r.fields(n, "limits", fsm.LimitNames()...) {
		return
	}
	def.Limits = make(map[string]int64)
	for i, key := range n.keys {
		least := int64(1)
		if key.text == fsm.LimitTaskRetries {
			least = 0 // one attempt and no more
		}
		def.Limits[key.text] = r.integer(n.items[i], key.text, least, math.MaxInt64)
	}
}

func (r *reader) search(n *node, def *fsm.Definition) {
	for _, name := range r.names(n, "a searchable name") {
		i := slices.IndexFunc(def.Data, func(v fsm.Variable) bool { return v.Name == name.ID })
		switch {
		case i < 0:
			known := make([]string, 0, len(def.Data))
			for _, v := range def.Data {
				known = append(known, v.Name)
			}
			r.errorf(name.Pos, "unknown-data", "%q is not declared under data%s", name.ID, fsm.Suggest(name.ID, known))
		case def.Data[i].Kind == events.KindMap:
			r.errorf(name.Pos, "wrong-kind", "%q is a map, which cannot be searched", name.ID)
		case slices.Contains(def.Search, name.ID):
			r.errorf(name.Pos, "duplicate-id", "%q is searchable already", name.ID)
		}
		def.Search = append(def.Search, name.ID)
	}
}
