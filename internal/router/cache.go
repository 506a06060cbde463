package router

import (
	"github.com/leat-io/leat/internal/shard"
	"github.com/leat-io/leat/pkg/events"
)

// instance names an instance and where it lives.
type instance struct {
	partition shard.Partition
	id        events.UUID
}

// cache keeps the decoded snapshots of instances that decide often. It holds two
// generations: what was used since the last turn-over, and what was used in the
// one before. Snapshots in it are never changed. It is for one goroutine.
type cache struct {
	limit     int // of one generation
	hot, warm map[instance]cached
}

type cached struct {
	snap *events.Snapshot // nil: not known
	size int              // of its record
}

func newCache(limit int) *cache {
	return &cache{limit: limit, hot: make(map[instance]cached), warm: make(map[instance]cached)}
}

func (c *cache) get(i instance) cached {
	if s, ok := c.hot[i]; ok {
		return s
	}
	s, ok := c.warm[i]
	if ok {
		c.put(i, s)
	}
	return s
}

func (c *cache) put(i instance, s cached) {
	if len(c.hot) >= c.limit {
		c.warm, c.hot = c.hot, make(map[instance]cached, c.limit)
	}
	c.hot[i] = s
}

// clear forgets everything, as when partitions are given up.
func (c *cache) clear() {
	c.hot, c.warm = make(map[instance]cached), make(map[instance]cached)
}
