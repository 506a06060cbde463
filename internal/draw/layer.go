package draw

import (
	"cmp"
	"slices"
)

// sweeps is how often the order within the layers is improved.
const sweeps = 12

// link is an arrow between two children of one state, by their positions.
type link struct{ from, to int }

// ways are the nodes that stand in for a long link in the layers between its ends.
type ways map[link][]int

// layers puts n nodes into layers so that links point down, but for those that
// close a cycle. A link over several layers gets a node of its own, numbered from
// n, in each layer between. The order within a layer is that of the nodes,
// improved so that few links cross. It also returns the short links.
func layers(n int, links []link) ([][]int, ways, []link) {
	links = acyclic(n, links)
	rank := ranks(n, links)
	depth := 0
	for _, r := range rank {
		depth = max(depth, r+1)
	}
	out := make([][]int, depth)
	for i, r := range rank {
		out[r] = append(out[r], i)
	}
	between := make(ways)
	var short []link
	for _, l := range links {
		at := l.from
		for r := rank[l.from] + 1; r < rank[l.to]; r++ {
			out[r] = append(out[r], n)
			between[l] = append(between[l], n)
			short = append(short, link{at, n})
			at, n = n, n+1
		}
		short = append(short, link{at, l.to})
	}
	best, least := clone(out), crossings(out, short)
	for i := 0; i < sweeps && least > 0; i++ {
		sweep(out, short, i%2 == 0)
		if count := crossings(out, short); count < least {
			best, least = clone(out), count
		}
	}
	return best, between, short
}

func clone(list [][]int) [][]int {
	out := make([][]int, len(list))
	for i := range list {
		out[i] = slices.Clone(list[i])
	}
	return out
}

// acyclic turns round the links that lead back to a node on the way to them.
func acyclic(n int, links []link) []link {
	next := make([][]int, n)
	for _, l := range links {
		if l.from != l.to {
			next[l.from] = append(next[l.from], l.to)
		}
	}
	const open, closed = 1, 2
	mark := make([]int, n)
	seen := make(map[link]bool)
	var out []link
	var visit func(i int)
	visit = func(i int) {
		mark[i] = open
		for _, j := range next[i] {
			l := link{i, j}
			if mark[j] == open {
				l = link{j, i}
			}
			if !seen[l] {
				seen[l] = true
				out = append(out, l)
			}
			if mark[j] == 0 {
				visit(j)
			}
		}
		mark[i] = closed
	}
	for i := range n {
		if mark[i] == 0 {
			visit(i)
		}
	}
	return out
}

// ranks is the longest way to each node; nodes without a way to them stand
// right above the first that they lead to.
func ranks(n int, links []link) []int {
	rank := make([]int, n)
	for changed, round := true, 0; changed && round <= n; round++ {
		changed = false
		for _, l := range links {
			if rank[l.to] < rank[l.from]+1 {
				rank[l.to], changed = rank[l.from]+1, true
			}
		}
	}
	into, below := make([]bool, n), make([]int, n)
	for _, l := range links {
		into[l.to] = true
		if below[l.from] == 0 || rank[l.to] < below[l.from] {
			below[l.from] = rank[l.to]
		}
	}
	for i := range n {
		if !into[i] && below[i] > 0 {
			rank[i] = below[i] - 1
		}
	}
	return rank
}

// sweep orders each layer by where the neighbours in the layers before it stand.
func sweep(layers [][]int, links []link, down bool) {
	place := make(map[int]float64)
	note := func(layer []int) {
		for i, node := range layer {
			place[node] = (float64(i) + 0.5) / float64(len(layer))
		}
	}
	for step := range layers {
		at := step
		if !down {
			at = len(layers) - 1 - step
		}
		layer := layers[at]
		weight := make(map[int]float64, len(layer))
		note(layer)
		for _, node := range layer {
			sum, count := 0.0, 0
			for _, l := range links {
				from, to := l.from, l.to
				if !down {
					from, to = to, from
				}
				if p, ok := place[from]; ok && to == node && !slices.Contains(layer, from) {
					sum, count = sum+p, count+1
				}
			}
			weight[node] = place[node]
			if count > 0 {
				weight[node] = sum / float64(count)
			}
		}
		slices.SortStableFunc(layer, func(a, b int) int { return cmp.Compare(weight[a], weight[b]) })
		note(layer)
	}
}

// crossings counts pairs of links that cross between the same two layers.
func crossings(layers [][]int, links []link) int {
	type spot struct{ layer, at int }
	where := make(map[int]spot)
	for i, layer := range layers {
		for j, node := range layer {
			where[node] = spot{i, j}
		}
	}
	count := 0
	for i, a := range links {
		for _, b := range links[:i] {
			p, q, r, s := where[a.from], where[a.to], where[b.from], where[b.to]
			if p.layer == r.layer && q.layer == s.layer && (p.at-r.at)*(q.at-s.at) < 0 {
				count++
			}
		}
	}
	return count
}
