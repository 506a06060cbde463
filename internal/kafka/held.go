package kafka

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

const (
	// heldLimit is how long a transaction may stay open before it counts as
	// forgotten: those of Leat end within ten seconds, by their own timeout.
	heldLimit = 15 * time.Second
	heldEvery = 3 * time.Second
)

// Held watches for transactions that are never ended. Every client that may write to a topic
// can leave one open, and nothing behind it can be read until it ends, which
// looks like a topic without news. The zero value is ready to use, and safe for
// concurrent use.
type Held struct {
	mu  sync.Mutex
	at  map[TopicPartition]mark
	err error
}

// mark is where a partition can be read up to, and since when.
type mark struct {
	stable int64
	since  time.Time
}

// Ready names a partition that is held.
func (h *Held) Ready() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.err
}

// Watch checks topics regularly until ctx ends.
func (h *Held) Watch(ctx context.Context, c Config, topics func() []string) {
	if c.Virtual() {
		return // whatever is written there is written by this process
	}
	client, err := c.newClient()
	if err != nil {
		return // readers report that
	}
	defer closeWithin(client.Close)
	admin := kadm.NewClient(client)
	for ; ctx.Err() == nil; Pause(ctx, heldEvery) {
		list := topics()
		if len(list) == 0 {
			continue
		}
		asking, cancel := context.WithTimeout(ctx, heldLimit)
		stable, err := admin.ListCommittedOffsets(asking, list...)
		if err == nil {
			var ends kadm.ListedOffsets
			if ends, err = admin.ListEndOffsets(asking, list...); err == nil {
				h.look(time.Now(), known(stable), known(ends))
			}
		}
		cancel()
	}
}

func known(listed kadm.ListedOffsets) map[TopicPartition]int64 {
	all := make(map[TopicPartition]int64)
	listed.Each(func(o kadm.ListedOffset) {
		if o.Err == nil {
			all[TopicPartition{o.Topic, o.Partition}] = o.Offset
		}
	})
	return all
}

// look compares where partitions can be read up to with where they end. Under
// load there is always an open transaction, and never the same one for long.
func (h *Held) look(now time.Time, stable, ends map[TopicPartition]int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	was := h.at
	h.at, h.err = make(map[TopicPartition]mark), nil
	for p, end := range ends {
		at, ok := stable[p]
		if !ok || at >= end {
			continue
		}
		m, same := was[p]
		if !same || m.stable != at {
			m = mark{at, now}
		}
		h.at[p] = m
		if held := now.Sub(m.since); held >= heldLimit && h.err == nil {
			h.err = fmt.Errorf("a transaction that began at offset %d of %s is open for %v, and nothing behind it can be read: "+
				"its producer must end it (kafka-transactions.sh find-hanging, abort)", at, p, held.Round(time.Second))
		}
	}
}
