package draw

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"github.com/leat-io/leat/pkg/fsm"
)

// Measures of the text beside arrows.
const (
	smallFont = 11.5
	smallLine = 14.0
)

// style colours a drawing for light and dark pages. It uses no variables, so that
// programs which know little of CSS show it as well.
const style = `
  text { font: 13px ui-sans-serif, system-ui, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1f2933; }
  .page { fill: #ffffff; }
  .state { fill: #ffffff; stroke: #52606d; stroke-width: 1.4; }
  .group { fill: #f4f7fa; stroke: #7b8794; stroke-width: 1.2; }
  .region { fill: #ffffff; stroke: #7b8794; stroke-dasharray: 5 4; }
  .final { stroke-width: 1; fill: none; stroke: #52606d; }
  .failed { stroke: #c0392b; }
  .id { font-weight: 600; }
  .work { font-size: 12px; fill: #3e4c59; }
  .dot { fill: #1f2933; }
  .any { fill: #fff8e1; stroke: #b7791f; stroke-dasharray: 3 3; }
  .edge { fill: none; stroke: #52606d; stroke-width: 1.3; }
  .error { stroke: #c0392b; }
  .after { stroke: #b7791f; stroke-dasharray: 6 3; }
  .always, .default, .start { stroke: #7b8794; }
  .head { fill: #52606d; stroke: none; }
  .label { font-size: 11.5px; fill: #1f4e79; paint-order: stroke; stroke: #ffffff; stroke-width: 4px; stroke-linejoin: round; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e4e7eb; }
    .page { fill: #14181d; }
    .state { fill: #1f2630; stroke: #9aa5b1; }
    .group { fill: #191f27; stroke: #7b8794; }
    .region { fill: #14181d; }
    .final { stroke: #9aa5b1; }
    .failed { stroke: #ff8a7a; }
    .work { fill: #cbd2d9; }
    .dot { fill: #e4e7eb; }
    .any { fill: #33290f; stroke: #e0b252; }
    .edge { stroke: #9aa5b1; }
    .error { stroke: #ff8a7a; }
    .after { stroke: #e0b252; }
    .head { fill: #9aa5b1; }
    .label { fill: #9fd0ff; stroke: #14181d; }
  }
`

// SVG draws a definition. The picture is as large as it must be, and readable on
// light and dark pages.
func SVG(w io.Writer, m *fsm.Machine) error {
	byID := make(map[string]*box)
	root := newBox(m.Definition().Root, nil, byID)
	root.lines = nil
	edges := edgesOf(root, byID)
	addAny(root, edges)
	edges = append(addStarts(root, byID), edges...)
	root.size(edges)
	root.place(0, 0)

	p := &picture{}
	all := routes(edges)
	p.labels(root, all)
	width, height := p.extent(root, all)
	p.printf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f" role="img">`+"\n", width, height, width, height)
	p.printf("<title>%s</title>\n<style>%s</style>\n", escape(fmt.Sprintf("%s version %d", m.Type(), m.Version())), style)
	p.printf(`<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto-start-reverse"><path class="head" d="M0,0.5 L10,5 L0,9.5 z"/></marker></defs>` + "\n")
	p.printf(`<rect class="page" width="%.0f" height="%.0f"/>`+"\n", width, height)
	p.inside(root)
	for _, r := range all {
		p.arrow(r)
	}
	for i, r := range all {
		p.label(r, p.places[i])
	}
	p.printf("</svg>\n")
	_, err := w.Write(p.out.Bytes())
	return err
}

type picture struct {
	out    bytes.Buffer
	places []rect
}

func (p *picture) printf(format string, args ...any) { fmt.Fprintf(&p.out, format, args...) }

func escape(text string) string {
	var out strings.Builder
	_ = xml.EscapeText(&out, []byte(text)) // a builder does not fail
	return out.String()
}

// labels finds a place for each label.
func (p *picture) labels(root *box, all []*route) {
	var taken []rect
	visit(root, func(b *box) {
		for _, other := range b.extra {
			taken = append(taken, rect{other.x, other.y, other.w, other.h})
		}
		switch {
		case b == root:
		case len(b.children) == 0:
			taken = append(taken, rect{b.x, b.y, b.w, b.h})
		default:
			taken = append(taken, rect{b.x, b.y, b.w, b.head})
		}
	})
	p.places = make([]rect, len(all))
	for i, r := range all {
		if r.label != "" {
			p.places[i] = r.place(taken)
			taken = append(taken, p.places[i])
		}
	}
}

func (p *picture) extent(root *box, all []*route) (width, height float64) {
	width, height = root.w, root.h
	for i, r := range all {
		width, height = max(width, p.places[i].x+p.places[i].w+padding), max(height, p.places[i].y+p.places[i].h+padding)
		for _, c := range r.curves {
			for t := 0.0; t <= 1; t += 0.125 {
				width, height = max(width, c.at(t).x+padding), max(height, c.at(t).y+padding)
			}
		}
	}
	return width, height
}

// inside draws what a box holds, the boxes of states within included.
func (p *picture) inside(b *box) {
	for _, child := range b.children {
		p.state(child)
		p.inside(child)
	}
	for _, other := range b.extra {
		if len(other.lines) == 0 {
			p.printf(`<circle class="dot" cx="%.1f" cy="%.1f" r="%.1f"/>`+"\n", other.center().x, other.center().y, dotSize/2)
			continue
		}
		p.printf(`<rect class="any" x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="12"/>`+"\n", other.x, other.y, other.w, other.h)
		p.text("work", other.center().x, other.center().y+4.5, other.lines[0])
	}
}

func (p *picture) state(b *box) {
	class := "state"
	switch {
	case b.state.Type == fsm.History:
		p.printf(`<g><title>%s</title><circle class="state" cx="%.1f" cy="%.1f" r="%.1f"/></g>`+"\n", escape(b.state.ID), b.center().x, b.center().y, b.w/2)
		p.text("id", b.center().x, b.center().y+4.5, b.lines[0])
		return
	case b.parent.state != nil && b.parent.state.Type == fsm.Parallel:
		class = "state region"
	case len(b.children) > 0:
		class = "group"
	}
	outcome := ""
	if b.state.Type == fsm.Final && b.state.Outcome != "" && b.state.Outcome != "completed" {
		outcome = " failed"
	}
	p.printf(`<rect class="%s%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="9"/>`+"\n", class, outcome, b.x, b.y, b.w, b.h)
	if b.state.Type == fsm.Final {
		p.printf(`<rect class="final%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="6"/>`+"\n", outcome, b.x+3.5, b.y+3.5, b.w-7, b.h-7)
	}
	for i, line := range b.lines {
		y := b.y + lineHeight*float64(i+1) + 2
		if len(b.children) == 0 && len(b.lines) == 1 {
			y = b.center().y + 4.5
		}
		if i == 0 {
			p.text("id", b.center().x, y, line)
		} else {
			p.text("work", b.center().x, y, line)
		}
	}
}

func (p *picture) text(class string, x, y float64, text string) {
	p.printf(`<text class="%s" x="%.1f" y="%.1f" text-anchor="middle">%s</text>`+"\n", class, x, y, escape(text))
}

func (p *picture) arrow(r *route) {
	p.printf(`<path class="edge %s" marker-end="url(#head)" d="M%.1f,%.1f`, r.kind, r.curves[0][0].x, r.curves[0][0].y)
	for _, c := range r.curves {
		p.printf(" C%.1f,%.1f %.1f,%.1f %.1f,%.1f", c[1].x, c[1].y, c[2].x, c[2].y, c[3].x, c[3].y)
	}
	p.printf(`"/>` + "\n")
}

// label draws the text beside an arrow; its whole text is the tooltip.
func (p *picture) label(r *route, at rect) {
	if r.label == "" {
		return
	}
	p.printf("<g><title>%s</title>", escape(r.label))
	for i, line := range labelLines(r.label) {
		p.printf(`<text class="label" x="%.1f" y="%.1f" text-anchor="middle">%s</text>`, at.x+at.w/2, at.y+smallLine*float64(i+1)-3, escape(line))
	}
	p.printf("</g>\n")
}
