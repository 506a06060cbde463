package executor

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	"github.com/leat-io/leat/internal/executor"
	"github.com/leat-io/leat/pkg/events"
)

// Handle makes h run the tasks of a name: "queue.task", or "queue.*" for every
// task of the queue that has no handler of its own. The task's input is decoded
// into In as [json.Unmarshal] does it: a field that is missing is zero, one that
// In does not have is ignored. An input that does not fit fails the task permanently,
// with the code BAD_INPUT and a message that names field and value. What h
// returns is the result: any value that encoding/json can write, at most 256 KiB
// of it; nil for nothing. More than that, or what cannot be written, fails the
// task permanently with the code BAD_RESULT.
//
// An error fails the attempt: with the code TASK_FAILED and retried as the
// definition says, unless it is one of [Fail], [Terminal] or [RetryAfter]. A panic
// fails it with the code PANIC. ctx ends at the attempt's start-to-close timeout,
// and when the executor stops and DrainTimeout is over; h must return then. ctx
// knows the task, see [TaskFrom] and [Heartbeat]. h is called from many goroutines.
//
// Handle panics when the name is not of that form or has a handler already, as
// http.ServeMux does. A task without a handler that arrives on one of the queues
// fails with the code NO_HANDLER and is retried as its definition says: by then
// another executor of the queue may get it.
func Handle[In, Out any](e *Executor, name string, h func(ctx context.Context, in In) (Out, error)) {
	if h == nil {
		panic(errNil(name).Error())
	}
	e.handle(name, &handler{
		name: name, in: reflect.TypeFor[In](), out: reflect.TypeFor[Out](),
		run: func(ctx context.Context, t Task) (Result, error) {
			var in In
			if err := t.Decode(&in); err != nil {
				return nil, err
			}
			return h(ctx, in)
		},
	})
}

// Result is what a task leads to: anything that encoding/json can write, at most
// 256 KiB of it; nil for nothing. A json.RawMessage is taken as it is.
type Result any

// Handler runs one attempt of a task, as [Handle] says.
type Handler func(ctx context.Context, t Task) (Result, error)

// HandleTask is [Handle] for a handler that reads the task itself.
func (e *Executor) HandleTask(name string, h Handler) {
	e.handle(name, &handler{name: name, run: h})
}

// HandleExec runs a program for each task of a name, in any language: the input
// on its standard input and the result on its standard output, both JSON, the
// task's identity in LEAT_TASK_ID, LEAT_IDEMPOTENCY_KEY, LEAT_ATTEMPT,
// LEAT_INSTANCE_KEY and so on. Exit code 0 is completed, 65 a final failure, any
// other a failure that may be retried. A line of JSON on file descriptor 3 is the
// details of a heartbeat, and LEAT_HEARTBEAT_DETAILS holds those of the earlier
// attempts. argv never goes through a shell. The error says that there is no such
// program.
func (e *Executor) HandleExec(name string, argv []string) error {
	program, err := executor.Program{Argv: argv}.Handler()
	if err != nil {
		return err
	}
	return e.add(name, &handler{name: name, run: func(ctx context.Context, t Task) (Result, error) {
		out, err := program(ctx, &t.Task)
		if out == nil {
			return nil, err
		}
		return out, err
	}})
}

// Middleware makes a handler of another, around which it does something: it
// measures, logs, refuses, changes the context. next may be called once, never or,
// if it bears that, again.
type Middleware func(next Handler) Handler

// Use puts middleware around every handler, those that are given later too. The
// first is the outermost. Call it before Run.
func (e *Executor) Use(m ...Middleware) { e.middleware = append(e.middleware, m...) }

// handler is one of an executor's.
type handler struct {
	name    string
	in, out reflect.Type // nil: not known
	run     Handler
	wrapped Handler // run, in the middleware; set by Run
}

func (h *handler) wrap(around []Middleware) {
	h.wrapped = h.run
	for _, m := range slices.Backward(around) {
		h.wrapped = m(h.wrapped)
	}
}

// serve is h as the executor inside wants it.
func (h *handler) serve(ctx context.Context, task *events.Task) (json.RawMessage, error) {
	result, err := h.wrapped(ctx, Task{*task})
	if err != nil {
		return nil, err
	}
	return encode(task, result)
}

func (e *Executor) handle(name string, h *handler) {
	if err := e.add(name, h); err != nil {
		panic(err.Error())
	}
}

func (e *Executor) add(name string, h *handler) error {
	if h.run == nil {
		return errNil(name)
	}
	if err := e.inner.Handle(name, h.serve); err != nil {
		return err
	}
	e.handlers = append(e.handlers, h)
	return nil
}

func errNil(name string) error { return fmt.Errorf("handle %q: the handler is nil", name) }

// encode writes a result as JSON.
func encode(task *events.Task, result Result) (json.RawMessage, error) {
	switch r := result.(type) {
	case nil:
		return nil, nil
	case json.RawMessage:
		return r, nil
	}
	text, err := events.EncodeJSON(result)
	if err != nil {
		return nil, &events.Error{Code: executor.CodeResult, Message: fmt.Sprintf("the result of %s, a %T, cannot be written as JSON: %v", task.TaskName, result, err)}
	}
	return text, nil
}
