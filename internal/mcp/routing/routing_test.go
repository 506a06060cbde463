package routing

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func drawn(t *rapid.T) []Candidate {
	all := make([]Candidate, rapid.IntRange(1, 6).Draw(t, "candidates"))
	for i := range all {
		all[i] = Candidate{
			ID: fmt.Sprintf("s%d", i), Weight: rapid.IntRange(1, 9).Draw(t, "weight"), InFlight: rapid.IntRange(0, 20).Draw(t, "in flight"),
			Degraded: rapid.Bool().Draw(t, "degraded"), Usable: rapid.IntRange(0, 3).Draw(t, "usable") > 0,
		}
	}
	return all
}

// Whatever is wanted: what comes out is usable, was not tried, is there once, and
// is everything of the kind. Required is required, and preferred goes first.
func TestChooseLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var r Rotor
		for range rapid.IntRange(1, 5).Draw(t, "calls") {
			all := drawn(t)
			q := Request{
				Policy: rapid.SampledFrom(Policies()).Draw(t, "policy"), Prefer: rapid.SampledFrom([]string{"", "s0", "s1", "gone"}).Draw(t, "prefer"),
				Exclude: rapid.SliceOfN(rapid.SampledFrom([]string{"s0", "s1", "s2"}), 0, 2).Draw(t, "exclude"),
			}
			q.Require = q.Prefer != "" && rapid.Bool().Draw(t, "require")
			before := slices.Clone(all)
			got := r.Choose(q, all)
			if !slices.Equal(before, all) {
				t.Fatal("it changed what it was given")
			}
			want := map[string]bool{}
			for _, c := range all {
				if c.Usable && !slices.Contains(q.Exclude, c.ID) && (!q.Require || c.ID == q.Prefer) {
					want[c.ID] = true
				}
			}
			if len(got) != len(want) {
				t.Fatalf("%d of %d", len(got), len(want))
			}
			preferred := want[q.Prefer]
			for i, c := range got {
				if !want[c.ID] {
					t.Fatalf("%s is not to be used, or there twice", c.ID)
				}
				delete(want, c.ID)
				if i == 0 && preferred && c.ID != q.Prefer {
					t.Fatalf("%s goes before %s", c.ID, q.Prefer)
				}
			}
		}
	})
}

// Round robin is exact: in every window of n calls each of n servers has one,
// whatever their weights, loads and the calls between that preferred another.
func TestRoundRobinIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := drawn(t)
		for i := range all {
			all[i].Usable, all[i].Degraded = true, false
		}
		var r Rotor
		var calls []string
		for range 4 * len(all) {
			if rapid.IntRange(0, 3).Draw(t, "other") == 0 {
				r.Choose(Request{Prefer: "s0"}, all)
			}
			calls = append(calls, r.Choose(Request{}, all)[0].ID)
			if n := len(calls); n >= len(all) {
				window := slices.Clone(calls[n-len(all):])
				slices.Sort(window)
				if len(slices.Compact(window)) != len(all) {
					t.Fatalf("%v", calls)
				}
			}
		}
	})
}

func TestWeightsOverTenThousandCalls(t *testing.T) {
	all := []Candidate{{ID: "a", Weight: 1}, {ID: "b", Weight: 3}, {ID: "c", Weight: 16}, {ID: "d", Weight: 7, Degraded: true}}
	for i := range all {
		all[i].Usable = true
	}
	var r Rotor
	got := map[string]float64{}
	const calls = 10_000
	for range calls {
		got[r.Choose(Request{Policy: Weighted}, all)[0].ID]++
	}
	sum := 4*1 + 4*3 + 4*16 + 7
	for id, weight := range map[string]int{"a": 4, "b": 12, "c": 64, "d": 7} {
		want := float64(calls*weight) / float64(sum)
		if off := math.Abs(got[id]-want) / want; off > 0.05 {
			t.Errorf("%s got %.0f calls, want %.0f: off by %.1f %%", id, got[id], want, 100*off)
		}
	}
}

// Weights are exact, and evenly mixed: after as many calls as the weights sum up
// to each has had its share, and nobody is ever a whole share ahead.
func TestWeightsAreExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := drawn(t)
		sum := 0
		for i := range all {
			all[i].Usable, all[i].Degraded = true, false
			sum += all[i].Weight
		}
		var r Rotor
		got := map[string]int{}
		for n := range 2 * sum {
			got[r.Choose(Request{Policy: Weighted}, all)[0].ID]++
			for _, c := range all {
				fair := float64(n+1) * float64(c.Weight) / float64(sum)
				if ahead := float64(got[c.ID]) - fair; ahead > float64(len(all)) {
					t.Fatalf("%s is %.1f calls ahead after %d", c.ID, ahead, n+1)
				}
			}
		}
		for _, c := range all {
			if got[c.ID] != 2*c.Weight {
				t.Fatalf("%s got %d of %d calls, want %d", c.ID, got[c.ID], 2*sum, 2*c.Weight)
			}
		}
	})
}

func TestLeastLoaded(t *testing.T) {
	for _, c := range []struct {
		name string
		all  []Candidate
		want string
	}{
		{"fewest calls", []Candidate{{ID: "a", InFlight: 3}, {ID: "b", InFlight: 1}, {ID: "c", InFlight: 2}}, "b"},
		{"by weight", []Candidate{{ID: "a", InFlight: 5, Weight: 4}, {ID: "b", InFlight: 2, Weight: 1}}, "a"},
		{"a degraded one counts four times", []Candidate{{ID: "a", InFlight: 1, Degraded: true}, {ID: "b", InFlight: 3}}, "b"},
	} {
		for i := range c.all {
			c.all[i].Usable = true
		}
		var r Rotor
		if got := r.Choose(Request{Policy: LeastLoaded}, c.all); got[0].ID != c.want {
			t.Errorf("%s: %s", c.name, got[0].ID)
		}
	}
	var r Rotor // of those with the same load none is always first
	all := []Candidate{{ID: "a", Usable: true}, {ID: "b", Usable: true}}
	if first, second := r.Choose(Request{Policy: LeastLoaded}, all)[0].ID, r.Choose(Request{Policy: LeastLoaded}, all)[0].ID; first == second {
		t.Errorf("%s twice", first)
	}
}

// A server that comes back takes its turns, and no burst for those that it missed.
func TestNoBurstAfterAnOutage(t *testing.T) {
	all := []Candidate{{ID: "a", Usable: true}, {ID: "b", Usable: true}}
	var r Rotor
	r.Choose(Request{}, all)
	all[1].Usable = false
	for range 100 {
		r.Choose(Request{}, all)
	}
	all[1].Usable = true
	got := map[string]int{}
	for range 10 {
		got[r.Choose(Request{}, all)[0].ID]++
	}
	if got["b"] > 6 {
		t.Errorf("%v", got)
	}
}

func TestNowhere(t *testing.T) {
	var r Rotor
	if got := r.Choose(Request{Prefer: "b", Require: true}, []Candidate{{ID: "a", Usable: true}}); got != nil {
		t.Errorf("%v", got)
	}
}
