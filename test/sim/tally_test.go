//go:build synctests

package sim

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// coverage counts what happened, over all seeds.
type coverage struct {
	mu     sync.Mutex
	counts map[string]int
}

func newCoverage() *coverage { return &coverage{counts: make(map[string]int)} }

func (c *coverage) add(what string) { c.addN(what, 1) }

func (c *coverage) addN(what string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts[what] += n
}

// String lists the counts, one a line.
func (c *coverage) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var b strings.Builder
	for _, what := range slices.Sorted(maps.Keys(c.counts)) {
		fmt.Fprintf(&b, "%8d  %s\n", c.counts[what], what)
	}
	return b.String()
}

// missing lists what a run of many histories has to have seen and has not.
func (c *coverage) missing() []string {
	var list []string
	want := func(what string, counted func(string) bool) {
		c.mu.Lock()
		defer c.mu.Unlock()
		for name, n := range c.counts {
			if n > 0 && counted(name) {
				return
			}
		}
		list = append(list, what)
	}
	for _, d := range deeds {
		want(d.name, func(s string) bool { return s == d.name })
	}
	for _, f := range networkFaults {
		want(string(f), func(s string) bool { return strings.HasPrefix(s, string(f)+" ") })
	}
	for _, key := range []kmsg.Key{
		kmsg.Produce, kmsg.TxnOffsetCommit, kmsg.EndTxn, kmsg.InitProducerID, kmsg.Fetch, kmsg.Heartbeat, kmsg.JoinGroup,
	} {
		want("network fault on "+key.Name(), func(s string) bool {
			return slices.ContainsFunc(networkFaults, func(f fault) bool { return s == string(f)+" "+key.Name() })
		})
	}
	for _, what := range []string{
		"stores kept", "stores lost", "stores torn", "zombies: r", "zombies: x", "transactions failed", "transactions fenced",
		"reopenings after an unknown outcome", "commands moved", "commands sent twice", "late results refused",
		"tasks claimed", "timers audited", "histories with the old transaction protocol",
	} {
		want(what, func(s string) bool { return s == what })
	}
	return list
}
