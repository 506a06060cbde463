package draw

import (
	"slices"
	"strings"

	"github.com/leat-io/leat/pkg/fsm"
)

// edge is an arrow of the drawing.
type edge struct {
	from, to *box
	label    string
	kind     string // of a class: "", error, after, always, start
}

// maxLabel bounds a label; the whole text is in the arrow's tooltip.
const maxLabel = 34

// edgesOf are the arrows in document order. Several from one state to the same
// other state are one arrow with several labels; those of the root begin at its
// frame.
func edgesOf(top *box, byID map[string]*box) []edge {
	all := arrows{byID: byID}
	visit(top, func(b *box) {
		add := func(label, kind string, list []*fsm.Transition) { all.take(b, label, kind, list) }
		s := b.state
		for _, t := range s.On {
			add(strings.Join(t.Events, " "), "", []*fsm.Transition{t})
		}
		add("done", "", s.OnDone)
		add("error", "error", s.OnError)
		for _, inv := range slices.Concat(s.Invoke, s.Tasks) {
			name := ""
			if len(s.Invoke)+len(s.Tasks) > 1 {
				name = inv.ID + " "
			}
			add(name+"done", "", inv.OnDone)
			add(name+"error", "error", inv.OnError)
		}
		for i := range s.After {
			add("after "+s.After[i].Key, "after", s.After[i].Transitions)
		}
		add("", "always", s.Always)
		for _, target := range s.Target {
			all.add(b, target.ID, "", "default")
		}
	})
	return all.edges
}

// arrows collects edges.
type arrows struct {
	byID  map[string]*box
	edges []edge
}

func (a *arrows) take(from *box, label, kind string, list []*fsm.Transition) {
	for _, t := range list {
		text := label
		if t.Guard != nil {
			text += " [" + t.Guard.Source + "]"
		}
		for _, target := range t.Targets {
			a.add(from, target.ID, strings.TrimSpace(text), kind)
		}
	}
}

func (a *arrows) add(from *box, to, label, kind string) {
	target := a.byID[to]
	if target == nil {
		return
	}
	for i := range a.edges {
		e := &a.edges[i]
		if e.from == from && e.to == target && e.kind == kind && label != "" && e.label != "" {
			e.label += "\n" + label
			return
		}
	}
	a.edges = append(a.edges, edge{from, target, label, kind})
}

// addStarts puts a dot before the initial states of each compound state.
func addStarts(top *box, byID map[string]*box) []edge {
	var out []edge
	visit(top, func(b *box) {
		ids := initials(b.state)
		if len(ids) == 0 {
			return
		}
		dot := &box{parent: b, w: dotSize, h: dotSize}
		b.extra = append(b.extra, dot)
		for _, id := range ids {
			if byID[id] != nil {
				out = append(out, edge{dot, byID[id], "", "start"})
			}
		}
	})
	return out
}

// addAny lets the arrows of the root begin at a sign of their own.
func addAny(top *box, edges []edge) {
	var sign *box
	for i := range edges {
		if edges[i].from != top {
			continue
		}
		if sign == nil {
			sign = &box{parent: top, lines: []string{"in any state"}, w: textWidth("in any state") + 2*padding, h: lineHeight + padding}
			top.extra = append(top.extra, sign)
		}
		edges[i].from = sign
	}
}

// labelLines are the lines of an arrow's label.
func labelLines(label string) []string {
	lines := strings.Split(label, "\n")
	for i := range lines {
		lines[i] = clip(lines[i], maxLabel)
	}
	return lines
}

func labelWidth(label string) float64 {
	width := 0.0
	for _, line := range labelLines(label) {
		width = max(width, textWidth(line)*smallFont/fontSize)
	}
	return width
}

// visit calls f for a box and all below it, in document order.
func visit(b *box, f func(*box)) {
	f(b)
	for _, child := range b.children {
		visit(child, f)
	}
}
