package executor

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/leat-io/leat/pkg/events"
)

// An executor that lends runs nothing itself: a borrower takes a lease on a task,
// works on it elsewhere, and reports through the lease how it ended. Tasks are
// claimed, reported and handed over as those of handlers are. What differs: a
// task begins only when a borrower asks, so that nothing is claimed without one,
// and heartbeats are the borrower's, so that one that dies goes silent.

// Why a lease is over.
var (
	ErrReported = errors.New("the attempt has been reported")
	ErrSilent   = errors.New("no heartbeat came in time; the router issues the task again")
	ErrOverdue  = errors.New("the attempt took longer than its start-to-close timeout")
	ErrReturned = errors.New("the task was given back")
	ErrDraining = errors.New("the executor has stopped; the router issues the task again")
)

// Lend makes e lend the tasks of one queue. It is called instead of Handle,
// before Run. ahead is how many tasks are read before a borrower asks for them.
func (e *Executor) Lend(queue string, ahead int) error {
	if err := e.Handle(queue+".*", neverCalled); err != nil {
		return err
	}
	e.lending = &lending{ahead: ahead}
	return nil
}

func neverCalled(context.Context, *events.Task) (json.RawMessage, error) {
	return nil, errors.New("a task that is lent has no handler")
}

// lending is the queue of takers that wait for tasks. The executor's lock guards it. A nil lending
// is that of an executor with handlers.
type lending struct {
	ahead  int
	takers []*taker // first come, first served
	closed bool     // partitions are revoked: what is left is reported
}

// taker is one call of Take, for one round.
type taker struct {
	tasks, bytes int           // how much more it takes
	given        int           // how many tasks are on their way to it
	served       chan struct{} // closed when it is given no more
	leases       chan *Lease   // what arrives, nil for what was lost on the way
	gone         bool
}

// wants reports whether a task that begins now has a taker.
func (l *lending) wants() bool { return l == nil || l.closed || len(l.takers) > 0 }

// give makes j a lease for the first taker.
func (l *lending) give(j *job) {
	if l == nil || len(l.takers) == 0 {
		return
	}
	t := l.takers[0]
	j.lease = &Lease{job: j, taker: t, place: t.given, outcome: make(chan outcome, 1), over: make(chan struct{}), reported: make(chan struct{})}
	t.given++
	t.tasks--
	if t.bytes -= len(j.task.Input); t.tasks == 0 || t.bytes <= 0 {
		l.leave(t)
	}
}

// endRound releases a taker that got something: it does not wait for more.
func (l *lending) endRound() {
	if l != nil && len(l.takers) > 0 && l.takers[0].given > 0 {
		l.leave(l.takers[0])
	}
}

func (l *lending) leave(t *taker) {
	if i := slices.Index(l.takers, t); i >= 0 {
		l.takers = slices.Delete(l.takers, i, i+1)
		close(t.served)
	}
}

// Take waits until there are tasks, for at most wait, and lends those that are
// there: at most tasks, and no more behind the one with which their inputs come
// to bytes. It returns none when the time is over, and when ctx ends; what was on
// its way then goes back.
func (e *Executor) Take(ctx context.Context, tasks, bytes int, wait time.Duration) []*Lease {
	waiting, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for {
		leases := e.takeRound(ctx, waiting, &taker{
			tasks: tasks, bytes: bytes, served: make(chan struct{}), leases: make(chan *Lease, tasks),
		})
		if len(leases) > 0 || waiting.Err() != nil || e.handling.Err() != nil {
			return leases
		}
	}
}

func (e *Executor) takeRound(ctx, waiting context.Context, t *taker) []*Lease {
	e.mu.Lock()
	e.lending.takers = append(e.lending.takers, t)
	e.dispatch()
	e.mu.Unlock()
	select {
	case <-t.served:
	case <-waiting.Done():
	}
	e.mu.Lock()
	e.lending.leave(t)
	e.mu.Unlock() // t.given changes no more
	var leases []*Lease
	for range t.given {
		select {
		case l := <-t.leases:
			if l != nil {
				leases = append(leases, l)
			}
		case <-ctx.Done():
			e.walkAway(t, leases)
			return nil
		}
	}
	slices.SortFunc(leases, func(a, b *Lease) int { return a.place - b.place })
	return leases
}

// walkAway gives back what t got, and lets what is on its way find it gone.
func (e *Executor) walkAway(t *taker, leases []*Lease) {
	e.mu.Lock()
	t.gone = true
	for len(t.leases) > 0 {
		if l := <-t.leases; l != nil {
			leases = append(leases, l)
		}
	}
	e.mu.Unlock()
	for _, l := range leases {
		l.GiveBack()
	}
}

// Lease is an attempt that a borrower works on elsewhere. It is over when it was
// reported or given back, when no heartbeat came in time, when the attempt's time
// is over, and when the executor has stopped. Safe for concurrent use.
type Lease struct {
	job      *job
	taker    *taker
	place    int // among what the taker is given: most urgent first
	outcome  chan outcome
	over     chan struct{}
	reported chan struct{}

	mu     sync.Mutex // guards what follows
	why    error      // nil until it is over
	silent time.Time  // when the borrower counts as dead; zero before it has the task
	failed error      // why the report could not be written
}

// outcome is what a borrower reports.
type outcome struct {
	value json.RawMessage
	err   error
}

// Task is what to do. It must not be changed.
func (l *Lease) Task() *events.Task { return &l.job.task }

// Complete reports that the attempt has ended well. The report is durable when
// Reported is closed and Err is nil. The error says why the lease was over.
func (l *Lease) Complete(value json.RawMessage) error {
	return l.end(ErrReported, outcome{value: value})
}

// Fail reports that the attempt has failed, as Complete does. failure is what a
// handler would return: an *events.Error, maybe one with [RetryAfter].
func (l *Lease) Fail(failure error) error {
	return l.end(ErrReported, outcome{err: failure})
}

// GiveBack returns the task before work on it began: it goes to the next taker.
func (l *Lease) GiveBack() { _ = l.end(ErrReturned, outcome{err: ErrReturned}) }

func (l *Lease) end(why error, o outcome) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.why != nil {
		return l.why
	}
	l.why = why
	close(l.over)
	l.outcome <- o
	return nil
}

// Heartbeat reports that the borrower is still at work. details, JSON text, are
// kept for the next attempt, if there is one; nil keeps those of earlier
// heartbeats. It does not wait until the report is durable. The error says why
// the lease was over.
func (l *Lease) Heartbeat(details json.RawMessage) error {
	l.mu.Lock()
	if l.why != nil {
		defer l.mu.Unlock()
		return l.why
	}
	l.silent = time.Now().Add(l.HeartbeatTimeout())
	l.mu.Unlock()
	if details == nil {
		details = l.job.in.e.detailsOf(l.job)
	}
	l.job.tell(details)
	return nil
}

// HeartbeatTimeout is the longest time between two heartbeats.
func (l *Lease) HeartbeatTimeout() time.Duration { return heartbeatTimeout(&l.job.task) }

// Over is closed when the lease is over. Why says why.
func (l *Lease) Over() <-chan struct{} { return l.over }

// Why is nil until the lease is over.
func (l *Lease) Why() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.why
}

// Reported is closed when the report is durable, or will never be: see Err.
func (l *Lease) Reported() <-chan struct{} { return l.reported }

// Err is why the report could not be written.
func (l *Lease) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}
