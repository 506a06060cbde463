package executor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/leat-io/leat/pkg/events"
)

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
