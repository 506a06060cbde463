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

	over  chan struct{}  // closed when the handler has returned
	news  chan struct{}  // has an element when the handler, or the borrower, wants a heartbeat to be sent
	beats sync.WaitGroup // the claim and the heartbeats

	// guarded by the executor's lock
	timer   *time.Timer // claims the task when it runs for long; set by begin
	claimed bool
	ended   bool
	kept    bool            // its partition is revoked, and it runs here all the same
	details json.RawMessage // the newest of the handler's heartbeats, nil for none

	claimDurable bool // or the result is
}

// begin arms the claim. The executor's lock is held.
func (j *job) begin() {
	j.part.offsets.begin(j.offset)
	j.part.running[j] = true
	if !j.claimed {
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
	e.mu.Unlock()
	defer j.beats.Done()

	record, err := e.report.record(e.report.command(&j.task, events.CommandClaim))
	if err != nil {
		e.config.Logger.Error("task cannot be claimed", taskAttrs(&j.task, slog.Any("error", err))...)
		return
	}
	if e.report.write(&j.task, record, j.over) != nil {
		return // the result, if it can be written, hands the task over
	}
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
	if j.task.Delivery == events.AtMostOnce && !e.onlyHere(j) {
		e.end(j)
		j.beats.Wait()
		j.lease.lost()
		return // the partition's next owner runs it
	}
	began := time.Now()
	if e.config.Metrics.TaskStarted != nil {
		e.config.Metrics.TaskStarted(j.task.Queue, began.Sub(j.task.ScheduledAt))
	}
	value, failure := e.call(j)
	ran := time.Since(began)
	e.end(j)
	if j.lease.unspoken() {
		if value, failure = nil, e.putBack(j); failure == nil {
			return
		}
	}
	state := events.TaskCompleted
	if failure != nil {
		state = events.TaskFailed
		e.config.Logger.Warn("task failed", taskAttrs(&j.task, slog.String("code", failure.Code), slog.Bool("retryable", failure.Retryable),
			slog.String("error", failure.Message))...)
	}
	if e.config.Metrics.TaskFinished != nil {
		e.config.Metrics.TaskFinished(j.task.Queue, state, ran)
	}
	if failure != nil {
		failure.details = e.detailsOf(j)
	}
	err := e.report.write(&j.task, e.report.result(&j.task, value, failure, ran), nil)
	if err == nil {
		e.handedOver(j)
	}
	j.lease.settle(err)
	j.beats.Wait()
}

// onlyHere claims a task that must not run twice and waits until the group's
// offset is past it: the coordinator accepts that from the partition's owner
// alone, so no other executor will ever read the task.
func (e *Executor) onlyHere(j *job) bool {
	go j.claim() // ends with j.beats, which attempt waits for
	ok := false
	e.await(e.handling, func() bool {
		ok = j.part.committed > j.offset
		return ok || j.part.closed
	})
	return ok
}

// end stops the claim timer and the heartbeats.
func (e *Executor) end(j *job) {
	e.mu.Lock()
	defer e.mu.Unlock()
	j.ended = true
	if j.timer != nil {
		j.timer.Stop()
	}
	close(j.over)
}

// forget takes j out of its partition's books.
func (e *Executor) forget(j *job) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(j.part.running, j)
}

// call runs the handler. A panic is a failure of the task, not of the process.
func (e *Executor) call(j *job) (value json.RawMessage, failure *failed) {
	h := e.handler(&j.task)
	if j.lease != nil {
		h = j.lease.hold
	}
	if h == nil {
		return nil, &failed{Error: &events.Error{Code: CodeNoHandler, Retryable: true, Message: events.Cut(fmt.Sprintf(
			"executor %s reads queue %s and has no handler for %s; deploy one on every executor of the queue",
			e.config.NodeID, j.task.Queue, j.task.TaskName), events.MaxMessageLength)}}
	}
	if e.handling.Err() != nil || e.lending != nil && j.lease == nil {
		j.lease.lost()
		return nil, &failed{Error: &events.Error{Code: CodeDrained, Retryable: true, Message: "the executor stopped before the task began"}}
	}
	task := j.task
	ctx, cancel := e.contextOf(j, &task)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			e.config.Logger.Error("handler panicked", taskAttrs(&j.task, slog.Any("panic", p), slog.String("stack", string(debug.Stack())))...)
			value, failure = nil, onlyOnce(&j.task, panicked(p))
		}
	}()
	value, err := h(ctx, &task)
	if err != nil {
		return nil, onlyOnce(&j.task, failureOf(ctx, &j.task, err))
	}
	return value, nil
}

// contextOf is the context of j's handler, which knows the task. A handler
// that runs on after the attempt's time is logged, since it holds a slot.
func (e *Executor) contextOf(j *job, task *events.Task) (context.Context, context.CancelFunc) {
	ctx := context.WithValue(e.handling, attemptKey{}, attempt{task: task, beat: j.tell})
	most := task.Timeouts.StartToClose
	if most <= 0 {
		return ctx, func() {}
	}
	ctx, cancel := context.WithTimeout(ctx, most)
	late := time.AfterFunc(most+e.config.stuckAfter, func() {
		e.config.Logger.Warn("handler still runs after its context has ended, and holds a slot until it returns: return when ctx.Done() is closed",
			taskAttrs(&j.task, slog.Duration("start_to_close", most), slog.Duration("over_by", e.config.stuckAfter))...)
	})
	return ctx, func() { late.Stop(); cancel() }
}
