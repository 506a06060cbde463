package schema

// bound refuses what is evaluated too often.
func (w *walker) bound() error {
	for _, n := range w.nodes {
		if err := n.price(); err != nil {
			return err
		}
	}
	w.connect()
	if err := w.grow(); err != nil {
		return err
	}
	for _, n := range w.nodes {
		if n.unfold() > maxUnfolded {
			return refuse(n.where, "unfolds to more than %d subschemas", maxUnfolded)
		}
	}
	return nil
}

// price counts what is evaluated at one place: the node, and everything that it
// leads to without a step down. To come back without a step down has no end.
func (n *node) price() error {
	switch n.visited {
	case done:
		return nil
	case open:
		return refuse(n.where, "is a cycle: it leads back to itself at the same place of a value")
	case fresh:
	}
	n.visited = open
	n.cost = 1
	for _, next := range n.here {
		if err := next.price(); err != nil {
			return err
		}
		if n.cost += next.cost; n.cost > MaxCost {
			return refuse(n.where, "is evaluated through more than %d subschemas at one place of a value", MaxCost)
		}
	}
	n.visited = done
	return nil
}

// unfold counts the same over all places, where a node that leads back to itself
// counts once. The graph of groups has no cycles, so it ends.
func (n *node) unfold() int {
	if n.spread != 0 {
		return n.spread
	}
	n.spread = 1 // also while it is being counted
	total := 1
	add := func(next *node) {
		if next.group != n.group || !n.cyclic {
			total = min(total+next.unfold(), maxUnfolded+1)
		}
	}
	for _, next := range n.here {
		add(next)
	}
	for _, e := range n.below {
		add(e.to)
	}
	n.spread = total
	return total
}

// connect finds the groups of nodes that lead to each other (Tarjan, without
// recursion into what a stranger nested).
func (w *walker) connect() {
	t := tarjan{index: make(map[*node]int, len(w.nodes)), low: make(map[*node]int, len(w.nodes)), onStack: make(map[*node]bool)}
	for _, n := range w.nodes {
		if _, seen := t.index[n]; !seen {
			t.run(n)
		}
	}
}

type tarjan struct {
	index, low map[*node]int
	onStack    map[*node]bool
	stack      []*node
	groups     int
}

// frame is a node whose ways are being followed.
type frame struct {
	n    *node
	ways []*node
}

func (t *tarjan) enter(n *node) frame {
	t.index[n] = len(t.index)
	t.low[n] = t.index[n]
	t.stack = append(t.stack, n)
	t.onStack[n] = true
	ways := append([]*node(nil), n.here...)
	for _, e := range n.below {
		ways = append(ways, e.to)
	}
	return frame{n, ways}
}

func (t *tarjan) run(start *node) {
	work := []frame{t.enter(start)}
	for len(work) > 0 {
		top := &work[len(work)-1]
		if len(top.ways) == 0 {
			t.leave(top.n)
			work = work[:len(work)-1]
			if len(work) > 0 {
				above := work[len(work)-1].n
				t.low[above] = min(t.low[above], t.low[top.n])
			}
			continue
		}
		next := top.ways[0]
		top.ways = top.ways[1:]
		if next == top.n {
			next.cyclic = true
		}
		if _, seen := t.index[next]; !seen {
			work = append(work, t.enter(next))
		} else if t.onStack[next] {
			t.low[top.n] = min(t.low[top.n], t.index[next])
		}
	}
}

// leave closes the group whose first node n is.
func (t *tarjan) leave(n *node) {
	if t.low[n] != t.index[n] {
		return
	}
	t.groups++
	for size := 1; ; size++ {
		member := t.stack[len(t.stack)-1]
		t.stack = t.stack[:len(t.stack)-1]
		t.onStack[member] = false
		member.group = t.groups
		if member == n {
			if size > 1 {
				n.cyclic = true
			}
			return
		}
		member.cyclic = true
	}
}

// grow refuses recursion that multiplies: a tree leads from a place to itself
// once for each place below, and costs what the value is long. Twice for one
// place below doubles with each level of the value.
func (w *walker) grow() error {
	budget := maxUnfolded
	for _, n := range w.nodes {
		if !n.cyclic {
			continue
		}
		b := branches{group: n.group, named: make(map[string]int), budget: &budget}
		b.gather(n)
		if budget <= 0 || b.most() > 1 {
			return refuse(n.where, "is a cycle that doubles with each level of a value")
		}
	}
	return nil
}

// branches counts the ways from one place back into the group, by the place below
// that they lead to.
type branches struct {
	group  int
	named  map[string]int // by name, or by number of an element
	open   []span         // for all names, or all elements, but some
	budget *int
}

// span is a way to every property, or every element, that is not named beside it.
type span struct {
	elements bool
	but      map[string]bool
}

func (b *branches) gather(n *node) {
	if *b.budget--; *b.budget <= 0 {
		return
	}
	for _, next := range n.here {
		if next.group == b.group {
			b.gather(next)
		}
	}
	for _, e := range n.below {
		if e.to.group != b.group {
			continue
		}
		switch e.kind {
		case named:
			b.named["."+e.name]++
		case element:
			b.named["["+e.name]++
		case pattern, each:
			b.open = append(b.open, span{elements: e.kind == each})
		case rest:
			b.open = append(b.open, span{but: beside(n, named, ".")})
		case others:
			b.open = append(b.open, span{elements: true, but: beside(n, element, "[")})
		case names: // a name has no places below
		}
	}
}

// beside names the places for which n has a schema of its own.
func beside(n *node, kind kind, prefix string) map[string]bool {
	out := make(map[string]bool)
	for _, e := range n.below {
		if e.kind == kind {
			out[prefix+e.name] = true
		}
	}
	return out
}

// most is the highest number of ways to one place below.
func (b *branches) most() int {
	b.named["."] += 0 // any other property
	b.named["["] += 0 // any other element
	most := 0
	for place, ways := range b.named {
		for _, s := range b.open {
			if s.elements == (place[0] == '[') && !s.but[place] {
				ways++
			}
		}
		most = max(most, ways)
	}
	return most
}
