package fsm

import "math/bits"

// set is a set of state numbers: one bit each.
type set []uint64

func newSet(n int) set { return make(set, (n+63)/64) }

func (s set) has(i int) bool { return s[i>>6]&(1<<(i&63)) != 0 }
func (s set) add(i int)      { s[i>>6] |= 1 << (i & 63) }
func (s set) remove(i int)   { s[i>>6] &^= 1 << (i & 63) }

func (s set) clear() { clear(s) }

// next is the smallest member that is at least i, or -1.
func (s set) next(i int) int {
	if i>>6 >= len(s) {
		return -1
	}
	word := s[i>>6] >> (i & 63) << (i & 63)
	for w := i >> 6; ; word = s[w] {
		if word != 0 {
			return w<<6 + bits.TrailingZeros64(word)
		}
		if w++; w == len(s) {
			return -1
		}
	}
}

// prev is the largest member that is at most i, or -1.
func (s set) prev(i int) int {
	for ; i >= 0; i-- {
		if i&63 == 63 && s[i>>6] == 0 {
			i -= 63
			continue
		}
		if s.has(i) {
			return i
		}
	}
	return -1
}

// anyIn reports whether s holds a number from lo up to but not hi.
func (s set) anyIn(lo, hi int) bool {
	i := s.next(lo)
	return i >= 0 && i < hi
}
