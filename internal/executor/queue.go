package executor

import (
	"container/heap"
	"slices"

	"github.com/leat-io/leat/pkg/events"
)

// queue holds tasks that were read and not begun: most urgent first, then in
// the order in which they were read. It is not safe for concurrent use.
type queue struct {
	items []*job
	count int64
}

// push takes a task in.
func (q *queue) push(j *job) {
	q.count++
	j.arrival = q.count
	heap.Push((*byUrgency)(q), j)
}

// pop gives the next task to run, nil when there is none.
func (q *queue) pop() *job {
	if len(q.items) == 0 {
		return nil
	}
	return heap.Pop((*byUrgency)(q)).(*job)
}

// remove drops the tasks for which drop says so.
func (q *queue) remove(drop func(*job) bool) {
	q.items = slices.DeleteFunc(q.items, drop)
	heap.Init((*byUrgency)(q))
}

// byUrgency is the queue as container/heap wants it.
type byUrgency queue

func (q *byUrgency) Len() int      { return len(q.items) }
func (q *byUrgency) Swap(i, k int) { q.items[i], q.items[k] = q.items[k], q.items[i] }
func (q *byUrgency) Push(j any)    { q.items = append(q.items, j.(*job)) }

func (q *byUrgency) Less(i, k int) bool {
	a, b := q.items[i], q.items[k]
	if a.urgency != b.urgency {
		return a.urgency > b.urgency
	}
	return a.arrival < b.arrival
}

func (q *byUrgency) Pop() any {
	last := len(q.items) - 1
	j := q.items[last]
	q.items[last] = nil
	q.items = q.items[:last]
	return j
}

// urgency orders the closed set of priorities; what is not in it counts as normal.
func urgency(p events.TaskPriority) int {
	if i := slices.Index(events.TaskPriorities(), p); i >= 0 {
		return i
	}
	return slices.Index(events.TaskPriorities(), events.PriorityNormal)
}
