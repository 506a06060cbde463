package draw

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/leat-io/leat/pkg/fsm"
)

// Mermaid draws a definition as a Mermaid state diagram.
func Mermaid(w io.Writer, m *fsm.Machine) error {
	g := &graph{out: &strings.Builder{}, ids: make(map[string]string)}
	g.out.WriteString("stateDiagram-v2\n")
	root := m.Definition().Root
	walk(root, func(s *fsm.State) { g.ids[s.ID] = fmt.Sprintf("s%d", len(g.ids)) })
	g.mermaid(root, 1)
	for _, e := range lines(root) {
		fmt.Fprintf(g.out, "    %s --> %s", g.ids[e.from], g.ids[e.to])
		if e.label != "" {
			fmt.Fprintf(g.out, " : %s", strings.NewReplacer(":", "#58;", ";", "#59;", "\n", " ").Replace(e.label))
		}
		g.out.WriteByte('\n')
	}
	_, err := io.WriteString(w, g.out.String())
	return err
}

type graph struct {
	out *strings.Builder
	ids map[string]string
}

func (g *graph) mermaid(s *fsm.State, depth int) {
	indent := strings.Repeat("    ", depth)
	for i, child := range s.States {
		if s.Type == fsm.Parallel && i > 0 {
			fmt.Fprintf(g.out, "%s--\n", indent)
		}
		name := []string{child.ID}
		for _, inv := range slices.Concat(child.Invoke, child.Tasks) {
			name = append(name, inv.Task)
		}
		fmt.Fprintf(g.out, "%sstate %q as %s\n", indent, strings.ReplaceAll(strings.Join(name, " / "), `"`, "'"), g.ids[child.ID])
		if len(child.States) > 0 {
			fmt.Fprintf(g.out, "%sstate %s {\n", indent, g.ids[child.ID])
			g.mermaid(child, depth+1)
			fmt.Fprintf(g.out, "%s}\n", indent)
		}
		if child.Type == fsm.Final {
			fmt.Fprintf(g.out, "%s%s --> [*]\n", indent, g.ids[child.ID])
		}
	}
	for _, id := range initials(s) {
		fmt.Fprintf(g.out, "%s[*] --> %s\n", indent, g.ids[id])
	}
}

// Dot draws a definition in the language of Graphviz.
func Dot(w io.Writer, m *fsm.Machine) error {
	out := &strings.Builder{}
	root := m.Definition().Root
	fmt.Fprintf(out, "digraph %q {\n  compound=true; node [shape=box, style=rounded];\n", root.ID)
	dotStates(out, root, 1)
	for _, e := range lines(root) {
		fmt.Fprintf(out, "  %q -> %q [label=%q];\n", e.from, e.to, e.label)
	}
	out.WriteString("}\n")
	_, err := io.WriteString(w, out.String())
	return err
}

func dotStates(out *strings.Builder, s *fsm.State, depth int) {
	indent := strings.Repeat("  ", depth)
	for _, child := range s.States {
		shape := ""
		if child.Type == fsm.Final {
			shape = " [peripheries=2]"
		}
		if len(child.States) > 0 {
			fmt.Fprintf(out, "%ssubgraph %q {\n%s  label=%q; %q [shape=point];\n", indent, "cluster_"+child.ID, indent, child.ID, child.ID)
			dotStates(out, child, depth+1)
			fmt.Fprintf(out, "%s}\n", indent)
			continue
		}
		fmt.Fprintf(out, "%s%q%s;\n", indent, child.ID, shape)
	}
}

// line is one arrow of the drawing.
type line struct{ from, to, label string }

// lines are the arrows in document order. One of the root is drawn from each of
// its children that is not final.
func lines(root *fsm.State) []line {
	var out []line
	walk(root, func(s *fsm.State) {
		sources := []string{s.ID}
		if s == root {
			sources = nil
			for _, child := range s.States {
				if child.Type != fsm.Final && child.Type != fsm.History {
					sources = append(sources, child.ID)
				}
			}
		}
		add := func(label string, list []*fsm.Transition) {
			for _, t := range list {
				text := label
				if t.Guard != nil {
					text += " [" + t.Guard.Source + "]"
				}
				for _, target := range t.Targets {
					for _, from := range sources {
						out = append(out, line{from, target.ID, strings.TrimSpace(text)})
					}
				}
			}
		}
		for _, t := range s.On {
			add(strings.Join(t.Events, " "), []*fsm.Transition{t})
		}
		add("done", s.OnDone)
		add("error", s.OnError)
		for _, inv := range slices.Concat(s.Invoke, s.Tasks) {
			add(inv.ID+" done", inv.OnDone)
			add(inv.ID+" error", inv.OnError)
		}
		for i := range s.After {
			add("after "+s.After[i].Key, s.After[i].Transitions)
		}
		add("", s.Always)
		if s.Type == fsm.History {
			for _, target := range s.Target {
				out = append(out, line{s.ID, target.ID, "default"})
			}
		}
	})
	return out
}

// walk visits a state and all below it, in document order.
func walk(s *fsm.State, visit func(*fsm.State)) {
	visit(s)
	for _, child := range s.States {
		walk(child, visit)
	}
}
