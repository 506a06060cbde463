package fsm

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math/bits"
	"slices"
	"time"

	"github.com/leat-io/leat/internal/plain"
	"github.com/leat-io/leat/pkg/events"
)

// fire handles a timer that is due. The time of the step is its due time.
func (s *step) fire() Effect {
	at := slices.IndexFunc(s.chart.Timers, func(t events.Timer) bool { return t.ID == s.in.TimerID })
	if at < 0 {
		return Ignored{Code: UnknownTimer, Message: fmt.Sprintf("timer %d is not set", s.in.TimerID)}
	}
	timer := s.chart.Timers[at]
	s.ownTimers()
	s.chart.Timers = slices.Delete(s.chart.Timers, at, at+1)
	s.now = timer.Due
	s.emit(TimerFired{timer})
	switch timer.Kind {
	case events.TimerAfter:
		s.trigger = event{name: timer.Event}
		s.macrostep(&s.trigger)
	case events.TimerSend:
		s.fireSend(&timer)
	case events.TimerRuntime:
		s.expire()
	default:
		s.fireTask(&timer)
	}
	s.later()
	return nil
}

func (s *step) fireSend(timer *events.Timer) {
	if timer.Event != "" {
		s.trigger = event{name: timer.Event, data: timer.Data}
		s.macrostep(&s.trigger)
		return
	}
	var out delayed
	if err := json.Unmarshal(timer.Data, &out); err != nil {
		s.fail(CodeExpression, "read a delayed send: "+err.Error(), s.m.def.Pos)
		return
	}
	s.deliver(out)
}

// setAfter arms the timer of an `after` of a state that is being entered.
func (s *step) setAfter(state *state, a *after) {
	wait, err := s.evalDelay(&a.delay)
	if err != nil {
		s.raiseError(err, errorPos(err, state.def.Pos))
		return
	}
	s.setTimer(events.Timer{Kind: events.TimerAfter, Due: s.now.Add(wait), Ref: state.id, Event: a.event})
}

func (s *step) cancelAfter(id string) {
	s.cancelTimers(func(t *events.Timer) bool { return t.Kind == events.TimerAfter && t.Ref == id })
}

// setTimer gives a timer its ordinal and arms it.
func (s *step) setTimer(t events.Timer) {
	s.ownTimers()
	s.chart.Counter++
	t.ID = s.chart.Counter
	t.Due = events.Instant(t.Due)
	s.chart.Timers = append(s.chart.Timers, t)
	s.emit(TimerSet{t})
}

// cancelTimers removes the timers that match, in one pass: there may be many.
func (s *step) cancelTimers(match func(*events.Timer) bool) {
	first := 0
	for first < len(s.chart.Timers) && !match(&s.chart.Timers[first]) {
		first++
	}
	if first == len(s.chart.Timers) {
		return
	}
	s.ownTimers()
	kept := s.chart.Timers[:first]
	for i := first; i < len(s.chart.Timers); i++ {
		t := s.chart.Timers[i]
		if match(&t) {
			s.emit(TimerCancelled{ID: t.ID})
			continue
		}
		kept = append(kept, t)
	}
	clear(s.chart.Timers[len(kept):])
	s.chart.Timers = kept
}

func (s *step) ownTimers() {
	if !s.owns.timers {
		s.owns.timers = true
		s.chart.Timers = owned(s.chart.Timers)
	}
}

// clip shortens foreign text for a message.
func clip(text string) string {
	const most = 64
	if len(text) > most {
		return events.Cut(text, most) + "…"
	}
	return text
}

// MaxReissues is how many attempts a task may have beyond its retry policy
// because executors were lost.
const MaxReissues = 10

// The codes of failures that the engine itself finds. An executor that ends an
// attempt at its start-to-close timeout says so with the same code; one that is
// stopped says CodeDrained.
const (
	CodeScheduleToStart = "SCHEDULE_TO_START_TIMEOUT"
	CodeStartToClose    = "START_TO_CLOSE_TIMEOUT"
	CodeScheduleToClose = "SCHEDULE_TO_CLOSE_TIMEOUT"
	CodeHeartbeat       = "HEARTBEAT_TIMEOUT"
	CodeDrained         = "DRAINED"
	CodeMCPUnknown      = "MCP_OUTCOME_UNKNOWN" // a tool was called, or was about to be, and nobody knows how that went
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
	case events.TimerResume:
		s.resume(at, inv, nil)
		s.reacted = true
		return
	case events.TimerHeartbeat:
		s.lost(at, inv)
	case events.TimerScheduleToStart:
		s.failAttempt(at, inv, s.timeout(at, inv, CodeScheduleToStart, "no executor claimed the attempt in time"), events.TaskTimeout)
	case events.TimerStartToClose:
		s.failAttempt(at, inv, s.timeout(at, inv, CodeStartToClose, "the attempt did not end in time"), events.TaskTimeout)
	default:
		failure := events.Error{Code: CodeScheduleToClose, Message: "the task did not end in time"}
		if t := &s.chart.Tasks[at]; t.State == events.TaskRetrying && t.Error != nil {
			failure.Message += "; its last attempt failed with " + t.Error.Error()
			failure.Message = events.Cut(failure.Message, events.MaxMessageLength)
		}
		s.failForGood(at, inv, s.unknown(at, inv, failure), events.TaskTimeout)
	}
	s.proceed(inv)
}

// timeout is the failure of an attempt that took too long. What may run at most
// once is not tried again unless its claim said that it may be: an executor may
// still be at it, or about to begin.
func (s *step) timeout(at int, inv *invocation, code, message string) events.Error {
	if inv.def.Delivery != events.AtMostOnce || s.chart.Tasks[at].State == events.TaskRunning && s.chart.Tasks[at].Repeatable {
		return events.Error{Code: code, Message: message, Retryable: true}
	}
	return s.unknown(at, inv, events.Error{Code: code, Message: message + unknownOutcome})
}

const unknownOutcome = ": its outcome is not known"

// unknown gives the end of an attempt of which nobody can tell what it did the
// code that calls of tools have for that. One that no executor has claimed did
// nothing that is known of.
func (s *step) unknown(at int, inv *invocation, failure events.Error) events.Error {
	if t := &s.chart.Tasks[at]; inv.def.Kind == InvokeMCP && inv.def.Delivery == events.AtMostOnce && t.State == events.TaskRunning && !t.Repeatable {
		failure.Code = CodeMCPUnknown
	}
	return failure
}

// failed handles a failure that an executor reports.
func (s *step) failed(at int, inv *invocation, failure events.Error) {
	switch {
	case failure.Code == CodeDrained && failure.Retryable:
		s.reissue(at, inv, failure, events.TaskFailed) // it was the executor that ended, not the work
	case failure.Code == CodeDrained:
		s.failAttempt(at, inv, s.unknown(at, inv, failure), events.TaskFailed)
	case failure.Code == CodeStartToClose:
		if !failure.Retryable {
			failure = s.unknown(at, inv, failure)
		}
		s.failAttempt(at, inv, failure, events.TaskTimeout)
	default:
		s.failAttempt(at, inv, failure, events.TaskFailed)
	}
}

// lost handles an executor that went silent.
func (s *step) lost(at int, inv *invocation) {
	failure := s.timeout(at, inv, CodeHeartbeat, "the executor went silent")
	if !failure.Retryable {
		s.failForGood(at, inv, failure, events.TaskFailed)
		return
	}
	s.reissue(at, inv, failure, events.TaskTimeout)
}

// reissue issues an attempt again that its executor did not finish, whatever the
// retry policy says.
func (s *step) reissue(at int, inv *invocation, failure events.Error, final events.TaskState) {
	planned := int32(1)
	if inv.def.Retry != nil && inv.def.Retry.MaxAttempts > 1 {
		planned = inv.def.Retry.MaxAttempts
	}
	if t := &s.chart.Tasks[at]; t.Attempt-t.Spent >= planned+MaxReissues {
		s.failForGood(at, inv, failure, final)
		return
	}
	s.retrying(at, failure, s.clock())
	s.issue(at, inv)
}

// failAttempt ends an attempt badly; the retry policy says what follows.
func (s *step) failAttempt(at int, inv *invocation, failure events.Error, final events.TaskState) {
	t := &s.chart.Tasks[at]
	attempt := t.Attempt - t.Spent
	if attempt >= s.m.limits.attempts || !retries(inv.def.Retry, attempt, &failure) {
		s.failForGood(at, inv, failure, final)
		return
	}
	wait := max(Backoff(inv.def.Retry, t.TaskID, attempt), s.askedWait(inv.def.Retry))
	due := events.Instant(s.clock().Add(wait))
	s.retrying(at, failure, due)
	s.setTimer(events.Timer{Kind: events.TimerRetry, Due: due, Ref: t.Invocation, TaskID: t.TaskID})
}

// askedWait is how long the executor asks to wait with the next attempt, as far
// as the retry policy lets it.
func (s *step) askedWait(r *Retry) time.Duration {
	if s.in.Kind != InputResult || s.in.Task == nil {
		return 0
	}
	return min(s.in.Task.RetryAfter, r.longest())
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
	s.stopRun(t, from)
}

// failForGood ends a task badly and tells the chart.
func (s *step) failForGood(at int, inv *invocation, failure events.Error, final events.TaskState) {
	t := &s.chart.Tasks[at]
	from := t.State
	t.State, t.Error = final, &failure
	s.cancelDeadlines(t.TaskID, "")
	s.forgetDown(at)
	t = &s.chart.Tasks[at]
	s.changed(t, from)
	data, _ := plain.Append(nil, map[string]any{
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
// between half and all of that, by task id and attempt: the same on each replay
// and each machine, so nothing here is rounded in a way that machines differ in.
func Backoff(r *Retry, task events.UUID, attempt int32) time.Duration {
	most := r.longest()
	wait := float64(r.Initial)
	switch r.Policy {
	case events.RetryLinear:
		wait *= float64(attempt)
	case events.RetryExponential:
		for n := int32(1); n < attempt && wait < float64(most) && r.Factor > 1; n++ {
			wait *= r.Factor
		}
	default: // as long each time
	}
	delay := most
	if wait < float64(most) {
		delay = time.Duration(wait)
	}
	if r.Jitter {
		half := delay / 2
		part, _ := bits.Mul64(uint64(half), spread(task, attempt)) //nolint:gosec // waits are not negative
		delay += time.Duration(part) - half                        //nolint:gosec // at most half
	}
	return delay
}

// longest is the longest wait between two attempts.
func (r *Retry) longest() time.Duration {
	if r.Max == 0 {
		return time.Hour
	}
	return r.Max
}

// spread is a number between 0 and 2^64 for an attempt of a task.
func spread(task events.UUID, attempt int32) uint64 {
	h := fnv.New64a()
	h.Write(task[:])
	var number [4]byte
	binary.BigEndian.PutUint32(number[:], uint32(attempt)) //nolint:gosec // attempts are positive
	h.Write(number[:])
	x := h.Sum64()
	x ^= x >> 33 // FNV leaves the last bytes in the low bits
	x *= 0xff51afd7ed558ccd
	return x ^ x>>33
}
