package router

import (
	"errors"
	"fmt"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

// CodeResultSkipped fails the attempt whose result led to an incident and was
// left out by an operator: the task was done, and what follows from its result
// is not wanted.
const CodeResultSkipped = "RESULT_SKIPPED"

// CodeTopicUnavailable is the incident of a decision with a record for a topic
// that is gone, or that the router may not write.
const CodeTopicUnavailable = "TOPIC_UNAVAILABLE"

// codedError is an error whose code an incident or an outcome shows.
type codedError struct {
	code string
	err  error
}

func (e *codedError) Error() string { return e.err.Error() }
func (e *codedError) Unwrap() error { return e.err }

// codeOf is the code of what kept a decision from being written.
func codeOf(why error) string {
	var coded *codedError
	switch {
	case errors.As(why, &coded):
		return coded.code
	case errors.As(why, new(*unwritableError)):
		return CodeTopicUnavailable
	case errors.Is(why, avro.ErrTooLarge):
		return CodeTooLarge
	default:
		return CodeUndecidable
	}
}

// undecidable parks the instance of an input whose consequences cannot be
// decided or written: the input is kept with the incident, and whoever looks
// after instances lets it be decided again or leaves it out. It is false where
// that is no way: a person's command is answered instead, and an instance that
// holds already is not parked twice.
func undecidable(in input, snap *events.Snapshot, why *events.Error) (d decision, ok bool) {
	c := in.command
	switch {
	case goesOn(c) && snap != nil:
		var err error
		if in, snap, err = parkHeld(in, snap); err != nil {
			return decision{}, false
		}
		c = in.command
	case !parks(in, snap):
		return decision{}, false
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
func parks(in input, snap *events.Snapshot) bool {
	c := in.command
	if c != nil && (isLife(c) || evolves(c)) {
		return false
	}
	if snap == nil {
		return c != nil && c.Command == events.CommandStart && in.machine != nil
	}
	return !snap.Holding() && !snap.State.Finished()
}

// causeOf is the causal chain that an input brings.
func causeOf(in input, snap *events.Snapshot) []events.UUID {
	switch c := in.command; {
	case c == nil:
		return in.timer.Cause
	case c.Result != nil:
		return taskCause(snap, c.Result.TaskID)
	default:
		return outsideCause(c)
	}
}

// unwritten is what kept a decision from being written, for an incident.
func unwritten(why error) *events.Error {
	return &events.Error{Code: codeOf(why), Message: clipMessage("what follows cannot be written: " + why.Error())}
}

// clipMessage keeps a message within what a record takes.
func clipMessage(text string) string { return events.Cut(text, events.MaxMessageLength) }

// failedResult is a result that does not fit the instance's state, as a failure
// of its attempt: the work is done and is not done again, and the definition can
// react to it.
func failedResult(in input, code, message string) (input, bool) {
	c := in.command
	if c == nil || c.Command != events.CommandResult || c.Result.State != events.TaskCompleted {
		return in, false
	}
	failed, result := *c, *c.Result
	result.State, result.Error = events.TaskFailed, &events.Error{Code: code, Message: message}
	failed.Payload, failed.Result = nil, &result
	in.command = &failed
	return in, true
}

// skipped decides the input of an incident that an operator leaves out, so that
// nothing waits for it: a result fails its attempt, a signal and a claim are
// gone, and so is a timer that nothing but itself waits for. Some cannot be left
// out without leaving a task that nobody works on.
func skipped(in input, h *events.HeldInput, snap *events.Snapshot) (decision, error) {
	if h.Command != nil {
		sub := input{command: h.Command, machine: in.machine, now: in.now, source: in.source, writable: in.writable, seed: in.seed}
		message := "an operator left the result out, which had led to an incident"
		failed, done := failedResult(sub, CodeResultSkipped, message)
		if !done && h.Command.Command == events.CommandResult {
			failed, done = sub, true // a failure stays one
		}
		if !done || in.replay { // a history says by itself what followed
			return decision{}, nil
		}
		held := *h
		held.Command = failed.command
		return again(in, &held, snap, false)
	}
	next := *snap
	next.Chart.Timers = nil
	for _, t := range snap.Chart.Timers {
		if t.ID != h.TimerID {
			next.Chart.Timers = append(next.Chart.Timers, t)
		}
	}
	return decision{next: &next}, nil
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
			return fmt.Sprintf("timer %s decides what becomes of a task, which nobody would work on without it; possible: cancel, terminate, retry without skip",
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
