package decide

import (
	"errors"
	"fmt"
	"runtime"
	"strings"

	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

// CodeResultSkipped fails the attempt whose result led to an incident and was
// left out by an operator: the task was done, and what follows from its result
// is not wanted.
const CodeResultSkipped = "RESULT_SKIPPED"

// Error is an error whose code an incident or an outcome shows.
type Error struct {
	Code string
	Err  error
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// CodeOf is the code of what kept a decision from being written.
func CodeOf(why error) string {
	if coded, ok := errors.AsType[*Error](why); ok {
		return coded.Code
	}
	return CodeUndecidable
}

// Park parks the instance of an input whose consequences cannot be decided or
// written: the input is kept with the incident, and whoever operates the instance
// lets it be decided again or leaves it out. It is false where that is no way: a
// person's command is answered instead, and an instance that holds already is not
// parked twice.
func Park(in Input, snap *events.Snapshot, why error) (d Decision, ok bool) {
	return undecidable(in, snap, unwritten(why))
}

// GiveUp answers a command of which nothing could be kept, not even as an
// incident.
func GiveUp(in Input, snap *events.Snapshot, why error) Decision {
	d := Answer(in, snap, events.OutcomeRejected, CodeOf(why), why.Error())
	d.tellParent(in)
	d.Audit = audit(in, snap, d)
	return d
}

// AsFailure is a result that cannot be kept, as a failure of its attempt. It is
// false for every other input.
func AsFailure(in Input, why error) (Input, bool) {
	return failedResult(in, CodeOf(why), clipMessage("the result cannot be kept: "+why.Error()))
}

// WithoutDetails is the report of an executor without the details of its
// heartbeats. They are a help for the next attempt, so that nothing may fail for
// them. It is false for an input that has none.
func WithoutDetails(in Input) (Input, bool) {
	c := in.Command
	if c == nil || c.Result == nil || c.Result.HeartbeatDetails == nil {
		return in, false
	}
	lean, result := *c, *c.Result
	result.HeartbeatDetails, lean.Result = nil, &result
	in.Command = &lean
	return in, true
}

// undecidable parks the instance of an input; see [Park].
func undecidable(in Input, snap *events.Snapshot, why *events.Error) (d Decision, ok bool) {
	c := in.Command
	switch {
	case goesOn(c) && snap != nil:
		var err error
		if in, snap, err = parkHeld(in, snap); err != nil {
			return Decision{}, false
		}
		c = in.Command
	case !parks(in, snap):
		return Decision{}, false
	}
	starts := snap == nil
	if starts {
		snap = begin(in)
	}
	r := newRecorder(in, snap, causeOf(in, snap))
	if starts {
		r.created(c)
	}
	r.parkUnwritten(why)
	d = r.decision()
	return d, true
}

// parks reports whether an input that cannot be decided leaves its instance with
// an incident.
func parks(in Input, snap *events.Snapshot) bool {
	c := in.Command
	if OfOperator(c) || Reads(c) {
		return false
	}
	if snap == nil {
		return c != nil && c.Command == events.CommandStart && in.Machine != nil
	}
	return !snap.Holding() && !snap.State.Finished()
}

// causeOf is the causal chain of an input.
func causeOf(in Input, snap *events.Snapshot) []events.UUID {
	switch c := in.Command; {
	case c == nil:
		return in.Timer.Cause
	case c.Result != nil:
		return taskCause(snap, c.Result.TaskID)
	default:
		return outsideCause(c)
	}
}

// unwritten is what kept a decision from being written, for an incident.
func unwritten(why error) *events.Error {
	return &events.Error{Code: CodeOf(why), Message: clipMessage("what follows cannot be written: " + why.Error())}
}

// clipMessage keeps a message within what a record takes.
func clipMessage(text string) string { return events.Cut(text, events.MaxMessageLength) }

// failedResult is a result that does not fit the instance's state, as a failure
// of its attempt: the work is done and is not done again, and the definition can
// react to it.
func failedResult(in Input, code, message string) (Input, bool) {
	c := in.Command
	if c == nil || c.Command != events.CommandResult || c.Result.State != events.TaskCompleted {
		return in, false
	}
	failed, result := *c, *c.Result
	result.State, result.Error = events.TaskFailed, &events.Error{Code: code, Message: message}
	failed.Payload, failed.Result = nil, &result
	in.Command = &failed
	return in, true
}

// skipped decides the input of an incident that an operator leaves out, so that
// nothing waits for it: a result fails its attempt, a signal and a claim are
// gone, and so is a timer that nothing but itself waits for. Some cannot be left
// out without leaving a task that no executor runs.
func skipped(in Input, h *events.HeldInput, snap *events.Snapshot) (Decision, error) {
	if h.Command != nil {
		sub := Input{Command: h.Command, Machine: in.Machine, Now: in.Now, Source: in.Source, Writable: in.Writable, Seed: in.Seed}
		message := "an operator left the result out, which had led to an incident"
		failed, done := failedResult(sub, CodeResultSkipped, message)
		if !done && h.Command.Command == events.CommandResult {
			failed, done = sub, true // a failure stays one
		}
		if !done || in.replay { // a history says by itself what followed
			return Decision{}, nil
		}
		held := *h
		held.Command = failed.Command
		return again(in, &held, snap, false)
	}
	next := *snap
	next.Chart.Timers = nil
	for _, t := range snap.Chart.Timers {
		if t.ID != h.TimerID {
			next.Chart.Timers = append(next.Chart.Timers, t)
		}
	}
	return Decision{Next: &next}, nil
}

// unskippable says why the input of an incident cannot be left out, "" when it can.
func unskippable(h *events.HeldInput, snap *events.Snapshot) string {
	if h.Command != nil {
		if h.Command.Command == events.CommandStart {
			return "the start itself is the incident and cannot be left out; possible: cancel, terminate, retry without skip"
		}
		return ""
	}
	for i := range snap.Chart.Timers {
		if t := &snap.Chart.Timers[i]; t.ID == h.TimerID && !t.TaskID.IsNil() {
			return fmt.Sprintf("timer %s decides what happens to a task, which no executor would run without it; possible: cancel, terminate, retry without skip",
				timerName(t))
		}
	}
	return ""
}

// parkUnwritten parks the instance because of what cannot be written; no place
// of the definition is to blame.
func (r *recorder) parkUnwritten(why *events.Error) {
	r.unwritten = true
	r.park(&fsm.Incident{Code: why.Code, Message: why.Message})
}

// Rescue turns a panic into an error. It wraps what depends on foreign
// data (reading a command, deciding it, writing what follows), so that a bug
// there costs one command and not the router, and the next one after it.
func Rescue(err *error) {
	if cause := recover(); cause != nil {
		*err = fmt.Errorf("panic: %v, at %s", cause, panicked())
	}
}

// panicked is the place of the panic that is being recovered from.
func panicked() string {
	callers := make([]uintptr, 32)
	frames := runtime.CallersFrames(callers[:runtime.Callers(3, callers)])
	for {
		frame, more := frames.Next()
		if !strings.HasPrefix(frame.Function, "runtime.") || !more {
			return fmt.Sprintf("%s:%d", frame.File, frame.Line)
		}
	}
}
