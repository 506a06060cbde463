package fsm

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"slices"
	"time"

	"github.com/leat-io/leat/pkg/events"
)

// MaxReissues is how many attempts a task may have beyond its retry policy
// because executors were lost.
const MaxReissues = 10

// The codes of failures that the engine itself finds.
const (
	CodeScheduleToStart = "SCHEDULE_TO_START_TIMEOUT"
	CodeStartToClose    = "START_TO_CLOSE_TIMEOUT"
	CodeScheduleToClose = "SCHEDULE_TO_CLOSE_TIMEOUT"
	CodeHeartbeat       = "HEARTBEAT_TIMEOUT"
)

// fireTask handles a timer of a task.
func (s *step) fireTask(timer *events.Timer) {
	at := slices.IndexFunc(s.chart.Tasks, func(t events.TaskStatus) bool { return t.TaskID == timer.TaskID })
	if at < 0 || s.chart.Tasks[at].State.Finished() {
		return
	}
	inv := s.m.invs[invocationKey(s.chart.Tasks[at].StateID, s.chart.Tasks[at].Invocation)]
	if inv == nil {
		return
	}
	s.ownTasks()
	switch timer.Kind {
	case events.TimerRetry:
		s.issue(at, inv)
		s.reacted = true
		return
	case events.TimerHeartbeat:
		s.lost(at, inv)
	case events.TimerScheduleToStart:
		s.failAttempt(at, inv, timeout(CodeScheduleToStart, "no executor claimed the attempt in time"), events.TaskTimeout)
	case events.TimerStartToClose:
		s.failAttempt(at, inv, timeout(CodeStartToClose, "the attempt did not end in time"), events.TaskTimeout)
	default:
		failure := timeout(CodeScheduleToClose, "the task did not end in time")
		failure.Retryable = false
		s.failForGood(at, inv, failure, events.TaskTimeout)
	}
	s.proceed()
}

func timeout(code, message string) events.Error {
	return events.Error{Code: code, Message: message, Retryable: true}
}

// lost handles an executor that went silent: the attempt is issued again when
// the delivery guarantee allows it, whatever the retry policy says.
func (s *step) lost(at int, inv *invocation) {
	failure := timeout(CodeHeartbeat, "the executor went silent")
	t := &s.chart.Tasks[at]
	if inv.def.Delivery == events.AtMostOnce {
		failure.Retryable = false
		failure.Message = "the executor went silent: the outcome of the attempt is not known"
		s.failForGood(at, inv, failure, events.TaskFailed)
		return
	}
	planned := int32(1)
	if inv.def.Retry != nil && inv.def.Retry.MaxAttempts > 1 {
		planned = inv.def.Retry.MaxAttempts
	}
	if t.Attempt >= planned+MaxReissues {
		s.failForGood(at, inv, failure, events.TaskTimeout)
		return
	}
	s.retrying(at, failure, s.clock())
	s.issue(at, inv)
}

// failAttempt ends an attempt badly; the retry policy says what follows.
func (s *step) failAttempt(at int, inv *invocation, failure events.Error, final events.TaskState) {
	t := &s.chart.Tasks[at]
	if t.Attempt >= s.m.limits.attempts || !retries(inv.def.Retry, t.Attempt, &failure) {
		s.failForGood(at, inv, failure, final)
		return
	}
	due := events.Instant(s.clock().Add(Backoff(inv.def.Retry, t.TaskID, t.Attempt)))
	s.retrying(at, failure, due)
	s.setTimer(events.Timer{Kind: events.TimerRetry, Due: due, Ref: t.Invocation, TaskID: t.TaskID})
}

// retrying records a failed attempt that another follows at due.
func (s *step) retrying(at int, failure events.Error, due time.Time) {
	t := &s.chart.Tasks[at]
	for _, kind := range []events.TimerKind{events.TimerScheduleToStart, events.TimerStartToClose, events.TimerHeartbeat} {
		s.cancelDeadlines(t.TaskID, kind)
	}
	from := t.State
	t.State, t.Error = events.TaskRetrying, &failure
	s.emit(TaskChanged{
		TaskID: t.TaskID, StateID: t.StateID, Invocation: t.Invocation, Name: t.Name, From: from, To: t.State,
		Attempt: t.Attempt, Error: t.Error, NodeID: t.NodeID, RetryAt: due,
	})
}

// failForGood ends a task badly and tells the chart.
func (s *step) failForGood(at int, inv *invocation, failure events.Error, final events.TaskState) {
	t := &s.chart.Tasks[at]
	from := t.State
	t.State, t.Error = final, &failure
	s.cancelDeadlines(t.TaskID, "")
	s.changed(t, from)
	data, _ := appendObject(nil, map[string]any{
		"code": failure.Code, "message": failure.Message, "attempt": int64(t.Attempt), "retryable": failure.Retryable,
	})
	s.ended(at, inv, &event{name: inv.errorEvent, data: data, invoker: inv})
}

// retries reports whether another attempt follows the given one.
func retries(r *Retry, attempt int32, failure *events.Error) bool {
	switch {
	case r == nil || r.Policy == events.RetryNone || !failure.Retryable:
		return false
	case r.MaxAttempts > 0 && attempt >= r.MaxAttempts:
		return false
	case slices.Contains(r.NonRetryable, failure.Code):
		return false
	default:
		return len(r.Retryable) == 0 || slices.Contains(r.Retryable, failure.Code)
	}
}

// Backoff is how long to wait after the given attempt failed. With jitter it is
// between half and all of that, by task id and attempt: the same on each replay.
func Backoff(r *Retry, task events.UUID, attempt int32) time.Duration {
	wait := float64(r.Initial)
	switch r.Policy {
	case events.RetryLinear:
		wait *= float64(attempt)
	case events.RetryExponential:
		wait *= math.Pow(r.Factor, float64(attempt-1))
	default: // as long each time
	}
	most := r.Max
	if most == 0 {
		most = time.Hour
	}
	wait = min(wait, float64(most))
	if r.Jitter {
		h := fnv.New64a()
		h.Write(task[:])
		var number [4]byte
		binary.BigEndian.PutUint32(number[:], uint32(attempt)) //nolint:gosec // attempts are positive
		h.Write(number[:])
		wait = wait/2 + wait/2*float64(h.Sum64()>>11)/(1<<53)
	}
	return time.Duration(wait)
}
