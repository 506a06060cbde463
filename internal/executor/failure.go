package executor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

// The codes of failures that an executor reports by itself. A handler's own
// failures carry the handler's codes.
const (
	CodeFailed    = "TASK_FAILED"        // the handler returned a plain error
	CodePanic     = "PANIC"              // the handler panicked
	CodeNoHandler = "NO_HANDLER"         // no handler in this process has the task's name
	CodeTimeout   = fsm.CodeStartToClose // the attempt took longer than it may; the router says the same when it finds it
	CodeDrained   = fsm.CodeDrained      // the executor stopped before the handler was done: the router issues the attempt again
	CodeResult    = "BAD_RESULT"         // the handler's result cannot be written: not JSON, or too large
	CodeInput     = "BAD_INPUT"          // the task's input does not fit the type of the handler
	CodeLateClaim = "LATE_CLAIM"         // of a task that is handed back: its claim took too long
)

// Terminal marks err so that the failure is not retried.
func Terminal(err error) error { return &terminal{err} }

type terminal struct{ err error }

func (t *terminal) Error() string { return t.err.Error() }
func (t *terminal) Unwrap() error { return t.err }

// RetryAfter marks err so that the next attempt, if there is one, is not before d
// has passed. nil stays nil.
func RetryAfter(err error, d time.Duration) error {
	if err == nil {
		return nil
	}
	return &later{err: err, after: d}
}

type later struct {
	err   error
	after time.Duration
}

func (l *later) Error() string { return l.err.Error() }
func (l *later) Unwrap() error { return l.err }

// RetryAfter says how long the next attempt has to wait. Any error in a chain
// that has this method says so.
func (l *later) RetryAfter() time.Duration { return l.after }

// errDrained is why a handler's context ends when the executor stops.
var errDrained = errors.New("the executor is stopping")

// failed is how an attempt failed.
type failed struct {
	*events.Error

	after   time.Duration   // the next attempt is not before this has passed
	details json.RawMessage // the newest of the handler's heartbeats
}

// failureOf makes a handler's error into data: an *events.Error inside err keeps
// its code, a plain error is TASK_FAILED and may be retried.
func failureOf(ctx context.Context, task *events.Task, err error) *failed {
	var own *events.Error
	f := &failed{Error: &events.Error{Code: CodeFailed, Message: err.Error(), Retryable: true}}
	switch {
	case errors.As(err, &own):
		f.Code, f.Retryable = own.Code, own.Retryable
		if err.Error() == own.Error() { // inside another error, that one's words say more
			f.Message = own.Message
		}
	case errors.Is(context.Cause(ctx), errDrained):
		f.Code = CodeDrained
	case errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		f.Code = CodeTimeout
		if errors.Is(err, context.DeadlineExceeded) {
			f.Message = fmt.Sprintf("the handler was not done when the attempt's %s (startToClose) were over: %s", task.Timeouts.StartToClose, err)
		}
	}
	if _, ok := errors.AsType[*terminal](err); ok {
		f.Retryable = false
	}
	var after interface{ RetryAfter() time.Duration }
	if errors.As(err, &after) {
		f.after = max(after.RetryAfter().Truncate(time.Millisecond), 0)
	}
	f.Error = legal(f.Error)
	return f
}

// onlyOnce takes back that a failure may be retried, when it leaves open what the
// handler did and the task must not run twice. A failure that the handler names
// itself is its own answer.
func (j *job) onlyOnce(f *failed) *failed {
	if f == nil || j.task.Delivery != events.AtMostOnce || j.repeatable || !f.Retryable {
		return f
	}
	switch f.Code {
	case CodeTimeout, CodeDrained, CodePanic:
		f.Retryable = false
		f.Message = events.Cut(f.Message, events.MaxMessageLength-len(unknownOutcome)) + unknownOutcome
	}
	return f
}

const unknownOutcome = ": its outcome is not known"

// legal bounds a failure as events.Error.Validate wants it.
func legal(f *events.Error) *events.Error {
	if f.Code == "" {
		f.Code = CodeFailed
	}
	f.Code = events.Cut(f.Code, events.MaxNameLength)
	f.Message = events.Cut(f.Message, events.MaxMessageLength)
	return f
}

// panicked words a recovered panic. The stack goes to the log, not into the record.
func panicked(value any) *failed {
	return &failed{Error: legal(&events.Error{Code: CodePanic, Message: fmt.Sprintf("the handler panicked: %v", value), Retryable: true})}
}
