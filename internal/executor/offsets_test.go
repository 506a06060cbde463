package executor

import (
	"slices"
	"testing"
	"time"

	"github.com/leat-io/leat/pkg/events"
)

func TestOffsetsMoveOnlyOverWhatIsHandedOver(t *testing.T) {
	o := newOffsets(10)
	for _, at := range []int64{10, 11, 14, 15} { // 12 and 13 are control records
		o.add(at)
	}
	for _, step := range []struct{ done, next int64 }{{11, 10}, {11, 10}, {10, 12}, {10, 12}, {15, 12}, {99, 12}, {14, 16}} {
		if o.done(step.done); o.next != step.next {
			t.Fatalf("after %d: next is %d, want %d", step.done, o.next, step.next)
		}
	}
	if o.waiting() != 0 {
		t.Fatalf("%d wait", o.waiting())
	}
}

func TestQueueGivesTheMostUrgentFirst(t *testing.T) {
	var q queue
	for i, p := range []events.TaskPriority{"low", "normal", "urgent", "", "high", "normal", "urgent"} {
		q.push(&job{offset: int64(i), urgency: urgency(p)}, "", nil)
	}
	q.remove(func(j *job) bool { return j.offset == 1 })
	var got []int64
	for j, _ := q.pop(time.Time{}); j != nil; j, _ = q.pop(time.Time{}) {
		got = append(got, j.offset)
	}
	if want := []int64{2, 6, 4, 3, 5, 0}; !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
}
