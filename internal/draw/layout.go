package draw

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/leat-io/leat/pkg/fsm"
)

// Measures of a drawing, in pixels.
const (
	fontSize   = 13.0
	charWidth  = 7.2 // of a letter, a little more than most are wide
	lineHeight = 17.0
	padding    = 12.0
	gapAcross  = 36.0 // between the boxes of a layer, at least
	gapDown    = 44.0 // between layers, at least
	rowWidth   = 1100.0
	dotSize    = 12.0
)

// box is a state in the drawing. X and y are relative to the parent's box until
// place makes them absolute.
type box struct {
	state    *fsm.State
	lines    []string // title, then what it does
	parent   *box
	children []*box
	extra    []*box             // what is drawn with the children and is no state
	passing  []*box             // where long arrows pass
	ways     map[[2]*box][]*box // from one member to another: what it passes

	x, y, w, h float64
	head       float64 // height of the title above the children
}

func textWidth(text string) float64 { return float64(utf8.RuneCountInString(text)) * charWidth }

// newBox makes the boxes of a state and of all below it.
func newBox(s *fsm.State, parent *box, byID map[string]*box) *box {
	b := &box{state: s, parent: parent, lines: titleOf(s)}
	if parent != nil {
		byID[s.ID] = b
	}
	for _, child := range s.States {
		b.children = append(b.children, newBox(child, b, byID))
	}
	return b
}

// titleOf is the text of a box: the id, then what the state asks for.
func titleOf(s *fsm.State) []string {
	if s.Type == fsm.History {
		if s.Deep {
			return []string{"H*"}
		}
		return []string{"H"}
	}
	out := []string{s.ID}
	for _, inv := range s.Invoke {
		out = append(out, clip("▸ "+inv.Task, 34))
	}
	for _, inv := range s.Tasks {
		text := "▸ " + inv.ID + ": " + inv.Task
		if len(inv.Needs) > 0 {
			text += " ⟵"
			var textSb66 strings.Builder
			for i, n := range inv.Needs {
				if i > 0 {
					textSb66.WriteString(",")
				}
				textSb66.WriteString(" " + n.Task)
			}
			text += textSb66.String()
		}
		out = append(out, clip(text, 44))
	}
	return out
}

// clip shortens a text to most letters.
func clip(text string, most int) string {
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most-1]) + "…"
}

// size gives a box and all below it their sizes, and the places within.
func (b *box) size(edges []edge) {
	for _, line := range b.lines {
		b.w = max(b.w, textWidth(line)+2*padding)
	}
	b.head = float64(len(b.lines))*lineHeight + padding
	b.w, b.h = max(b.w, 56), b.head+padding/2
	if b.state.Type == fsm.History {
		b.w, b.h = 30, 30
	}
	if len(b.children) == 0 {
		return
	}
	for _, child := range b.children {
		child.size(edges)
	}
	inner, links := b.members(edges)
	if b.state.Type == fsm.Parallel {
		b.regions(inner)
		return
	}
	b.stack(inner, links, edges)
}

// members are the boxes to lay out within b: the dot of the start, the sign of
// the root's own transitions, then the children; and the links among them, those
// of arrows that end deeper included.
func (b *box) members(edges []edge) ([]*box, []link) {
	inner := append([]*box(nil), b.extra...)
	inner = append(inner, b.children...)
	at := make(map[*box]int, len(inner))
	for i, child := range inner {
		at[child] = i
	}
	var links []link
	for _, e := range edges {
		i, known := at[within(e.from, b)]
		j, knownTo := at[within(e.to, b)]
		if known && knownTo && i != j {
			links = append(links, link{i, j})
		}
	}
	return inner, links
}

// within is the child of outer that contains b, or nil.
func within(b, outer *box) *box {
	for ; b != nil; b = b.parent {
		if b.parent == outer {
			return b
		}
	}
	return nil
}

// stack puts layers below each other and notes where long arrows pass.
func (b *box) stack(inner []*box, links []link, edges []edge) {
	rows, between, short := layers(len(inner), links)
	nodes := append([]*box(nil), inner...)
	b.ways = make(map[[2]*box][]*box)
	for _, l := range links {
		list, back := between[l], between[link{l.to, l.from}]
		for _, n := range append(list, back...) {
			for len(nodes) <= n {
				nodes = append(nodes, &box{parent: b, w: 14})
			}
		}
		for _, n := range list {
			b.ways[[2]*box{inner[l.from], inner[l.to]}] = appendOnce(b.ways[[2]*box{inner[l.from], inner[l.to]}], nodes[n])
		}
		for _, n := range slices.Backward(back) {
			b.ways[[2]*box{inner[l.from], inner[l.to]}] = appendOnce(b.ways[[2]*box{inner[l.from], inner[l.to]}], nodes[n])
		}
	}
	across(nodes, rows, short, edges)
	y := b.head + padding
	if b.parent == nil {
		y = padding
	}
	right := 0.0
	for r, row := range rows {
		height := 0.0
		for _, n := range row {
			height = max(height, nodes[n].h)
			right = max(right, nodes[n].x+nodes[n].w+loopRoom(nodes[n], edges))
		}
		for _, n := range row {
			if n >= len(inner) {
				nodes[n].h = height
			}
			nodes[n].y = y + (height-nodes[n].h)/2
		}
		y += height
		if r < len(rows)-1 {
			y += b.gapBelow(nodes, row, rows[r+1], edges)
		}
	}
	shift := max(0, (b.w-right-padding)/2)
	for _, n := range nodes {
		n.x += padding + shift
	}
	b.w, b.h = max(b.w, right+2*padding), y+padding
	b.passing = nodes[len(inner):]
}

func appendOnce(list []*box, b *box) []*box {
	if slices.Contains(list, b) {
		return list
	}
	return append(list, b)
}

// across gives the nodes of each layer their x: near what they are linked with,
// in the order of the layer, and never over each other.
func across(nodes []*box, rows [][]int, links []link, edges []edge) {
	near := make([][]int, len(nodes))
	for _, l := range links {
		near[l.from], near[l.to] = append(near[l.from], l.to), append(near[l.to], l.from)
	}
	for _, row := range rows {
		x := 0.0
		for i, n := range row {
			if i > 0 {
				x += gapAcross + labelRoom(nodes[row[i-1]], nodes[n], edges) + loopRoom(nodes[row[i-1]], edges)
			}
			nodes[n].x = x
			x += nodes[n].w
		}
		for _, n := range row {
			nodes[n].x -= x / 2
		}
	}
	for round := range 2 * sweeps {
		for r := range rows {
			row := rows[r]
			if round%2 == 1 {
				row = rows[len(rows)-1-r]
			}
			settle(nodes, row, near, edges)
		}
	}
	left := 0.0
	for i, n := range nodes {
		if i == 0 || n.x < left {
			left = n.x
		}
	}
	for _, n := range nodes {
		n.x -= left
	}
}

// settle moves the nodes of one row towards their neighbours: the mean of the
// places that pushing to the right and pushing to the left give.
func settle(nodes []*box, row []int, near [][]int, edges []edge) {
	want := make([]float64, len(row))
	for i, n := range row {
		want[i] = nodes[n].x
		if len(near[n]) > 0 {
			sum := 0.0
			for _, other := range near[n] {
				sum += nodes[other].x + nodes[other].w/2
			}
			want[i] = sum/float64(len(near[n])) - nodes[n].w/2
		}
	}
	gap := func(i int) float64 { // between i and the one before
		return nodes[row[i-1]].w + gapAcross + labelRoom(nodes[row[i-1]], nodes[row[i]], edges) + loopRoom(nodes[row[i-1]], edges)
	}
	toRight := append([]float64(nil), want...)
	for i := 1; i < len(row); i++ {
		toRight[i] = max(toRight[i], toRight[i-1]+gap(i))
	}
	toLeft := append([]float64(nil), want...)
	for i := len(row) - 2; i >= 0; i-- {
		toLeft[i] = min(toLeft[i], toLeft[i+1]-gap(i+1))
	}
	for i, n := range row {
		nodes[n].x = (toRight[i] + toLeft[i]) / 2
	}
}

// labelRoom is what the labels of arrows between two neighbours need.
func labelRoom(a, b *box, edges []edge) float64 {
	room := 0.0
	for _, e := range edges {
		if e.label != "" && (e.from == a && e.to == b || e.from == b && e.to == a) {
			room = max(room, min(labelWidth(e.label), 180)-gapAcross/2)
		}
	}
	return room
}

// loopRoom is what a box's transitions to itself need at its right.
func loopRoom(b *box, edges []edge) float64 {
	for _, e := range edges {
		if e.from == b && e.to == b {
			return labelWidth(e.label) + 34
		}
	}
	return 0
}

// gapBelow is the room between two layers: enough for the labels of the arrows
// that end at its most visited box.
func (b *box) gapBelow(nodes []*box, row, next []int, edges []edge) float64 {
	most := 0
	for _, n := range append(append([]int(nil), row...), next...) {
		lines := 0
		for _, e := range edges {
			if e.label == "" || within(e.from, b) == within(e.to, b) {
				continue
			}
			if within(e.from, b) == nodes[n] || within(e.to, b) == nodes[n] {
				lines += len(labelLines(e.label))
			}
		}
		most = max(most, lines)
	}
	return gapDown + lineHeight*float64(min(most, 9))*0.8
}

// regions puts the regions of a parallel state beside each other, in rows.
func (b *box) regions(inner []*box) {
	x, y, height, right := padding, b.head+padding, 0.0, 0.0
	for _, child := range inner {
		if x > padding && x+child.w > rowWidth {
			x, y, height = padding, y+height+gapDown, 0
		}
		child.x, child.y = x, y
		x += child.w + gapAcross
		right, height = max(right, x-gapAcross), max(height, child.h)
	}
	b.w, b.h = max(b.w, right+padding), y+height+padding
}

// place makes the coordinates absolute.
func (b *box) place(x, y float64) {
	b.x, b.y = b.x+x, b.y+y
	for _, child := range b.children {
		child.place(b.x, b.y)
	}
	for _, other := range b.extra {
		other.place(b.x, b.y)
	}
	for _, other := range b.passing {
		other.place(b.x, b.y)
	}
}

// initials are the children, or what is deeper, that a compound state enters.
func initials(s *fsm.State) []string {
	if s.Type != fsm.Compound {
		return nil
	}
	var ids []string
	if s.Initial != nil {
		for _, name := range s.Initial.Targets {
			ids = append(ids, name.ID)
		}
		return ids
	}
	for _, child := range s.States {
		if child.Type != fsm.History {
			return []string{child.ID}
		}
	}
	return nil
}
