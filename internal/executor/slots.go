package executor

import (
	"context"
	"time"
)

// dispatch starts queued tasks while there are slots and their bounds let them.
// e.mu is held.
func (e *Executor) dispatch() {
	var wait time.Duration
	for e.canStart() {
		var j *job
		if j, wait = e.next(); j == nil {
			break
		}
		e.start(j)
	}
	e.lending.endRound()
	e.wakeIn(wait)
	if e.config.Metrics.SlotsUsed != nil {
		e.config.Metrics.SlotsUsed(len(e.running), e.config.Concurrency)
	}
	e.broadcast()
}

// canStart reports whether there is a slot, and a handler or taker for it. e.mu
// is held.
func (e *Executor) canStart() bool {
	return len(e.running) < e.config.Concurrency && e.lending.wants()
}

// next takes a task out of the queue. When the executor gives up, bounds bound
// nothing any more: no handler is called. e.mu is held.
func (e *Executor) next() (*job, time.Duration) {
	if e.handling.Err() != nil {
		return e.queue.popAny(), 0
	}
	return e.queue.pop(time.Now())
}

// start gives a task a slot and runs it. e.mu is held.
func (e *Executor) start(j *job) {
	take(j.bounds, time.Now())
	e.running[j] = true
	e.seat.Take(1)
	j.in.queued--
	e.lending.give(j)
	j.life, j.stop = context.WithCancelCause(e.handling)
	if e.cancels.ended(&j.task, e.config.NodeID) {
		j.cancelled = true
		j.stop(ErrCancelled)
	}
	j.begin()
	if !j.kept {
		e.attempts.Add(1)
	}
	go func() { // its owner is drain, which waits for the attempts
		defer e.attempts.Done()
		e.attempt(j)
	}()
}

// wakeIn checks the queue again after wait, 0 for never. e.mu is held.
func (e *Executor) wakeIn(wait time.Duration) {
	switch {
	case wait == 0 && e.alarm != nil:
		e.alarm.Stop()
	case wait == 0:
	case e.alarm == nil:
		e.alarm = time.AfterFunc(wait, func() {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.dispatch()
		})
	default:
		e.alarm.Reset(wait)
	}
}

func (e *Executor) stopAlarm() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.wakeIn(0)
}

// release gives a slot back.
func (e *Executor) release(j *job) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.running, j)
	e.seat.Take(-1)
	giveBack(j.bounds)
	e.dispatch()
}

// handedOver lets the group's offset move past j's task.
func (e *Executor) handedOver(j *job) {
	e.mu.Lock()
	defer e.mu.Unlock()
	j.part.offsets.done(j.offset)
	j.claimDurable = true
	e.broadcast()
}

// broadcast wakes everybody in await. e.mu is held.
func (e *Executor) broadcast() {
	close(e.changed)
	e.changed = make(chan struct{})
}

// await waits until ok, which is called with e.mu held, or until ctx ends.
func (e *Executor) await(ctx context.Context, ok func() bool) {
	for {
		e.mu.Lock()
		good, changed := ok(), e.changed
		e.mu.Unlock()
		if good {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}
