package executor

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/leat-io/leat/internal/executor"
	"github.com/leat-io/leat/internal/jsonfit"
	"github.com/leat-io/leat/pkg/events"
)

// Task is one attempt of work to do. Task.IdempotencyKey is the same for every
// attempt, Task.Attempt is 1 for the first.
type Task struct {
	events.Task
}

// TaskFrom is the task that a handler's context is about. For any other context
// it is the zero Task.
func TaskFrom(ctx context.Context) Task {
	if t := executor.TaskFrom(ctx); t != nil {
		return Task{*t}
	}
	return Task{}
}

// WithTask makes a context for a test of a handler: [TaskFrom] finds t, and
// [Heartbeat] checks what it is given and keeps nothing.
func WithTask(ctx context.Context, t Task) context.Context { return executor.WithTask(ctx, &t.Task) }

// Decode reads the task's input into v, as json.Unmarshal does. Its error is
// terminal when returned from a handler: the input of a task never changes.
func (t Task) Decode(v any) error {
	input := t.Input
	if input == nil {
		input = json.RawMessage("null")
	}
	err := json.Unmarshal(input, v)
	if err == nil {
		return nil
	}
	return &events.Error{
		Code:    executor.CodeInput,
		Message: events.Cut(fmt.Sprintf("the input of %s does not fit: %s", t.TaskName, jsonfit.Explain(input, v, err)), events.MaxMessageLength),
	}
}

// DecodeDetails reads into v what the newest [Heartbeat] of an earlier attempt
// kept, as json.Unmarshal does. It is false when there is nothing to read.
func (t Task) DecodeDetails(v any) (bool, error) {
	if t.HeartbeatDetails == nil {
		return false, nil
	}
	if err := json.Unmarshal(t.HeartbeatDetails, v); err != nil {
		return true, fmt.Errorf("the heartbeat details of %s do not fit: %s", t.TaskName, jsonfit.Explain(t.HeartbeatDetails, v, err))
	}
	return true, nil
}

// Heartbeat keeps how far the attempt that ctx is about has come, for the next
// attempt, should there be one: see [Task.DecodeDetails]. details are anything
// that encoding/json can write, at most 64 KiB of it; the newest count. They are
// written within a second, and with the report of an attempt that fails; Heartbeat
// does not wait for that, so a crash can lose the last second's.
//
// Signs of life need no call: every attempt that runs for long gives them by
// itself. The error says that details cannot be kept, that the attempt's time is
// over, or that ctx is no handler's.
func Heartbeat(ctx context.Context, details any) error {
	text, ok := details.(json.RawMessage)
	if !ok {
		var err error
		if text, err = events.EncodeJSON(details); err != nil {
			return fmt.Errorf("heartbeat: the details, a %T, cannot be written as JSON: %w", details, err)
		}
	}
	return executor.Heartbeat(ctx, text)
}
