// Package routing chooses, of all MCP servers that offer a tool, where a call
// goes. It is pure: what it has to remember between two calls is in a [Rotor],
// which its owner guards.
package routing

import (
	"cmp"
	"slices"
)

// Policy says how calls are spread.
type Policy string

// The policies.
const (
	RoundRobin  Policy = "round_robin"  // each in turn
	LeastLoaded Policy = "least_loaded" // where the fewest calls are under way, by weight
	Weighted    Policy = "weighted"     // as many as the weights say, evenly mixed
)

// Policies lists the closed set.
func Policies() []Policy { return []Policy{RoundRobin, LeastLoaded, Weighted} }

// Candidate is a server that offers the tool.
type Candidate struct {
	ID       string
	Weight   int  // 1 or more
	InFlight int  // calls
	Degraded bool // it gets a quarter of its share
	Usable   bool // calls may go there now
}

// Request says what is wanted.
type Request struct {
	Policy  Policy   // "" is RoundRobin
	Prefer  string   // the server that goes first, when it is usable
	Require bool     // and no other than Prefer
	Exclude []string // servers that were tried
}

// Rotor remembers whose turn it is, for one tool. The zero value is ready.
type Rotor struct {
	due map[string]int // what each is owed
}

// degradedShare is what part of its share a degraded server gets.
const degradedShare = 4

// Choose puts the usable candidates in the order in which they are to be tried:
// the first gets the call, the others are what is left when it cannot take it. The
// turn is counted for the first alone, when it is the policy that chose it. nil is
// nowhere.
func (r *Rotor) Choose(q Request, all []Candidate) []Candidate {
	var usable []Candidate
	for _, c := range all {
		if c.Usable && !slices.Contains(q.Exclude, c.ID) && (!q.Require || c.ID == q.Prefer) {
			usable = append(usable, c)
		}
	}
	if len(usable) == 0 {
		return nil
	}
	if q.Prefer != "" {
		if i := slices.IndexFunc(usable, func(c Candidate) bool { return c.ID == q.Prefer }); i >= 0 {
			return append([]Candidate{usable[i]}, r.rank(q.Policy, slices.Delete(slices.Clone(usable), i, i+1))...)
		}
	}
	usable = r.rank(q.Policy, usable)
	r.count(q.Policy, usable, all)
	return usable
}

// rank is the order of a policy, the one whose turn it is first.
func (r *Rotor) rank(p Policy, all []Candidate) []Candidate {
	return slices.SortedFunc(slices.Values(all), func(a, b Candidate) int {
		if p == LeastLoaded {
			// a/aw < b/bw, without a division; one more call is what each would have.
			if c := cmp.Compare((a.InFlight+1)*share(p, b), (b.InFlight+1)*share(p, a)); c != 0 {
				return c
			}
		}
		return cmp.Or(cmp.Compare(r.due[b.ID]+share(p, b), r.due[a.ID]+share(p, a)), cmp.Compare(a.ID, b.ID))
	})
}

// count lets each of the usable be owed a share more, and takes the sum from the
// one that got the call: smooth weighted round robin. In as many calls as the
// shares sum up to, each gets exactly its share. Who is not offered any more is
// owed nothing.
func (r *Rotor) count(p Policy, usable, all []Candidate) {
	next := make(map[string]int, len(all))
	for _, c := range all {
		next[c.ID] = r.due[c.ID]
	}
	for _, c := range usable {
		next[c.ID] += share(p, c)
		next[usable[0].ID] -= share(p, c)
	}
	r.due = next
}

func share(p Policy, c Candidate) int {
	n := degradedShare
	if c.Degraded {
		n = 1
	}
	if p == Weighted || p == LeastLoaded {
		n *= max(c.Weight, 1)
	}
	return n
}
