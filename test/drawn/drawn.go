// Package drawn draws workflow definitions and what happens to their instances,
// for the laws that hold for every one of them.
package drawn

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/leat-io/leat/internal/definition"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

// chartGen draws a definition: a tree of states of every type, with transitions
// between any two of them, tasks, timers and sends.
type chartGen struct {
	t     *rapid.T
	ids   []string
	paths map[string][]*tree // from the root to the state itself
	out   strings.Builder
	names int
}

func (g *chartGen) pick(label string, n int) int { return rapid.IntRange(0, n-1).Draw(g.t, label) }

func (g *chartGen) id() string {
	g.names++
	return fmt.Sprintf("s%d", g.names)
}

// tree draws the shape first, so that transitions may target what comes later.
type tree struct {
	id, kind string
	children []*tree
}

func (g *chartGen) shape(depth int, parentKind string) *tree {
	kinds := []string{"atomic", "atomic", "compound", "parallel", "final"}
	if depth >= 3 {
		kinds = []string{"atomic", "final"}
	}
	if parentKind == "parallel" {
		kinds = kinds[:len(kinds)-1]
	}
	s := &tree{id: g.id(), kind: kinds[g.pick("kind", len(kinds))]}
	g.ids = append(g.ids, s.id)
	if s.kind == "compound" || s.kind == "parallel" {
		for range 1 + g.pick("children", 3) {
			s.children = append(s.children, g.shape(depth+1, s.kind))
		}
		if g.pick("history", 3) == 0 {
			h := &tree{id: g.id(), kind: "history"}
			g.ids = append(g.ids, h.id)
			s.children = append(s.children, h)
		}
	}
	return s
}

// place notes where a state is.
func (g *chartGen) place(s *tree, above []*tree) {
	path := append(slices.Clip(above), s)
	g.paths[s.id] = path
	for _, child := range s.children {
		g.place(child, path)
	}
}

// target draws one state, or two that lie in different regions of a parallel one.
func (g *chartGen) target() string {
	one, two := g.ids[g.pick("target", len(g.ids))], g.ids[g.pick("second", len(g.ids))]
	a, b := g.paths[one], g.paths[two]
	for i := 0; i < min(len(a), len(b)); i++ {
		if a[i] != b[i] {
			if a[i-1].kind == "parallel" && a[i].kind != "history" && b[i].kind != "history" && g.pick("both", 2) == 0 {
				return fmt.Sprintf("[%s, %s]", one, two)
			}
			break
		}
	}
	return one
}

func (g *chartGen) write(s *tree, indent string) {
	fmt.Fprintf(&g.out, "%s%s:\n", indent, s.id)
	indent += "  "
	fmt.Fprintf(&g.out, "%stype: %s\n", indent, s.kind)
	switch s.kind {
	case "final":
		return
	case "history":
		// replaced by the caller, who knows the parent's children
		return
	}
	if len(s.children) > 0 {
		fmt.Fprintf(&g.out, "%sstates:\n", indent)
		for _, child := range s.children {
			g.write(child, indent+"  ")
			if child.kind == "history" {
				fmt.Fprintf(&g.out, "%s    history: %s\n%s    target: %s\n", indent, []string{"shallow", "deep"}[g.pick("deep", 2)], indent, s.children[0].id)
			}
		}
	}
	fmt.Fprintf(&g.out, "%sentry: [{assign: {n: data.n + 1}}]\n", indent)
	fmt.Fprintf(&g.out, "%son:\n", indent)
	for _, e := range []string{"e1", "e2", "e3"} {
		if g.pick("has", 2) == 0 {
			fmt.Fprintf(&g.out, "%s  %s: {target: %s, internal: %v, assign: {n: data.n + 1}}\n", indent, e, g.target(), g.pick("internal", 2) == 0)
		}
	}
	fmt.Fprintf(&g.out, "%s  e4: {actions: [{raise: e1}, {send: {event: e2, delay: 3s, id: x}}]}\n", indent)
	if g.pick("after", 3) == 0 {
		fmt.Fprintf(&g.out, "%safter: {2s: %s}\n", indent, g.target())
	}
	switch g.pick("work", 4) {
	case 0:
		fmt.Fprintf(&g.out, "%sinvoke: {task: q.t, retry: {maxAttempts: 2}, timeout: 5s, onDone: %s, onError: {actions: [{cancel: x}]}}\n", indent, g.target())
	case 1:
		fmt.Fprintf(&g.out, "%stasks: {a: {task: q.a}, b: {task: q.b, needs: [a]}}\n%sonDone: %s\n%sonError: {actions: []}\n", indent, indent, g.target(), indent)
	}
}

// Machine draws a definition.
func Machine(t *rapid.T) *fsm.Machine { return parse(t, source(t)) }

// Versions draws a definition, and gives it and the same one as version 2, in
// which every state sN is called tN.
func Versions(t *rapid.T) (one, two *fsm.Machine, mapping map[string]string) {
	text := source(t)
	one = parse(t, text)
	renamed := regexp.MustCompile(`\bs(\d+)\b`).ReplaceAllString(text, "t$1")
	two = parse(t, strings.Replace(renamed, "version: 1", "version: 2", 1))
	mapping = make(map[string]string)
	for _, id := range regexp.MustCompile(`\bs\d+\b`).FindAllString(text, -1) {
		mapping[id] = "t" + id[1:]
	}
	return one, two, mapping
}

func source(t *rapid.T) string {
	g := &chartGen{t: t, paths: make(map[string][]*tree)}
	rootKind := []string{"flat", "flat", "flat", "parallel"}[g.pick("root", 4)]
	root := &tree{kind: rootKind}
	for range 2 + g.pick("top", 3) {
		root.children = append(root.children, g.shape(1, rootKind))
	}
	g.place(root, nil)
	g.out.WriteString("leat: v1\ntype: " + rootKind + "\nversion: 1\ncompensation: {on: [failed]}\ndata: {n: {type: long, default: 0}}\nstates:\n")
	for _, s := range root.children {
		g.write(s, "  ")
	}
	return g.out.String()
}

func parse(t *rapid.T, text string) *fsm.Machine {
	t.Log(text)
	m, _, err := definition.Parse("drawn.yaml", []byte(text))
	if err != nil {
		t.Skip(err.Error()) // such as a default that cannot be
	}
	return m
}

// Input draws something that may happen to a chart.
func Input(t *rapid.T, instance fsm.Instance, chart *events.Chart, now time.Time) fsm.Input {
	in := fsm.Input{Kind: fsm.InputEvent, Instance: instance, Now: now}
	switch kind := rapid.IntRange(0, 7).Draw(t, "input"); {
	case kind == 5 && len(chart.Timers) > 0:
		in.Kind = fsm.InputTimer
		in.TimerID = chart.Timers[rapid.IntRange(0, len(chart.Timers)-1).Draw(t, "timer")].ID
	case kind >= 6 && len(chart.Tasks) > 0:
		task := chart.Tasks[rapid.IntRange(0, len(chart.Tasks)-1).Draw(t, "task")]
		in.Kind = rapid.SampledFrom([]fsm.InputKind{fsm.InputClaim, fsm.InputHeartbeat, fsm.InputResult}).Draw(t, "report")
		in.Task = &events.TaskResult{TaskID: task.TaskID, Attempt: max(task.Attempt, 1), NodeID: "n", State: events.TaskCompleted}
		if rapid.Bool().Draw(t, "failed") {
			in.Task.State, in.Task.Error = events.TaskFailed, &events.Error{Code: "E", Message: "m", Retryable: true}
		}
	default:
		in.Name = rapid.SampledFrom([]string{"e1", "e2", "e3", "e4", "e5"}).Draw(t, "event")
	}
	return in
}
