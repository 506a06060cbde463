package neighbours

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
)

// large is an instance that has much of something.
type large struct {
	name       string
	size       int
	definition string
	run        func(ctx context.Context, e *engine, size int) error
}

var largeID = events.InstanceIDForKey(largeType, "l")

// cases are what one instance may be too large in: a graph of which all tasks
// start at once, one of chains, a history, and timers. The first and the last are
// also tried at a third: what is beyond a bound is an incident at once, and then
// the neighbours have nothing to bear.
func cases(size int) []large {
	return []large{
		{"graph", size, graph(size, size), runGraph},
		{"graph", size / 4, graph(size/4, size/4), runGraph},
		{"chains", size / 4, graph(size/4, 50), runGraph},
		{"history", 10 * size, history, runHistory},
		{"timers", size, waits, runTimers},
		{"timers", size / 2, waits, runTimers},
		{"due", size, due, runDue},
		{"due", size / 4, due, runDue},
	}
}

// graph is a state with n tasks in some chains.
func graph(n, chains int) string {
	var b strings.Builder
	b.WriteString("leat: v1\ntype: large\nversion: 1\ninitial: w\nstates:\n  w:\n    tasks:\n")
	for i := range n {
		if i < chains {
			fmt.Fprintf(&b, "      t%d: {task: bench.t}\n", i)
		} else {
			fmt.Fprintf(&b, "      t%d: {task: bench.t, needs: [t%d]}\n", i, i-chains)
		}
	}
	b.WriteString("    onDone: done\n    onError: done\n  done: {type: final}\n")
	return b.String()
}

const history = `leat: v1
type: large
version: 1
data: {n: {type: long, default: 0}}
initial: w
states:
  w: {on: {more: {assign: {n: data.n + 1}}, end: over}}
  over: {type: final}
`

const waits = `leat: v1
type: large
version: 1
initial: w
states:
  w: {on: {more: {actions: [{send: {event: late, delay: 1h}}]}, end: over}}
  over: {type: final}
`

// due sets a hundred timers a signal, which are due together.
var due = `leat: v1
type: large
version: 1
input: {due: {type: string}}
initial: w
states:
  w:
    on:
      more: {actions: [` + strings.Repeat(`{send: {event: late, delay: "timestamp(input.due) - now"}}, `, 100) + `]}
      late: {actions: [{emit: {event: fired}}]}
      end: over
  over: {type: final}
`

func (e *engine) begin(ctx context.Context) error {
	start, err := command(&events.Command{Command: events.CommandStart, WorkflowType: largeType, InstanceID: largeID, Key: "l"})
	if err != nil {
		return err
	}
	return e.Producer.Send(ctx, start)
}

// runGraph does the tasks as they come until the instance has ended.
func runGraph(ctx context.Context, e *engine, _ int) error {
	if err := e.begin(ctx); err != nil {
		return err
	}
	working, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, 1)
	go func() { failed <- e.work(working) }()
	err := e.followLarge(ctx, func(v events.Event) bool { return v.EventType == events.EventWorkflowCompleted })
	cancel()
	if worked := <-failed; err == nil && !errors.Is(worked, context.Canceled) {
		err = worked
	}
	return err
}

// work completes each task.
func (e *engine) work(ctx context.Context) error {
	for {
		records, err := e.tasks.Poll(ctx, 500)
		if err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return err
		}
		results := make([]*kafka.Record, len(records))
		for i, r := range records {
			task, err := avro.DecodeTask(r.Value)
			if err != nil {
				return err
			}
			if results[i], err = command(&events.Command{
				Command: events.CommandResult, CommandID: events.DeriveUUID(task.TaskID, "result"), WorkflowType: largeType, InstanceID: largeID,
				Result: &events.TaskResult{TaskID: task.TaskID, Attempt: task.Attempt, State: events.TaskCompleted, NodeID: "bench", Token: task.Token},
			}); err != nil {
				return err
			}
		}
		if err := e.Producer.Send(ctx, results...); err != nil {
			return err
		}
		e.inputs.Add(int64(len(results)))
	}
}

// followLarge reads what becomes of the large instance. An incident ends it well:
// the instance is what had to stop.
func (e *engine) followLarge(ctx context.Context, over func(events.Event) bool) error {
	for {
		list, err := e.next(ctx, e.large)
		if err != nil {
			return err
		}
		for _, v := range list {
			e.done.Add(1)
			if v.EventType == events.EventErrorOccurred || over(v) {
				return nil
			}
		}
	}
}

func runHistory(ctx context.Context, e *engine, size int) error { return e.signals(ctx, size) }

func runTimers(ctx context.Context, e *engine, size int) error { return e.signals(ctx, size) }

// runDue sets timers that all come after the same time.
func runDue(ctx context.Context, e *engine, size int) error {
	input := fmt.Appendf(nil, `{"due": %q}`, time.Now().Add(dueAfter).UTC().Format(time.RFC3339Nano))
	start, err := command(&events.Command{Command: events.CommandStart, WorkflowType: largeType, InstanceID: largeID, Key: "l", Payload: input})
	if err != nil {
		return err
	}
	list := []*kafka.Record{start}
	for range size / 100 {
		more, err := command(&events.Command{Command: events.CommandSignal, WorkflowType: largeType, InstanceID: largeID, Event: "more"})
		if err != nil {
			return err
		}
		list = append(list, more)
	}
	if err := e.Producer.Send(ctx, list...); err != nil {
		return err
	}
	fired := 0
	return e.followLarge(ctx, func(v events.Event) bool {
		if _, timer := v.Metadata[events.MetadataTimer]; timer {
			fired++
			e.inputs.Add(1)
		}
		return fired == size
	})
}

// dueAfter is when the timers of runDue are due: they have to be set until then.
const dueAfter = 2 * time.Second

// signals has the large instance decide as many signals, some hundreds at a time.
func (e *engine) signals(ctx context.Context, n int) error {
	if err := e.begin(ctx); err != nil {
		return err
	}
	failed := make(chan error, 1)
	seen := make(chan struct{}, 1)
	go func() { failed <- e.sendSignals(ctx, n, seen) }()
	last := int64(0)
	err := e.followLarge(ctx, func(v events.Event) bool {
		if v.SequenceNumber >= last+window/2 {
			last = v.SequenceNumber
			select {
			case seen <- struct{}{}:
			default:
			}
		}
		return v.EventType == events.EventWorkflowCompleted
	})
	if err != nil {
		return err
	}
	select {
	case err := <-failed:
		return err
	default:
		return nil // an incident came first, and the sender ends with ctx
	}
}

// window is how many signals are on their way.
const window = 500

func (e *engine) sendSignals(ctx context.Context, n int, seen <-chan struct{}) error {
	for i := 0; i <= n; i += window / 2 {
		var list []*kafka.Record
		for j := i; j < min(i+window/2, n); j++ {
			r, err := command(&events.Command{Command: events.CommandSignal, WorkflowType: largeType, InstanceID: largeID, Event: "more"})
			if err != nil {
				return err
			}
			list = append(list, r)
		}
		if i+window/2 >= n {
			r, err := command(&events.Command{Command: events.CommandSignal, WorkflowType: largeType, InstanceID: largeID, Event: "end"})
			if err != nil {
				return err
			}
			list = append(list, r)
		}
		if err := e.Producer.Send(ctx, list...); err != nil {
			return err
		}
		e.inputs.Add(int64(len(list)))
		if i == 0 {
			continue
		}
		select {
		case <-seen:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
