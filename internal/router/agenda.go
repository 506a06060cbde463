package router

import (
	"sync"
	"time"

	"github.com/leat-io/leat/internal/registry"
	"github.com/leat-io/leat/internal/schedule"
	"github.com/leat-io/leat/internal/shard"
	"github.com/leat-io/leat/pkg/events"
)

// agenda is the schedules of the partitions that a lane serves, in memory: what
// the topic says of them, and how far each is as of the last transaction. Only
// Process uses it, but for NextWake and Close.
type agenda struct {
	book  *book
	specs *registry.Schedules

	mu    sync.Mutex
	parts map[shard.Partition]*agendaPart
}

// agendaPart is the schedules of one partition.
type agendaPart struct {
	revision int64 // of the topic, as far as it is taken in
	byID     map[string]*planned
	watched  map[events.UUID]string // instances at work, and their schedule
	orphans  []string               // progress whose schedule was deleted
	wake     time.Time              // of the schedule that is first; zero for never
}

// planned is one schedule.
type planned struct {
	schedule *schedule.Schedule
	progress schedule.Progress
	wake     time.Time
}

func newAgenda(b *book, specs *registry.Schedules) *agenda {
	return &agenda{book: b, specs: specs, parts: make(map[shard.Partition]*agendaPart)}
}

// refresh takes in what the topic says of p by now. It is nil when that is not
// known yet.
func (a *agenda) refresh(p shard.Partition, workflowType string, partitions int32, now time.Time) (*agendaPart, error) {
	revision := a.specs.Revision()
	a.mu.Lock()
	part := a.parts[p]
	a.mu.Unlock()
	if revision == 0 || part != nil && part.revision == revision {
		return part, nil
	}
	known, err := a.book.progress(p)
	if err != nil {
		return nil, err
	}
	list, unread := a.specs.Of(workflowType)
	part = &agendaPart{revision: revision, byID: make(map[string]*planned), watched: make(map[events.UUID]string)}
	for _, s := range list {
		if s.Home(partitions) != p.Partition {
			continue
		}
		progress, ok := known[s.ScheduleID]
		if !ok {
			progress = schedule.Progress{ScheduleID: s.ScheduleID}
		}
		delete(known, s.ScheduleID)
		// It wakes at once: the ends of its instances were not watched.
		part.byID[s.ScheduleID] = &planned{schedule: s, progress: progress, wake: now}
	}
	for id := range known {
		if !unread[id] {
			part.orphans = append(part.orphans, id)
		}
	}
	a.put(p, part)
	return part, nil
}

// put makes part that of p, with what follows from its schedules.
func (a *agenda) put(p shard.Partition, part *agendaPart) {
	clear(part.watched)
	var wake time.Time
	for id, planned := range part.byID {
		wake = earlier(wake, planned.wake)
		for _, run := range planned.progress.Running {
			part.watched[run.InstanceID] = id
		}
	}
	a.mu.Lock()
	part.wake = wake
	a.parts[p] = part
	a.mu.Unlock()
}

// earlier is the first of two times, of which the zero one is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// wake is when a schedule of p wants to decide. stale is true when the topic
// says more than was taken in.
func (a *agenda) wake(p shard.Partition) (at time.Time, stale bool) {
	revision := a.specs.Revision()
	a.mu.Lock()
	defer a.mu.Unlock()
	part := a.parts[p]
	if part == nil {
		return time.Time{}, revision > 0
	}
	return part.wake, part.revision != revision
}

// forget drops p, or what a lost transaction left of it: it is read again.
func (a *agenda) forget(p shard.Partition) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.parts, p)
}

func (a *agenda) of(p shard.Partition) *agendaPart {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.parts[p]
}
