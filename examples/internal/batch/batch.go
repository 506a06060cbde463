// Package batch runs many instances of one definition, does their tasks, and
// tells how they ended. It is what the examples have in common: each of them
// only says what it starts, what its tasks do, and where each instance must end.
//
// batch.go says what there is to run, main.go is the command line, run.go runs it,
// report.go tells people and programs what came of it.
package batch

import (
	"context"
	"encoding/json"

	"github.com/leat-io/leat/examples/internal/ledger"
	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/executor"
)

// Batch is an example.
type Batch struct {
	Name   string // of the program and of its directory, also the workflow type
	About  string // one line
	File   string // name of the definition
	Source []byte // the definition

	Instances func(n int) ([]Instance, error)    // n of them, always the same
	Handle    func(w *executor.Executor, b Book) // gives w the handlers of the tasks, whose effects go to b
	Ends      []End                              // the rows of the table, in this order

	// Others is what other people do while the instances run. It returns when ctx
	// ends, and does nothing twice. Nil: there is nothing for people to do.
	Others func(ctx context.Context, c *client.Client, instances []Instance) error
}

// Instance is one to run.
type Instance struct {
	Key    string          // business key
	Input  json.RawMessage // start payload
	Signal string          // sent right behind the start, "" for none
	End    string          // state where it must end, computed from the input
}

// End is a state where instances may end.
type End struct{ State, Meaning string }

// Book is the world as far as the tasks of an example can change it: a file
// that remembers what has been done, by the task's key.
type Book struct{ effects *ledger.Ledger }

// Effect is a line of the book.
type Effect struct {
	TaskKey  string `json:"task_key"`
	Instance string `json:"instance"`
	Task     string `json:"task"`
	Detail   any    `json:"detail,omitempty"`
}

// Write makes an effect of the task that ctx is about happen once, however often
// the task runs.
func (b Book) Write(ctx context.Context, detail any) error {
	t := executor.TaskFrom(ctx)
	_, err := b.effects.Add(t.IdempotencyKey, Effect{t.IdempotencyKey, t.InstanceKey, t.TaskName, detail})
	return err
}

// requests is what an instance needs from outside. Keys make each harmless when
// it is repeated.
func (i *Instance) requests(workflowType string) []client.Request {
	out := []client.Request{client.StartRequest{Type: workflowType, Key: i.Key, Input: i.Input}}
	if i.Signal != "" {
		out = append(out, client.SignalRequest{Type: workflowType, Key: i.Key, Event: i.Signal, IdempotencyKey: i.Signal})
	}
	return out
}

// Failed is a permanent failure with a code that the definition can react to.
func Failed(code, message string) error { return executor.Fail(code, message, false) }

// Busy is a failure that another attempt may not have.
func Busy(message string) error { return executor.Fail("BUSY", message, true) }

// stand is where the instances of a batch stand.
type stand struct {
	present, finished int
	events            int64          // in their histories
	ends              map[string]int // how many ended where
	states            map[events.WorkflowState]int
	odd               []string // keys of those that ended elsewhere than computed
}
