package definition

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
	"github.com/leat-io/leat/pkg/topics"
)

// Workers are the JSON Schemas of what handlers take and give, by the name under
// which they are registered: what Executor.Schemas of pkg/executor gives, as JSON.
type Workers map[string]struct {
	Input json.RawMessage `json:"input"`
}

// ReadWorkers reads the file of `leat def validate --workers`.
func ReadWorkers(text []byte) (Workers, error) {
	var w Workers
	if err := json.Unmarshal(text, &w); err != nil {
		return nil, fmt.Errorf("want {\"queue.task\": {\"input\": SCHEMA, \"output\": SCHEMA}, …}, which is the JSON of Executor.Schemas(): %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(w)) {
		queue, task, _ := strings.Cut(name, ".")
		if queue == "" || task == "" {
			return nil, fmt.Errorf("%q is not a task: want queue.task, or queue.*", name)
		}
		if _, err := readSchema(w[name].Input); err != nil {
			return nil, fmt.Errorf("the input of %q is not a JSON Schema: %w", name, err)
		}
	}
	return w, nil
}

// CompareWorkers compares the inputs that a definition gives its tasks with those
// that their handlers take, as far as the definition says what they are: literals,
// whole `data.NAME` and `input.NAME…` of a declared type. What another expression
// yields is not known before it is evaluated, and not compared. A type that can
// never fit is an error: each attempt would fail with BAD_INPUT. What the handler
// wants and does not get, and what it gets and does not know, is a warning.
func CompareWorkers(m *fsm.Machine, workers Workers) Findings {
	c := comparison{def: m.Definition(), data: map[string]events.Kind{}, workers: workers}
	for _, v := range c.def.Data {
		c.data[v.Name] = v.Kind
	}
	c.input, _ = readSchema(c.def.InputSchema)
	walk(c.def.Root, func(s *fsm.State) {
		for _, inv := range slices.Concat(s.Invoke, s.Tasks) {
			c.invocation(inv)
			if inv.Compensate != nil {
				c.invocation(inv.Compensate)
			}
		}
	})
	return collect(c.def.File, c.found)
}

type comparison struct {
	def     *fsm.Definition
	data    map[string]events.Kind
	input   *jsonSchema // of the start payload, nil for none
	workers Workers
	found   []fsm.Finding
}

func (c *comparison) say(severity fsm.Severity, pos fsm.Pos, format string, args ...any) {
	c.found = append(c.found, fsm.Finding{Pos: pos, Severity: severity, Rule: "workers", Text: fmt.Sprintf(format, args...)})
}

func (c *comparison) invocation(inv *fsm.Invocation) {
	if inv.Kind != fsm.InvokeTask {
		return
	}
	queue := topics.QueueOf(inv.Task)
	w, ok := c.workers[inv.Task]
	if !ok {
		w, ok = c.workers[queue+".*"]
	}
	if !ok {
		for name := range c.workers {
			if topics.QueueOf(name) == queue {
				c.say(fsm.SeverityWarning, inv.Pos, "task %s has no handler among the workers, who have others of queue %s", inv.Task, queue)
				return
			}
		}
		return // another program's
	}
	want, err := readSchema(w.Input)
	if err != nil || want == nil {
		return
	}
	want.defs = want.Defs
	given := shape{types: []string{"null"}, pos: inv.Pos, whole: true}
	if inv.Input != nil {
		given = c.shapeOf(inv.Input)
	}
	c.compare(inv.Task, "", want, given)
}

// compare compares one value.
func (c *comparison) compare(task, path string, want *jsonSchema, given shape) {
	want, nullable := want.resolve()
	if want == nil {
		return
	}
	if len(given.types) == 1 && given.types[0] == "null" {
		if path == "" {
			c.missing(task, path, want, given)
		}
		return // null is read as nothing
	}
	if types := want.types(); len(types) > 0 && len(given.types) > 0 && !overlap(types, given.types, nullable) {
		c.say(fsm.SeverityError, given.pos, "the handler of %s takes %s as %s, and is given %s", task, named(path), strings.Join(types, " or "), strings.Join(given.types, " or "))
		return
	}
	c.members(task, path, want, given)
	if want.Items != nil {
		for i, item := range given.items {
			want.Items.defs = want.defs
			c.compare(task, fmt.Sprintf("%s[%d]", path, i), want.Items, item)
		}
	}
	c.missing(task, path, want, given)
}

func (c *comparison) members(task, path string, want *jsonSchema, given shape) {
	for _, name := range slices.Sorted(maps.Keys(given.members)) {
		member := given.members[name]
		next := name
		if path != "" {
			next = path + "." + name
		}
		if p := want.property(name); p != nil {
			c.compare(task, next, p, member)
		} else if want.Properties != nil && want.Additional == nil && given.whole {
			c.say(fsm.SeverityWarning, member.pos, "the handler of %s has no field %s: it ignores it", task, next)
		}
	}
}

// missing tells what the handler wants and is not given.
func (c *comparison) missing(task, path string, want *jsonSchema, given shape) {
	if !given.whole {
		return
	}
	for _, name := range want.Required {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(given.members)), func(k string) bool { return strings.EqualFold(k, name) }) {
			if path != "" {
				name = path + "." + name
			}
			c.say(fsm.SeverityWarning, given.pos, "the handler of %s wants %s, which the input does not have: it is zero there (omitempty says that it may be missing)", task, name)
		}
	}
}

func named(path string) string {
	if path == "" {
		return "its input"
	}
	return path
}

// overlap reports whether a value can be of both. An integer is a number, and a
// number may be whole.
func overlap(want, given []string, nullable bool) bool {
	for _, g := range given {
		if slices.Contains(want, g) || g == "null" && nullable ||
			g == "integer" && slices.Contains(want, "number") || g == "number" && slices.Contains(want, "integer") {
			return true
		}
	}
	return false
}
