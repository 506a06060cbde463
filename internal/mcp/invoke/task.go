package invoke

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/leat-io/leat/internal/executor"
	"github.com/leat-io/leat/internal/mcp/wire"
	"github.com/leat-io/leat/pkg/fsm"
)

// invalidParams is what a server answers that does not know a task.
const invalidParams = -32602

// follow puts the attempt down while the server works on its task.
func (a *attempt) follow(c *came, t *wire.Task) error {
	l := &later{Kind: kindTask, Subsystem: c.subsystem, Pin: c.pin, Sent: c.sent, May: c.may, Task: t.ID}
	if t.TTL > 0 {
		from := t.Created
		if from.IsZero() {
			from = time.Now()
		}
		until := from.Add(t.TTL)
		l.Until = &until
	}
	if t.Over() { // some servers are done before they answer
		return a.again(l, 0)
	}
	return a.again(l, pollOf(t))
}

func pollOf(t *wire.Task) time.Duration {
	if t.Poll <= 0 {
		return usualPoll
	}
	return min(max(t.Poll, leastPoll), mostPoll)
}

// again puts the attempt down for a while.
func (a *attempt) again(l *later, after time.Duration) error {
	state, err := a.state(l)
	if err != nil {
		return err
	}
	return executor.Continue(state, after)
}

// poll asks how the task is, after telling the server what people answered.
func (a *attempt) poll(ctx context.Context, l *later) (json.RawMessage, error) {
	conn, err := a.runner.fleet.Conn(l.Subsystem)
	if err != nil {
		return nil, refused(err, true)
	}
	if len(l.Asked) > 0 {
		replies := l.replies(a.task.Answers)
		if err := conn.UpdateTask(ctx, l.Task, replies); err != nil {
			return nil, a.notAsked(ctx, l, err)
		}
		for _, q := range l.Asked {
			l.Told = append(l.Told, q.Name)
		}
		l.Asked = nil
	}
	t, err := conn.Task(ctx, l.Task)
	if err != nil {
		return nil, a.notAsked(ctx, l, err)
	}
	l.Failed = 0
	return a.ended(ctx, l, t)
}

// ended says what the state of a task comes to.
func (a *attempt) ended(ctx context.Context, l *later, t *wire.Task) (json.RawMessage, error) {
	switch t.Status {
	case wire.TaskWorking:
		return nil, a.again(l, pollOf(t))
	case wire.TaskInput:
		for name := range t.Asked {
			if slices.Contains(l.Told, name) { // it was told, and has not taken it in yet
				delete(t.Asked, name)
			}
		}
		if len(t.Asked) == 0 {
			return nil, a.again(l, pollOf(t))
		}
		return nil, a.putDown(l, t.Asked)
	case wire.TaskCompleted:
		return a.finished(&came{subsystem: l.Subsystem, pin: l.Pin, tool: a.toolOf(ctx, l), sent: l.Sent, may: l.May}, t.Result)
	case wire.TaskFailed:
		return nil, outcome(a.in.Tool, t.Failure, l.May)
	default:
		return nil, fail(wire.CodeTool, l.May, "%s: its task at subsystem %s was cancelled there", a.in.Tool, l.Subsystem)
	}
}

// notAsked is what becomes of a task that could not be asked for: to ask again
// harms nobody, until it is too late.
func (a *attempt) notAsked(ctx context.Context, l *later, err error) error {
	var f *wire.Failure
	if !errors.As(err, &f) || ctx.Err() != nil {
		return err
	}
	l.Failed++
	gone := f.RPC == invalidParams
	late := l.Until != nil && time.Now().After(*l.Until)
	if !gone && !late && l.Failed < mostFailed {
		return a.again(l, max(f.RetryAfter, usualPoll))
	}
	return fail(fsm.CodeMCPUnknown, false, "%s: nothing is known of its task at subsystem %s any more: %s", a.in.Tool, l.Subsystem, f.Message)
}
