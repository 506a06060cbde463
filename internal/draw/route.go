package draw

import (
	"cmp"
	"math"
	"slices"
)

type point struct{ x, y float64 }

type rect struct{ x, y, w, h float64 }

func (r rect) meets(o rect) bool {
	return r.x < o.x+o.w && o.x < r.x+r.w && r.y < o.y+o.h && o.y < r.y+r.h
}

// curve is a cubic Bézier curve.
type curve [4]point

func (c curve) at(t float64) point {
	u := 1 - t
	k := [4]float64{u * u * u, 3 * u * u * t, 3 * u * t * t, t * t * t}
	var p point
	for i, q := range c {
		p.x, p.y = p.x+k[i]*q.x, p.y+k[i]*q.y
	}
	return p
}

// side is where an arrow meets a box.
type side uint8

const (
	top side = iota
	bottom
	left
	right
)

// end is one end of a routed arrow.
type end struct {
	box   *box
	side  side
	other point // where the arrow goes from here, to order what shares a side
	at    point
}

// route is an arrow with the way that it takes.
type route struct {
	edge
	ends   [2]end
	via    []*box
	curves []curve
}

// routes finds the ways of all arrows.
func routes(edges []edge) []*route {
	out := make([]*route, 0, len(edges))
	for _, e := range edges {
		r := &route{edge: e, ends: [2]end{{box: e.from}, {box: e.to}}}
		r.via = viaOf(e)
		r.sides()
		out = append(out, r)
	}
	ports(out)
	for _, r := range out {
		r.bend()
	}
	return out
}

// viaOf is what an arrow passes at the level where its ends part.
func viaOf(e edge) []*box {
	for b := e.from.parent; b != nil; b = b.parent {
		from, to := within(e.from, b), within(e.to, b)
		if from != nil && to != nil && from != to {
			return b.ways[[2]*box{from, to}]
		}
	}
	return nil
}

func (b *box) center() point { return point{b.x + b.w/2, b.y + b.h/2} }

func (b *box) contains(o *box) bool { return o != b && within(o, b) != nil }

// sides chooses where an arrow leaves and arrives.
func (r *route) sides() {
	from, to := r.from, r.to
	next, last := to.center(), from.center()
	if len(r.via) > 0 {
		next, last = r.via[0].center(), r.via[len(r.via)-1].center()
	}
	r.ends[0].other, r.ends[1].other = next, last
	switch {
	case from == to:
		r.ends[0].side, r.ends[1].side = right, right
	case from.contains(to), to.contains(from):
		r.ends[0].side, r.ends[1].side = left, left
	default:
		r.ends[0].side, r.ends[1].side = facing(from, next), facing(to, last)
	}
}

// facing is the side of b that faces p: above or below when p is clear of it.
func facing(b *box, p point) side {
	switch {
	case p.y > b.y+b.h:
		return bottom
	case p.y < b.y:
		return top
	case p.x > b.x+b.w/2:
		return right
	default:
		return left
	}
}

// ports spreads the arrows that share a side.
func ports(all []*route) {
	type key struct {
		box  *box
		side side
	}
	shared := make(map[key][]*end)
	var order []key
	for _, r := range all {
		for i := range r.ends {
			k := key{r.ends[i].box, r.ends[i].side}
			if shared[k] == nil {
				order = append(order, k)
			}
			shared[k] = append(shared[k], &r.ends[i])
		}
	}
	for _, k := range order {
		list := shared[k]
		slices.SortStableFunc(list, func(a, b *end) int {
			if k.side == top || k.side == bottom {
				return cmp.Compare(a.other.x, b.other.x)
			}
			return cmp.Compare(a.other.y, b.other.y)
		})
		for i, e := range list {
			share := (float64(i) + 1) / (float64(len(list)) + 1)
			e.at = portOf(k.box, k.side, share)
		}
	}
}

func portOf(b *box, s side, share float64) point {
	switch s {
	case top:
		return point{b.x + b.w*share, b.y}
	case bottom:
		return point{b.x + b.w*share, b.y + b.h}
	case left:
		return point{b.x, b.y + b.h*share}
	default:
		return point{b.x + b.w, b.y + b.h*share}
	}
}

// out is the direction in which an arrow leaves a side.
func (s side) out() point {
	return [...]point{top: {0, -1}, bottom: {0, 1}, left: {-1, 0}, right: {1, 0}}[s]
}

// bend makes the curves of an arrow.
func (r *route) bend() {
	a, b := r.ends[0], r.ends[1]
	if r.from == r.to {
		a.at.y, b.at.y = r.from.y+r.from.h*0.3, r.from.y+r.from.h*0.7
		r.curves = []curve{{a.at, {a.at.x + 34, a.at.y - 8}, {b.at.x + 34, b.at.y + 8}, b.at}}
		return
	}
	if a.side == left && b.side == left && (r.from.contains(r.to) || r.to.contains(r.from)) {
		if r.from.contains(r.to) {
			a.at.y = b.at.y
		} else {
			b.at.y = a.at.y
		}
		r.curves = []curve{{a.at, {(a.at.x + b.at.x) / 2, a.at.y}, {(a.at.x + b.at.x) / 2, b.at.y}, b.at}}
		return
	}
	at, direction := a.at, a.side.out()
	for _, passed := range r.via {
		enter := point{passed.x + passed.w/2, passed.y}
		leave := point{enter.x, passed.y + passed.h}
		if at.y > passed.center().y {
			enter, leave = leave, enter
			enter.x, leave.x = enter.x+6, leave.x+6 // beside an arrow that passes the other way
		}
		down := point{0, math.Copysign(1, leave.y-enter.y)}
		if passed.h == 0 {
			down = point{0, math.Copysign(1, enter.y-at.y)}
		}
		r.curves = append(r.curves, joined(at, direction, enter, point{-down.x, -down.y}), curve{enter, enter, leave, leave})
		at, direction = leave, down
	}
	r.curves = append(r.curves, joined(at, direction, b.at, b.side.out()))
}

// joined is a curve that leaves p and arrives at q in the directions given.
func joined(p, from, q, to point) curve {
	reach := max(18, min(90, 0.45*math.Hypot(q.x-p.x, q.y-p.y)))
	return curve{p, {p.x + from.x*reach, p.y + from.y*reach}, {q.x + to.x*reach, q.y + to.y*reach}, q}
}

// place finds a free place for a label along the arrow: taken are the boxes and
// the labels that are there already.
func (r *route) place(taken []rect) rect {
	size := rect{w: labelWidth(r.label) + 6, h: float64(len(labelLines(r.label)))*smallLine + 2}
	if r.from == r.to {
		return rect{r.from.x + r.from.w + 27, r.from.center().y - size.h/2, size.w, size.h}
	}
	var best rect
	least := math.Inf(1)
	for i, c := range r.curves {
		for _, t := range []float64{0.5, 0.4, 0.6, 0.3, 0.7, 0.2, 0.8, 0.12, 0.88} {
			p := c.at(t)
			for _, shift := range []point{{0, 0}, {size.w/2 + 4, 0}, {-size.w/2 - 4, 0}, {0, -size.h/2 - 3}, {0, size.h/2 + 3}} {
				try := rect{p.x - size.w/2 + shift.x, p.y - size.h/2 + shift.y, size.w, size.h}
				cost := float64(i)*2 + math.Abs(t-0.5) + (math.Abs(shift.x)+math.Abs(shift.y))/60
				for _, other := range taken {
					if try.meets(other) {
						cost += 20
					}
				}
				if cost < least {
					best, least = try, cost
				}
			}
		}
	}
	return best
}
