package executor

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/leat-io/leat/pkg/events"
)

// beatPart is the part of a heartbeat timeout that has to pass between two
// heartbeats on the topic, however many a borrower sends.
const beatPart = 10

// hold is the handler of a task that is lent: it waits for the borrower.
func (l *Lease) hold(ctx context.Context, _ *events.Task) (json.RawMessage, error) {
	if !l.arrive() {
		return nil, ErrReturned
	}
	timer := time.NewTimer(l.untilSilent())
	defer timer.Stop()
	for {
		select {
		case o := <-l.outcome:
			return o.value, o.err
		case <-ctx.Done():
			why := ErrOverdue
			switch cause := context.Cause(ctx); {
			case errors.Is(cause, errDrained):
				why = ErrDraining
			case errors.Is(cause, ErrCancelled):
				why = ErrCancelled
			}
			l.expire(why, context.Cause(ctx))
		case <-timer.C:
			if left := l.untilSilent(); left > 0 {
				timer.Reset(left)
				continue
			}
			l.expire(ErrSilent, ErrSilent)
		}
	}
}

// expire ends the lease from this side. A borrower who was faster is heard.
func (l *Lease) expire(why, err error) { _ = l.end(why, outcome{err: err}) }

// arrive hands the lease to who asked for it, and reports whether they are still
// there. From then on they have to send heartbeats.
func (l *Lease) arrive() bool {
	l.mu.Lock()
	l.silent = time.Now().Add(l.HeartbeatTimeout())
	l.mu.Unlock()
	e := l.job.in.e
	e.mu.Lock()
	defer e.mu.Unlock()
	if l.taker.gone {
		l.expire(ErrReturned, ErrReturned)
		return false
	}
	l.taker.leases <- l // has room for all that the taker is given
	return true
}

// lost tells the taker that the task does not come.
func (l *Lease) lost() {
	if l == nil {
		return
	}
	e := l.job.in.e
	e.mu.Lock()
	defer e.mu.Unlock()
	if !l.taker.gone {
		l.taker.leases <- nil
	}
}

func (l *Lease) untilSilent() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Until(l.silent)
}

// settle tells the borrower what became of the report.
func (l *Lease) settle(err error) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed = err
	close(l.reported)
}

// unspoken reports whether no report was made of the attempt: the borrower went
// silent, or gave the task back.
func (l *Lease) unspoken() bool {
	if l == nil {
		return false
	}
	why := l.Why()
	return errors.Is(why, ErrSilent) || errors.Is(why, ErrReturned)
}

// putBack lets another borrower run a task without a report. One that
// the router does not know to be claimed waits here for the next taker, or in the
// log when its partition is gone. About a claimed one there is something to say:
// that it is free again, or nothing, when who had it may have begun. The router's
// timers notice silence by themselves.
func (e *Executor) putBack(j *job) *failed {
	j.beats.Wait() // then the claim is durable, or will never be
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case j.claimDurable && errors.Is(j.lease.Why(), ErrReturned):
		return &failed{Error: &events.Error{Code: CodeDrained, Retryable: true, Message: "the worker that polled went away before it got the task"}}
	case j.claimDurable || j.in.parts[j.part.id] != j.part:
		return nil
	}
	again := &job{task: j.task, in: j.in, part: j.part, offset: j.offset, urgency: j.urgency, over: make(chan struct{}), news: make(chan struct{}, 1)}
	j.in.queued++
	name, bounds := e.lineOf(&again.task)
	e.queue.push(again, name, bounds)
	return nil
}

// relay writes the borrower's heartbeats until the attempt is over: at most
// ten in a heartbeat timeout, and never none that came.
func (j *job) relay() {
	e := j.in.e
	pause := max(j.lease.HeartbeatTimeout()/beatPart, time.Millisecond)
	for {
		select {
		case <-j.over:
			return
		case <-e.report.life.Done():
			return
		case <-j.news:
		}
		if !j.beat(true) {
			return
		}
		select {
		case <-j.over:
			return
		case <-time.After(pause):
		}
	}
}

// closeLending is called when the partitions are revoked: tasks that are claimed
// and that no borrower has taken are reported, so that they run elsewhere at once.
func (e *Executor) closeLending() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.lending != nil {
		e.lending.closed = true
		e.dispatch()
	}
}

// ahead is how many tasks are read before there is a slot for them.
func (e *Executor) ahead() int {
	if e.lending != nil {
		return e.lending.ahead
	}
	return e.config.Concurrency
}
