package executor

import (
	"context"
	"errors"
	"log/slog"
	"sort"
	"time"

	"github.com/leat-io/leat/internal/shard"
	"github.com/leat-io/leat/pkg/events"
)

// Close hands a partition to its next owner: queued tasks are left to it, those
// that run here are claimed at once, and the offset is committed when the claims
// are durable. Handlers go on.
func (in *intake) Close(id shard.Partition) {
	e := in.e
	e.mu.Lock()
	p := in.parts[id]
	delete(in.parts, id)
	if p == nil {
		e.mu.Unlock()
		return
	}
	claims := in.keepBegun(p)
	until := in.handoverUntil(time.Now())
	e.dispatch()
	e.mu.Unlock()
	for _, j := range claims {
		go j.claim() // its owner is attempt, which waits for j.beats
	}
	ctx, cancel := context.WithDeadline(context.Background(), until)
	defer cancel()
	e.await(ctx, p.onlyDropped)
	in.commit(ctx, map[shard.Partition]*partition{id: p})
	e.mu.Lock()
	defer e.mu.Unlock()
	p.closed = true
	in.past[id] = p.committed
	e.broadcast()
}

// claimAll claims what runs here, so that the partitions can be closed without
// waiting for one after the other.
func (in *intake) claimAll() {
	in.e.mu.Lock()
	defer in.e.mu.Unlock()
	for _, p := range in.parts {
		for j := range p.running {
			if !j.claimed && !j.ended {
				go j.claim() // its owner is attempt, which waits for j.beats
			}
		}
	}
}

// keepBegun drops p's queued tasks, except those that an urgent one has
// overtaken: the offset cannot move past the urgent one without them, so they
// are claimed and run here too. It returns what has to be claimed.
func (in *intake) keepBegun(p *partition) []*job {
	var claims []*job
	for j := range p.running {
		if !j.claimed && !j.ended {
			claims = append(claims, j)
		}
	}
	in.e.queue.remove(func(j *job) bool {
		if j.part != p {
			return false
		}
		if j.offset < p.offsets.highest && j.task.Delivery != events.AtMostOnce {
			claims = append(claims, j)
			j.kept = true
			in.e.attempts.Add(1)
			return false
		}
		in.queued--
		return true
	})
	return claims
}

// handoverUntil bounds the handover of all partitions that are revoked together:
// the group waits. The executor's lock is held.
func (in *intake) handoverUntil(now time.Time) time.Time {
	if now.After(in.handover.Add(handoverTimeout)) {
		in.handover = now.Add(handoverTimeout)
	}
	return in.handover
}

// onlyDropped reports whether all that is not handed over was never begun.
func (p *partition) onlyDropped() bool {
	return len(p.offsets.open) == 0 || p.offsets.open[0].offset > p.offsets.highest
}

// commitLoop commits what has been handed over, until ctx ends. While nothing has
// been, it does not even look at the clock.
func (in *intake) commitLoop(ctx context.Context) {
	for {
		in.e.await(ctx, in.moved)
		timer := time.NewTimer(in.e.config.CommitEvery)
		select {
		case <-ctx.Done():
		case <-in.commits:
		case <-timer.C:
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
		in.commit(ctx, nil)
	}
}

// moved reports whether something was handed over that is not committed. The
// executor's lock is held.
func (in *intake) moved() bool {
	for _, p := range in.parts {
		if p.offsets.next > p.committed {
			return true
		}
	}
	return false
}

// commitSoon asks the loop for a commit without waiting for its next turn.
func (in *intake) commitSoon() {
	select {
	case in.commits <- struct{}{}:
	default: // asked for already
	}
}

// commit writes the group's offsets of the given partitions, nil for all that
// are owned, as far as they have moved. Commits are written one at a time, so
// that none is under way when a partition has been closed.
func (in *intake) commit(ctx context.Context, parts map[shard.Partition]*partition) {
	in.writing <- struct{}{}
	defer func() { <-in.writing }()
	e := in.e
	e.mu.Lock()
	if parts == nil {
		parts = in.parts
	}
	next := make(map[shard.Partition]int64)
	moved := make([]*partition, 0, len(parts))
	for id, p := range parts {
		if p.offsets.next > p.committed {
			next[id] = p.offsets.next
			moved = append(moved, p)
		}
	}
	e.mu.Unlock()
	member := in.shard.Member()
	if len(next) == 0 || member == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	if err := member.Commit(ctx, next); err != nil {
		if errors.Is(ctx.Err(), context.Canceled) { // the loop's end, not the commit's
			return
		}
		e.config.Logger.Warn("offsets were not committed; tasks may be read again", slog.String("group", in.group), slog.Any("error", err))
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range moved {
		p.committed = max(p.committed, next[p.id])
	}
	e.broadcast()
}

// offsets is the order of one partition's tasks while this executor owns it:
// which are handed over, and so up to where the group's offset may move. It is
// not safe for concurrent use.
type offsets struct {
	next    int64 // what the group should read next: everything below is handed over
	open    []entry
	highest int64 // highest offset that was begun, -1 for none
}

type entry struct {
	offset int64
	done   bool
}

func newOffsets(next int64) *offsets { return &offsets{next: next, highest: -1} }

// add tells that offset was read; offsets come in rising order.
func (o *offsets) add(offset int64) { o.open = append(o.open, entry{offset: offset}) }

// begin tells that the task at offset runs here, whatever happens to the partition.
func (o *offsets) begin(offset int64) { o.highest = max(o.highest, offset) }

// done marks offset as handed over: no executor needs it again. It may be called twice.
func (o *offsets) done(offset int64) {
	i := sort.Search(len(o.open), func(i int) bool { return o.open[i].offset >= offset })
	if i == len(o.open) || o.open[i].offset != offset {
		return // below next already
	}
	o.open[i].done = true
	for len(o.open) > 0 && o.open[0].done {
		o.next = o.open[0].offset + 1
		o.open = o.open[1:]
	}
}

// waiting is how many tasks hold the group's offset back.
func (o *offsets) waiting() int { return len(o.open) }
