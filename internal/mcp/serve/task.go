package serve

import (
	"context"
	"errors"
	"time"
)

// ErrNoTask says that there is no such task, or that it is not the caller's: who
// asks cannot tell these apart.
var ErrNoTask = errors.New("there is no such task")

// ErrNoResource says that there is no such resource, or that it is not the
// caller's.
var ErrNoResource = errors.New("there is no such resource")

// Status is where a task stands.
type Status string

// The five.
const (
	Working       Status = "working"
	InputRequired Status = "input_required"
	Completed     Status = "completed" // also when the tool did not do what it was asked to
	Cancelled     Status = "cancelled"
	Failed        Status = "failed" // the request itself could not be answered
)

// Task is a call that goes on after its answer.
type Task struct {
	ID      string
	Status  Status
	Message string // for people, "" for none
	Created time.Time
	Updated time.Time
	Kept    time.Duration // how long it can be asked for at least; 0 for ever
	Poll    time.Duration // how long to wait before it is asked for again

	Asked  map[string]Question // of InputRequired
	Result *Result             // of Completed
	Err    *Error              // of Failed
}

// Tasks is where the tasks of a server are. Every method is called with who asks,
// and answers ErrNoTask for tasks of others; a durable store makes every replica
// answer alike.
type Tasks interface {
	Task(ctx context.Context, who Caller, id string) (*Task, error)
	// Update takes answers in. Those to what is not asked are passed over.
	Update(ctx context.Context, who Caller, id string, answers map[string]Answer) error
	// Cancel asks a task to end. A task that has ended stays as it is.
	Cancel(ctx context.Context, who Caller, id string) error
}
