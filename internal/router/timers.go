package router

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/leat-io/leat/internal/decide"
	"github.com/leat-io/leat/internal/shard"
	"github.com/leat-io/leat/pkg/events"
)

// maxTimers is about how many timers one transaction fires.
const maxTimers = 1000

// dueTimer is a timer that has come, and where.
type dueTimer struct {
	partition shard.Partition
	ref       timerRef
}

// fireDue decides the timers that are due, of every open partition, in the order
// in which they are due over all of them.
func (l *lane) fireDue(ctx context.Context, t *transaction) error {
	l.releaseHeld()
	l.releaseRested(t.now)
	list, err := l.collectDue(t)
	if err != nil {
		return err
	}
	// Timers have a time of their own: commands that never end do not keep them.
	t.began, t.decided = time.Now(), 0
	tired := make(map[events.UUID]bool)
	for _, due := range list {
		if t.full() {
			return nil // the index keeps them, and NextWake is now
		}
		if tired[due.ref.instance] {
			continue
		}
		began := time.Now()
		if err := t.fire(ctx, due); err != nil {
			return fmt.Errorf("fire timer of %s in %s: %w", due.ref.instance, due.partition, err)
		}
		t.decided++
		tired[due.ref.instance] = t.spent(due.partition, time.Since(began))
	}
	return nil
}

// collectDue reads a part of what is due from each partition, and gives back as
// much as is in order: no partition has an earlier one that was not read.
func (l *lane) collectDue(t *transaction) ([]dueTimer, error) {
	open := l.partitionsDue(t)
	if len(open) == 0 {
		return nil, nil
	}
	share := max(1, maxTimers/len(open))
	var list []dueTimer
	var horizon time.Time // behind it, a partition may have more than was read
	for _, p := range open {
		refs, err := l.book.dueTimers(p, l.soonest(p), t.now, share, l.waits(p))
		if err != nil {
			return nil, fmt.Errorf("read due timers of %s: %w", p, err)
		}
		for _, ref := range refs {
			list = append(list, dueTimer{p, ref})
		}
		if len(refs) == share {
			horizon = earlier(horizon, refs[share-1].due)
		}
		if len(refs) == 0 { // nothing is due after all, and nothing is committed that would say so
			if err := l.noteTimer(p); err != nil {
				return nil, err
			}
		}
	}
	if !horizon.IsZero() {
		list = slices.DeleteFunc(list, func(d dueTimer) bool { return d.ref.due.After(horizon) })
	}
	slices.SortFunc(list, func(a, b dueTimer) int {
		return cmp.Or(a.ref.due.Compare(b.ref.due), slices.Compare(a.ref.instance[:], b.ref.instance[:]), cmp.Compare(a.ref.id, b.ref.id))
	})
	return list, nil
}

// partitionsDue lists the partitions of the batch in which a timer is due.
func (l *lane) partitionsDue(t *transaction) (open []shard.Partition) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for p, next := range t.batch.Open {
		if next >= l.behind[p] {
			delete(l.behind, p)
		}
		_, behind := l.behind[p]
		if !l.blocked(p, t.now).IsZero() {
			continue
		}
		if due := l.timer[p]; !behind && !due.IsZero() && !due.After(t.now) {
			open = append(open, p)
		}
	}
	return open
}

// fire decides one timer. An error is about the local store or the definitions.
func (t *transaction) fire(ctx context.Context, due dueTimer) error {
	t.touched[due.partition] = true
	at := instance{due.partition, due.ref.instance}
	e, err := t.instance(at)
	if err != nil {
		return err
	}
	if e.cur != nil && decide.Behind(e.cur) {
		return nil // it was paused in this transaction; the timer is indexed again when it goes on
	}
	timer := findTimer(e.cur, due.ref)
	if timer == nil {
		t.stale = append(t.stale, due)
		return nil
	}
	in := t.input()
	in.Timer = timer
	f, err := t.decide(ctx, request{at: at, entry: e, in: in})
	if err != nil {
		return err
	}
	if f.lost != nil {
		// The instance keeps its timer; its neighbours go on.
		t.undecided = append(t.undecided, due)
		t.lane.config.Logger.LogAttrs(ctx, slog.LevelError, "timer cannot be decided, and not even an incident written: it waits for a new definition or a restart",
			slog.String("instance", at.id.String()), slog.String("type", e.cur.WorkflowType), slog.Any("error", f.lost))
		return nil //nolint:nilerr // it is logged, and the timer stays
	}
	t.timers++
	t.lane.config.Metrics.timerFired(t.now.Sub(timer.Due))
	return nil
}

func findTimer(s *events.Snapshot, ref timerRef) *events.Timer {
	if s == nil {
		return nil
	}
	for i := range s.Chart.Timers {
		if timer := &s.Chart.Timers[i]; timer.ID == ref.id && timer.Due.Equal(ref.due) {
			return timer
		}
	}
	return nil
}

// holdUndecided sets timers aside that cannot be decided now. They stay in the
// index: a new definition or the next opening of the partition lets them fire.
func (l *lane) holdUndecided(t *transaction) {
	for _, due := range t.undecided {
		l.held[due] = true
	}
}

// releaseHeld tries what was set aside again, once definitions have come in.
func (l *lane) releaseHeld() {
	if !l.deployed.Swap(false) || len(l.held) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for due := range l.held {
		if known, open := l.timer[due.partition]; open {
			l.timer[due.partition] = earlier(known, due.ref.due)
		}
	}
	clear(l.held)
}

// waits names the timers of p that do not fire now, though they may be due.
func (l *lane) waits(p shard.Partition) func(timerRef) bool {
	return func(ref timerRef) bool {
		return l.held[dueTimer{p, ref}] || l.rests.has(instance{p, ref.instance})
	}
}

// soonest is the earliest timer of p; no timer of p is due before.
func (l *lane) soonest(p shard.Partition) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.timer[p]
}

// noteTimers follows what a transaction has changed: for most partitions the
// earliest timer is still the earliest, or a new one is, and the index need not
// be asked.
func (l *lane) noteTimers(t *transaction) error {
	set := make(map[shard.Partition]time.Time) // the earliest timer of what changed
	gone := make(map[shard.Partition]bool)     // the earliest timer of the partition may be no more
	for at, e := range t.overlay {
		if !e.changed {
			continue
		}
		if !decide.Behind(e.cur) && !l.rests.has(at) {
			set[at.partition] = earlier(set[at.partition], firstDue(e.cur))
		}
		if e.old != nil {
			known := l.soonest(at.partition)
			for i := range e.old.Chart.Timers {
				gone[at.partition] = gone[at.partition] || e.old.Chart.Timers[i].Due.Equal(known)
			}
		}
	}
	for _, list := range [][]dueTimer{t.stale, t.undecided} {
		for _, due := range list {
			gone[due.partition] = true
		}
	}
	for p := range t.touched {
		known, soonest := l.soonest(p), set[p]
		if gone[p] && (soonest.IsZero() || soonest.After(known)) {
			if err := l.noteTimer(p); err != nil {
				return err
			}
			continue
		}
		l.mu.Lock()
		l.timer[p] = earlier(known, soonest)
		l.mu.Unlock()
	}
	return nil
}

// firstDue is when the earliest timer of an instance is due; zero for none.
func firstDue(s *events.Snapshot) (due time.Time) {
	for i := range s.Chart.Timers {
		due = earlier(due, s.Chart.Timers[i].Due)
	}
	return due
}

// noteTimer asks the index for the earliest timer of p. It begins where the
// earliest was: in front of that lie only the graves of those that have fired.
func (l *lane) noteTimer(p shard.Partition) error {
	due, err := l.book.nextTimer(p, l.soonest(p), l.waits(p))
	if err != nil {
		return err
	}
	l.mu.Lock()
	l.timer[p] = due
	l.mu.Unlock()
	return nil
}

// openTimers looks for the earliest timer of a partition that is being opened.
// It runs beside the run loop, so it leaves what is held alone: what was held of
// this partition was forgotten when it was closed.
func (l *lane) openTimers(p shard.Partition) error {
	due, err := l.book.nextTimer(p, time.Time{}, func(timerRef) bool { return false })
	if err != nil {
		return err
	}
	l.mu.Lock()
	l.timer[p] = due
	l.mu.Unlock()
	return nil
}
