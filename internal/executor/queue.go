package executor

import (
	"container/heap"
	"slices"
	"time"

	"github.com/leat-io/leat/pkg/events"
)

// queue holds tasks that were read and not begun, in lines: the tasks of a line
// have the same bounds, so that one that has to wait holds back its own line
// alone. It is not safe for concurrent use.
type queue struct {
	lines map[string]*line
	count int64
}

// line is a line of the queue: most urgent first, then in the order in which
// they were read.
type line struct {
	bounds []*bound
	items  []*job
}

// push takes a task into a line; bounds are those of every task of the line.
func (q *queue) push(j *job, name string, bounds []*bound) {
	l := q.lines[name]
	if l == nil {
		if q.lines == nil {
			q.lines = make(map[string]*line)
		}
		l = &line{bounds: bounds}
		q.lines[name] = l
	}
	q.count++
	j.arrival, j.bounds = q.count, bounds
	heap.Push((*byUrgency)(l), j)
}

// pop gives the next task that may run now, nil when there is none. wait is how
// long until a rate lets another task run, 0 when no time will.
func (q *queue) pop(now time.Time) (j *job, wait time.Duration) {
	var best *line
	for _, l := range q.lines {
		if len(l.items) == 0 || best != nil && !before(l.items[0], best.items[0]) {
			continue
		}
		open, until := openAt(l.bounds, now)
		switch {
		case open:
			best = l
		case until > 0 && (wait == 0 || until < wait):
			wait = until
		}
	}
	if best == nil {
		return nil, wait
	}
	return heap.Pop((*byUrgency)(best)).(*job), 0
}

// popAny is pop for when no bound counts any more.
func (q *queue) popAny() *job {
	for _, l := range q.lines {
		if len(l.items) > 0 {
			return heap.Pop((*byUrgency)(l)).(*job)
		}
	}
	return nil
}

// remove drops the tasks for which drop says so.
func (q *queue) remove(drop func(*job) bool) {
	for _, l := range q.lines {
		l.items = slices.DeleteFunc(l.items, drop)
		heap.Init((*byUrgency)(l))
	}
}

// byUrgency is a line as container/heap wants it.
type byUrgency line

func (l *byUrgency) Len() int           { return len(l.items) }
func (l *byUrgency) Swap(i, k int)      { l.items[i], l.items[k] = l.items[k], l.items[i] }
func (l *byUrgency) Push(j any)         { l.items = append(l.items, j.(*job)) }
func (l *byUrgency) Less(i, k int) bool { return before(l.items[i], l.items[k]) }

func (l *byUrgency) Pop() any {
	last := len(l.items) - 1
	j := l.items[last]
	l.items[last] = nil
	l.items = l.items[:last]
	return j
}

// before reports whether a runs before b.
func before(a, b *job) bool {
	if a.urgency != b.urgency {
		return a.urgency > b.urgency
	}
	return a.arrival < b.arrival
}

// urgency orders the closed set of priorities; what is not in it counts as normal.
func urgency(p events.TaskPriority) int {
	if i := slices.Index(events.TaskPriorities(), p); i >= 0 {
		return i
	}
	return slices.Index(events.TaskPriorities(), events.PriorityNormal)
}
