package executor

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/topics"
)

// Limit bounds the tasks of a queue, or the tasks of one name, in this process.
type Limit struct {
	Concurrency int     // attempts that run at once; 0: as many as the executor runs
	Rate        float64 // attempts that begin in a second; 0: no bound
	// Burst is how many may begin at once after a quiet time; default a tenth of
	// Rate, at least 1. Without Rate it means nothing.
	Burst int
}

// check says what is wrong with a limit on name.
func (l Limit) check(name string) error {
	queue := name
	if strings.Contains(name, ".") {
		queue = topics.QueueOf(name)
	}
	switch {
	case events.CheckQueue("queue", queue) != nil || strings.HasSuffix(name, ".") || strings.HasSuffix(name, ".*"):
		return fmt.Errorf("executor: limit on %q: want a queue, such as payments, or a task, such as payments.charge", name)
	case l.Concurrency < 0 || l.Burst < 0 || l.Rate < 0 || math.IsNaN(l.Rate) || math.IsInf(l.Rate, 0):
		return fmt.Errorf("executor: limit on %q: %+v has a number that is negative or no number", name, l)
	default:
		return nil
	}
}

// bound is a [Limit] at work. The executor's lock guards it.
type bound struct {
	most int // 0: no bound
	used int
	rate *rate.Limiter // nil: no bound
}

func newBound(l Limit) *bound {
	b := &bound{most: l.Concurrency}
	if l.Rate > 0 {
		burst := l.Burst
		if burst == 0 {
			burst = max(1, int(math.Ceil(min(l.Rate/10, math.MaxInt32))))
		}
		b.rate = rate.NewLimiter(rate.Limit(l.Rate), burst)
	}
	return b
}

// openAt reports whether a task with these bounds may begin, and if time alone
// has to pass first, how much.
func openAt(bounds []*bound, now time.Time) (open bool, wait time.Duration) {
	for _, b := range bounds {
		if b.most > 0 && b.used >= b.most {
			return false, 0
		}
		if b.rate == nil {
			continue
		}
		if missing := 1 - b.rate.TokensAt(now); missing > 0 {
			seconds := min(missing/float64(b.rate.Limit()), 3600)
			wait = max(wait, time.Duration(seconds*float64(time.Second)), time.Millisecond)
		}
	}
	return wait == 0, wait
}

func take(bounds []*bound, now time.Time) {
	for _, b := range bounds {
		b.used++
		if b.rate != nil {
			b.rate.AllowN(now, 1)
		}
	}
}

func giveBack(bounds []*bound) {
	for _, b := range bounds {
		b.used--
	}
}

// lineOf is the line in which a task waits, and its bounds: tasks with a bound of
// their own wait apart from the rest of their queue, and queues with one apart
// from those without.
func (e *Executor) lineOf(t *events.Task) (name string, bounds []*bound) {
	if b := e.bounds[t.Queue]; b != nil {
		name, bounds = t.Queue, append(bounds, b)
	}
	if b := e.bounds[t.TaskName]; b != nil && t.TaskName != t.Queue {
		name, bounds = t.TaskName, append(bounds, b)
	}
	return name, bounds
}

// checkLimits refuses a limit on a name without a handler: a name with a typing
// error would bound nothing.
func (e *Executor) checkLimits() error {
	queues := e.Queues()
	for _, name := range slices.Sorted(maps.Keys(e.config.Limits)) {
		queue, task := topics.QueueOf(name), strings.Contains(name, ".")
		if !task {
			queue = name
		}
		if !slices.Contains(queues, queue) || task && e.handlers[name] == nil && e.handlers[queue+".*"] == nil {
			return fmt.Errorf("executor: limit on %q: there is no handler for it; handled are %s", name,
				strings.Join(slices.Sorted(maps.Keys(e.handlers)), ", "))
		}
	}
	return nil
}
