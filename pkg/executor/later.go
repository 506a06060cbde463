package executor

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/leat-io/leat/internal/executor"
	"github.com/leat-io/leat/internal/jsonfit"
	"github.com/leat-io/leat/pkg/events"
)

// ErrCancelled is the [context.Cause] of a handler whose attempt is not waited for
// any more: its state was left, its instance was cancelled or terminated, or the
// router gave the attempt up. The handler is told within a second and has to
// return; what it returns is not reported.
var ErrCancelled = executor.ErrCancelled

// Question is what a handler asks with [Ask].
type Question = events.Question

// Answer is what became of a [Question].
type Answer = events.Answer

// Continue puts the attempt down: return it as the handler's error. The slot is
// free, and the same attempt, with the same number and idempotency key, goes on in
// any executor of the queue when after has passed. Its handler is called again and
// finds state with [Continuation]. state is anything that encoding/json can write,
// at most 64 KiB of it; an instance keeps 256 KiB of all its tasks. after is at
// most 366 days.
//
// Each time that the attempt runs has start-to-close for itself, and needs no
// heartbeats while it is down; schedule-to-close bounds all of it. A run that is
// lost is repeated with the same state; an attempt that fails is over, and the next
// one begins anew.
func Continue(state any, after time.Duration) error {
	text, err := encodeState(state)
	if err != nil {
		return err
	}
	return executor.Continue(text, after)
}

// Ask is [Continue] until all questions are answered or refused. Each is a human
// task: `leat task list` shows it and `leat task complete` answers it. The handler
// finds what became of them with [Answers], in the order of the questions, of which
// there are at most 16 and 64 KiB together. Form, a JSON Schema, is for those who
// answer: the handler checks what it gets.
func Ask(state any, questions ...Question) error {
	text, err := encodeState(state)
	if err != nil {
		return err
	}
	return executor.Ask(text, questions...)
}

func encodeState(state any) (json.RawMessage, error) {
	if text, ok := state.(json.RawMessage); ok {
		return text, nil
	}
	text, err := events.EncodeJSON(state)
	if err != nil {
		return nil, Terminal(fmt.Errorf("continue: the state, a %T, cannot be written as JSON: %w", state, err))
	}
	return text, nil
}

// Continuation reads into v, as json.Unmarshal does, what the attempt was put down
// with. It is false for an attempt that begins.
func Continuation(ctx context.Context, v any) (bool, error) {
	t := TaskFrom(ctx)
	if t.Continuation == nil {
		return false, nil
	}
	if err := json.Unmarshal(t.Continuation, v); err != nil {
		return true, fmt.Errorf("the continuation of %s does not fit: %s", t.TaskName, jsonfit.Explain(t.Continuation, v, err))
	}
	return true, nil
}

// Answers is what became of the questions with which the attempt was put down, in
// their order; nil when it asked none.
func Answers(ctx context.Context) []Answer { return TaskFrom(ctx).Answers }

// Repeatable says which attempts of a task that runs at most once may be made
// again when nobody knows how they went, because doing it twice does no harm: such
// as a call that only reads. may is called before the attempt is claimed and
// changes nothing itself. Call it after the handler is given and before Run; it
// panics when there is no handler of the name. It means nothing for tasks that run
// at least once.
func (e *Executor) Repeatable(name string, may func(ctx context.Context, t Task) bool) {
	err := e.inner.Before(name, func(ctx context.Context, task *events.Task) (executor.Admission, error) {
		return executor.Admission{Repeatable: may(ctx, Task{*task})}, nil
	})
	if err != nil {
		panic(err.Error())
	}
}
