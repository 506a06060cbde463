package executor

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/leat-io/leat/pkg/events"
)

// job is one task that was read here.
type job struct {
	task    events.Task
	in      *intake
	part    *partition
	offset  int64
	urgency int
	arrival int64
	bounds  []*bound
	lease   *Lease // nil: a handler runs it

	life context.Context //nolint:containedctx // of the attempt: it ends when that is cancelled, and with the executor; set by start
	stop context.CancelCauseFunc

	over  chan struct{}  // closed when the handler has returned
	news  chan struct{}  // has an element when the handler, or the borrower, wants a heartbeat to be sent
	beats sync.WaitGroup // the claim and the heartbeats

	done     []func()  // of who admitted it; only the attempt's goroutine knows them
	claiming time.Time // when its claim was first sent; set before claimDurable, as is late
	late     bool      // the claim took so long that the router may have given the attempt up

	// guarded by the executor's lock
	timer   *time.Timer // claims the task when it runs for long; set by begin
	claimed bool
	ended   bool
	// cancelled says that nobody waits for what comes of it.
	cancelled bool
	// repeatable says, of what runs at most once, that it may be made again. Only the
	// attempt's goroutine sets it, before it claims.
	repeatable bool
	kept       bool            // its partition is revoked, and it runs here all the same
	details    json.RawMessage // the newest of the handler's heartbeats, nil for none

	claimDurable bool // or the result is
}

// begin arms the claim. The executor's lock is held.
func (j *job) begin() {
	j.part.offsets.begin(j.offset)
	j.part.running[j] = true
	if !j.claimed && j.task.Delivery != events.AtMostOnce { // that one is claimed when it is known whether it may be repeated
		j.timer = time.AfterFunc(j.in.e.config.ClaimAfter, j.claim)
	}
}

// claim tells the router that the task runs here and goes on telling it until
// the handler has returned. It may be called more than once, and before the task
// has a slot.
func (j *job) claim() {
	e := j.in.e
	e.mu.Lock()
	if j.claimed || j.ended {
		e.mu.Unlock()
		return
	}
	j.claimed = true
	j.beats.Add(1)
	repeatable := j.repeatable
	e.mu.Unlock()
	defer j.beats.Done()

	c := e.report.command(&j.task, events.CommandClaim)
	c.Result.Repeatable, c.Result.Generation = repeatable, j.part.generation
	j.claiming = time.Now()
	record, err := e.report.record(c)
	if err != nil {
		e.config.Logger.Error("task cannot be claimed", taskAttrs(&j.task, slog.Any("error", err))...)
		return
	}
	if e.report.write(&j.task, record, j.over) != nil {
		return // the result, if it can be written, hands the task over
	}
	j.late = time.Since(j.claiming) > heartbeatTimeout(&j.task)/2
	if e.config.Metrics.TaskClaimed != nil {
		e.config.Metrics.TaskClaimed(j.task.Queue)
	}
	e.handedOver(j)
	if j.task.Delivery == events.AtMostOnce {
		j.in.commitSoon()
	}
	j.heartbeat()
}

// attempt runs one task and reports. It holds a slot until the report is
// durable, so that a broker that is away stops the intake.
func (e *Executor) attempt(j *job) {
	defer e.release(j)
	defer e.forget(j)
	defer j.leave()
	defer j.stop(nil)
	n, ok := ending{}, false
	if j.life.Err() == nil || e.handling.Err() != nil {
		n, ok = e.admit(j)
	}
	if ok && j.task.Delivery == events.AtMostOnce {
		n, ok = e.claimFirst(j)
	}
	began := time.Now()
	if ok {
		if e.config.Metrics.TaskStarted != nil {
			e.config.Metrics.TaskStarted(j.task.Queue, began.Sub(j.task.ScheduledAt))
		}
		n = e.call(j)
	}
	ran := time.Since(began)
	cancelled := e.end(j)
	if !ok {
		j.lease.lost()
	}
	if cancelled {
		e.drop(j)
		return
	}
	if ok && j.lease.unspoken() {
		failure := e.putBack(j)
		n = ending{failure: failure, silent: failure == nil}
	}
	if n.silent {
		j.beats.Wait()
		return
	}
	e.conclude(j, n, ran)
}

// conclude reports how an attempt is over.
func (e *Executor) conclude(j *job, n ending, ran time.Duration) {
	if n.failure != nil {
		e.config.Logger.Warn("task failed", taskAttrs(&j.task, slog.String("code", n.failure.Code), slog.Bool("retryable", n.failure.Retryable),
			slog.String("error", n.failure.Message))...)
		n.failure.details = e.detailsOf(j)
	}
	if e.config.Metrics.TaskFinished != nil && n.back == nil {
		e.config.Metrics.TaskFinished(j.task.Queue, n.state(), ran)
	}
	err := e.report.write(&j.task, e.report.result(&j.task, n, ran), nil)
	if err == nil {
		e.handedOver(j)
	}
	j.lease.settle(err)
	j.beats.Wait()
}

// claimFirst claims a task that must not run twice and waits until that is
// durable. One that may not be repeated waits, besides, until the group's offset
// is past it: the coordinator accepts that from the partition's owner alone, so
// no other executor will ever read the task. It reports false when the attempt must not
// begin here.
func (e *Executor) claimFirst(j *job) (n ending, ok bool) {
	go j.claim() // ends with j.beats, which attempt waits for
	claimed, ours := false, false
	e.await(j.life, func() bool {
		claimed = j.claimDurable
		ours = claimed && (j.repeatable || j.part.committed > j.offset)
		return ours || !j.repeatable && j.part.closed
	})
	switch {
	case !ours:
		return ending{silent: true}, false // the partition's next owner runs it
	case j.late:
		return ending{back: &handBack{code: CodeLateClaim, message: "the claim took so long that the router may count the attempt as lost"}}, false
	default:
		return ending{}, true
	}
}

// end stops the claim timer and the heartbeats, and reports whether the attempt was
// cancelled.
func (e *Executor) end(j *job) (cancelled bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	j.ended = true
	if j.timer != nil {
		j.timer.Stop()
	}
	close(j.over)
	return j.cancelled
}

// forget takes j out of its partition's books.
func (e *Executor) forget(j *job) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(j.part.running, j)
}

// call runs the handler. A panic is a failure of the task, not of the process.
func (e *Executor) call(j *job) (n ending) {
	h := e.handler(&j.task)
	if j.lease != nil {
		h = j.lease.hold
	}
	if h == nil {
		return ending{failure: &failed{Error: &events.Error{Code: CodeNoHandler, Retryable: true, Message: events.Cut(fmt.Sprintf(
			"executor %s reads queue %s and has no handler for %s; deploy one on every executor of the queue",
			e.config.NodeID, j.task.Queue, j.task.TaskName), events.MaxMessageLength)}}}
	}
	if e.handling.Err() != nil || e.lending != nil && j.lease == nil {
		j.lease.lost()
		return ending{failure: &failed{Error: &events.Error{Code: CodeDrained, Retryable: true, Message: "the executor stopped before the task began"}}}
	}
	task := j.task
	ctx, cancel := e.contextOf(j, &task)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			e.config.Logger.Error("handler panicked", taskAttrs(&j.task, slog.Any("panic", p), slog.String("stack", string(debug.Stack())))...)
			n = ending{failure: j.onlyOnce(panicked(p))}
		}
	}()
	value, err := h(ctx, &task)
	n = endingOf(ctx, &j.task, value, err)
	n.failure = j.onlyOnce(n.failure)
	return n
}

// lifeOf is the context of whatever is asked about an attempt: it knows the task,
// and ends when it is cancelled, and with the executor.
func (e *Executor) lifeOf(j *job, task *events.Task) (context.Context, context.CancelFunc) {
	return context.WithCancel(context.WithValue(j.life, attemptKey{}, attempt{task: task, beat: j.tell}))
}

// contextOf is the context of j's handler. Its time counts from the claim, if that
// came first, so that the handler ends before the router gives it up. A handler that runs
// on after the attempt's time is logged, since it holds a slot.
func (e *Executor) contextOf(j *job, task *events.Task) (context.Context, context.CancelFunc) {
	life, end := e.lifeOf(j, task)
	most := task.Timeouts.StartToClose
	if most <= 0 {
		return life, end
	}
	left := most
	if j.task.Delivery == events.AtMostOnce && !j.claiming.IsZero() {
		left -= time.Since(j.claiming)
	}
	ctx, cancel := context.WithTimeout(life, left)
	late := time.AfterFunc(left+e.config.stuckAfter, func() {
		e.config.Logger.Warn("handler still runs after its context has ended, and holds a slot until it returns: return when ctx.Done() is closed",
			taskAttrs(&j.task, slog.Duration("start_to_close", most), slog.Duration("over_by", e.config.stuckAfter))...)
	})
	return ctx, func() { late.Stop(); cancel(); end() }
}
