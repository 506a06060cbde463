package executor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/topics"
)

// Runner is a handler that looks at an attempt before it begins. Its methods are
// called from many goroutines. Whatever ends the context of one of them, it has to
// return then.
type Runner interface {
	// Admit looks at an attempt before anything is done for it and before it is
	// claimed. It must not do anything itself that a second time would harm, and it
	// should not take long: it has a slot. An error ends the attempt as one of Run
	// would, [HandBack] included, and nothing of it has run then. ctx ends as that of
	// Run does, start-to-close excepted.
	Admit(ctx context.Context, task *events.Task) (Admission, error)
	// Run runs the attempt, as a [Handler] does. It is called after Admit, and when
	// the task runs at most once, after the claim is durable.
	Run(ctx context.Context, task *events.Task) (json.RawMessage, error)
}

// Admission is what there is to say of an attempt that is about to begin.
type Admission struct {
	// Repeatable says that the attempt may be made again when nobody knows how it
	// went, although the task runs at most once: the tool only reads, or knows a call
	// by its key. It means nothing for tasks that run at least once.
	Repeatable bool
	// Done is called once when the attempt is over here, however it ended, and also
	// when it did not begin. nil: nobody asks.
	Done func()
}

// Before makes admit be asked before every attempt of the tasks of a name, which
// has a handler, as [Runner.Admit] is.
func (e *Executor) Before(name string, admit func(context.Context, *events.Task) (Admission, error)) error {
	if e.handlers[name] == nil {
		return fmt.Errorf("before %q: there is no handler of that name", name)
	}
	e.before[name] = admit
	return nil
}

// HandleRunner is [Executor.Handle] for a [Runner].
func (e *Executor) HandleRunner(name string, r Runner) error {
	if r == nil {
		return e.Handle(name, nil)
	}
	if err := e.Handle(name, r.Run); err != nil {
		return err
	}
	return e.Before(name, r.Admit)
}

// HandleBuiltinRunner is [Executor.HandleBuiltin] for a [Runner].
func (e *Executor) HandleBuiltinRunner(name string, r Runner) error {
	if err := e.HandleBuiltin(name, r.Run); err != nil || !e.builtin[topics.QueueOf(name)] {
		return err
	}
	return e.Before(name, r.Admit)
}

func (e *Executor) admitter(task *events.Task) func(context.Context, *events.Task) (Admission, error) {
	if e.handlers[task.TaskName] != nil {
		return e.before[task.TaskName]
	}
	return e.before[task.Queue+".*"]
}

// What a handler returns instead of a failure. All are errors, so that they travel
// as one, and may be wrapped.

// putDown says that the attempt goes on later.
type putDown struct { //nolint:errname // it is no error, and travels as one
	state     json.RawMessage
	after     time.Duration
	questions []events.Question
}

func (p *putDown) Error() string {
	if len(p.questions) > 0 {
		return fmt.Sprintf("the attempt goes on when %d questions are answered", len(p.questions))
	}
	return fmt.Sprintf("the attempt goes on in %s", p.after)
}

// Continue puts an attempt down: the same attempt goes on, here or in any other
// executor of the queue, when after has passed. Its task then brings state, JSON
// text of at most [events.MaxContinuationLength] bytes, as its Continuation. A
// handler returns it as its error.
func Continue(state json.RawMessage, after time.Duration) error {
	return &putDown{state: state, after: max(after.Truncate(time.Millisecond), 0)}
}

// Ask is [Continue] until all questions are answered, or refused: the task brings
// what became of them as its Answers.
func Ask(state json.RawMessage, questions ...events.Question) error {
	if len(questions) == 0 {
		return Continue(state, 0)
	}
	return &putDown{state: state, questions: questions}
}

// handBack says that the attempt did not begin.
type handBack struct { //nolint:errname // as putDown
	code, message string
	after         time.Duration
}

func (h *handBack) Error() string { return h.code + ": " + h.message }

// HandBack says that somebody else is to have the attempt, which has not begun:
// there is no room for it here, or what it needs is not here. It is issued again,
// after a while if after says so, as the same attempt. code and message say why.
// A [Runner] returns it as its error.
func HandBack(code, message string, after time.Duration) error {
	return &handBack{code: code, message: message, after: max(after.Truncate(time.Millisecond), 0)}
}

// ending is how an attempt is over here. The zero ending completed without a result.
type ending struct {
	value   json.RawMessage
	failure *failed
	down    *putDown
	back    *handBack
	silent  bool // nothing is to be said: somebody else has the attempt
}

// endingOf reads what a handler returned.
func endingOf(ctx context.Context, task *events.Task, value json.RawMessage, err error) ending {
	if err == nil {
		return ending{value: value}
	}
	if down, ok := errors.AsType[*putDown](err); ok {
		return ending{down: down}
	}
	if back, ok := errors.AsType[*handBack](err); ok {
		return ending{back: back}
	}
	return ending{failure: failureOf(ctx, task, err)}
}

// state is what the ending makes of the task.
func (n *ending) state() events.TaskState {
	switch {
	case n.failure != nil:
		return events.TaskFailed
	case n.down != nil && len(n.down.questions) > 0:
		return events.TaskWaitingForInput
	case n.down != nil || n.back != nil:
		return events.TaskScheduled
	default:
		return events.TaskCompleted
	}
}

// admit asks whoever has a say whether j may begin. It reports false, and how the
// attempt is over, when it may not.
func (e *Executor) admit(j *job) (n ending, ok bool) {
	defer func() {
		if p := recover(); p != nil {
			e.config.Logger.Error("handler panicked before the attempt", taskAttrs(&j.task, slog.Any("panic", p), slog.String("stack", string(debug.Stack())))...)
			n, ok = ending{failure: panicked(p)}, false
		}
	}()
	task := j.task
	ctx, cancel := e.lifeOf(j, &task)
	defer cancel()
	var asked []func(context.Context, *events.Task) (Admission, error)
	if e.config.Admit != nil {
		asked = append(asked, e.config.Admit)
	}
	if admit := e.admitter(&j.task); admit != nil && j.lease == nil {
		asked = append(asked, admit)
	}
	for _, ask := range asked {
		a, err := ask(ctx, &task)
		if a.Done != nil {
			j.done = append(j.done, a.Done)
		}
		if err != nil {
			return endingOf(ctx, &j.task, nil, err), false
		}
		if a.Repeatable && j.task.Delivery == events.AtMostOnce {
			e.mu.Lock()
			j.repeatable = true
			e.mu.Unlock()
		}
	}
	return ending{}, true
}

// leave tells those who admitted j that it is over here.
func (j *job) leave() {
	for _, done := range j.done {
		done()
	}
}

// MaxDetails bounds the details of a heartbeat, in bytes.
const MaxDetails = events.MaxDetailsLength

// ErrNoTask says that a context is not that of a handler.
var ErrNoTask = errors.New("the context is not that of a task's handler: hand on the one that the handler got")

type attemptKey struct{}

// attempt is what a handler's context knows.
type attempt struct {
	task *events.Task
	beat func(details json.RawMessage) // nil: heartbeats are not sent
}

// WithTask gives a context the task that [TaskFrom] finds.
func WithTask(ctx context.Context, task *events.Task) context.Context {
	return context.WithValue(ctx, attemptKey{}, attempt{task: task})
}

// TaskFrom is the task that a handler's context is about, nil for any other context.
func TaskFrom(ctx context.Context) *events.Task {
	a, _ := ctx.Value(attemptKey{}).(attempt)
	return a.task
}

// Heartbeat keeps details, JSON text, for the task's next attempt, if there is
// one. The newest are sent at once or within a second. It does not wait for that.
func Heartbeat(ctx context.Context, details json.RawMessage) error {
	a, ok := ctx.Value(attemptKey{}).(attempt)
	switch {
	case !ok:
		return fmt.Errorf("heartbeat: %w", ErrNoTask)
	case len(details) > MaxDetails:
		return fmt.Errorf("heartbeat of %s: the details are %d bytes of JSON, at most %d (%d KiB): keep what is large elsewhere, and where in the details",
			a.task.TaskName, len(details), MaxDetails, MaxDetails>>10)
	case details != nil && !json.Valid(details):
		return fmt.Errorf("heartbeat of %s: the details are not JSON: %.100s", a.task.TaskName, details)
	}
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("heartbeat of %s: the attempt is over: %w", a.task.TaskName, err)
	}
	if a.beat != nil && details != nil {
		a.beat(details)
	}
	return nil
}

// PutDown is what an attempt gave to [Continue] or [Ask].
type PutDown struct {
	State     json.RawMessage
	After     time.Duration
	Questions []events.Question
}

// PutDownOf reads the error of a [Runner] that put its attempt down. It is for those
// who run a runner themselves.
func PutDownOf(err error) (PutDown, bool) {
	p, ok := errors.AsType[*putDown](err)
	if !ok {
		return PutDown{}, false
	}
	return PutDown{p.state, p.after, p.questions}, true
}

// HandedBack reports whether the error of a [Runner] hands its attempt back.
func HandedBack(err error) bool {
	_, ok := errors.AsType[*handBack](err)
	return ok
}
