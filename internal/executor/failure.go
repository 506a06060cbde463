package executor

import (
	"context"
	"errors"
	"fmt"

	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

// The codes of failures that an executor reports by itself. A handler's own
// failures carry the handler's codes.
const (
	CodeFailed    = "TASK_FAILED"        // the handler returned a plain error
	CodePanic     = "PANIC"              // the handler panicked
	CodeNoHandler = "NO_HANDLER"         // nobody in this process handles the task's name
	CodeTimeout   = fsm.CodeStartToClose // the attempt took longer than it may; the router says the same when it finds it
	CodeDrained   = fsm.CodeDrained      // the executor stopped before the handler was done: the router issues the attempt again
	CodeResult    = "BAD_RESULT"         // the handler's result cannot be written: not JSON, or too large
)

// Terminal marks err so that the failure is not retried.
func Terminal(err error) error { return &terminal{err} }

type terminal struct{ err error }

func (t *terminal) Error() string { return t.err.Error() }
func (t *terminal) Unwrap() error { return t.err }

// errDrained is why a handler's context ends when the executor stops.
var errDrained = errors.New("the executor is stopping")

// failureOf makes a handler's error into data: an *events.Error inside err keeps
// its code, a plain error is TASK_FAILED and may be retried.
func failureOf(ctx context.Context, err error) *events.Error {
	var own *events.Error
	f := &events.Error{Code: CodeFailed, Message: err.Error(), Retryable: true}
	switch {
	case errors.As(err, &own):
		f.Code, f.Retryable = own.Code, own.Retryable
		if err == error(own) { //nolint:errorlint // inside another error, that one's words say more
			f.Message = own.Message
		}
	case errors.Is(context.Cause(ctx), errDrained):
		f.Code = CodeDrained
	case errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		f.Code = CodeTimeout
	}
	if _, ok := errors.AsType[*terminal](err); ok {
		f.Retryable = false
	}
	return legal(f)
}

// onlyOnce takes back that a failure may be retried, when it leaves open what the
// handler did and the task must not run twice. A failure that the handler names
// itself is its own answer.
func onlyOnce(task *events.Task, f *events.Error) *events.Error {
	switch f.Code {
	case CodeTimeout, CodeDrained, CodePanic:
		if task.Delivery == events.AtMostOnce && f.Retryable {
			f.Retryable = false
			f.Message = events.Cut(f.Message, events.MaxMessageLength-len(unknownOutcome)) + unknownOutcome
		}
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
func panicked(value any) *events.Error {
	return legal(&events.Error{Code: CodePanic, Message: fmt.Sprintf("the handler panicked: %v", value), Retryable: true})
}
