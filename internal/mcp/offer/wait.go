package offer

import (
	"context"
	"errors"
	"time"

	"github.com/leat-io/leat/internal/mcp/serve"
	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

// How often an instance that may ask people is looked at while a call waits for it.
const (
	firstLook = 100 * time.Millisecond
	lastLook  = 5 * time.Second
)

// mayBeTask reports whether the call may be answered as a task.
func (o *ongoing) mayBeTask() bool { return o.caller.Tasks && o.tool.Task != fsm.ToolTaskNever }

// wait answers the call: with the end of the instance, with what it asks, or as a
// task.
func (o *ongoing) wait(ctx context.Context) (serve.Outcome, error) {
	tasks := o.mayBeTask()
	var late <-chan time.Time
	if tasks {
		timer := time.NewTimer(o.tool.Wait)
		defer timer.Stop()
		late = timer.C
	}
	var look <-chan time.Time
	every := firstLook
	looks := o.asks && (tasks || o.caller.Elicit)
	stopping := o.stopping
	for {
		if looks {
			look = time.After(every)
			every = min(2*every, lastLook)
		}
		select {
		case <-o.run.Done():
			return o.ended(ctx)
		case <-late:
			return o.asTask(ctx, true)
		case <-look:
			if out, err := o.questions(ctx, tasks); out != nil || err != nil {
				return out, err
			}
		case <-stopping:
			if tasks {
				return o.asTask(ctx, true)
			}
			stopping = nil // what can be answered in time is
		case <-ctx.Done():
			o.leave(ctx)
			return nil, ctx.Err()
		}
	}
}

// ended is the answer of a call whose instance has ended, or never began.
func (o *ongoing) ended(ctx context.Context) (serve.Outcome, error) {
	s, err := o.run.Wait(ctx)
	if errors.Is(err, client.ErrRejected) || errors.Is(err, client.ErrConflict) {
		return o.refused(err), nil
	}
	if err != nil {
		return nil, err
	}
	return inline(o.taskOf(&s))
}

// refused says why an instance did not begin.
func (o *ongoing) refused(err error) *serve.Result {
	if why, ok := errors.AsType[*events.Error](err); ok {
		return failure(why.Code, why.Message)
	}
	return failure(codeRejected, err.Error())
}

// inline is a task that has ended, as the answer of the call itself.
func inline(t *serve.Task) (serve.Outcome, error) {
	switch {
	case t.Status == serve.Failed:
		return nil, t.Err
	case t.Result != nil:
		return t.Result, nil
	default:
		return failure("CANCELLED", t.Message), nil
	}
}

// asTask answers the call as a task: it is durable, and whoever is asked for it
// finds it. One that has ended by now is answered as such, when that is wanted.
func (o *ongoing) asTask(ctx context.Context, orResult bool) (serve.Outcome, error) {
	s, err := o.find(ctx, o.caller, o.id())
	switch {
	case errors.Is(err, client.ErrNoRouter): // it is durable, and decided when a router is back
		now := o.run.Receipt().At
		return &serve.Task{ID: o.id(), Status: serve.Working, Message: "not decided yet", Created: now, Updated: now, Poll: o.config.Poll}, nil
	case errors.Is(err, serve.ErrNoTask): // it was refused
		return o.ended(ctx)
	case err != nil:
		return nil, err
	case orResult && s.State.Finished():
		return inline(o.taskOf(s))
	}
	return o.taskOf(s), nil
}

// questions is what the instance asks people now, nil for nothing: as a task, or of
// the caller's own user.
func (o *ongoing) questions(ctx context.Context, tasks bool) (serve.Outcome, error) {
	s, err := o.find(ctx, o.caller, o.id())
	if err != nil {
		if errors.Is(err, client.ErrNoRouter) || errors.Is(err, serve.ErrNoTask) {
			return nil, nil //nolint:nilnil // the end of the run says more
		}
		return nil, err
	}
	t := o.taskOf(s)
	switch {
	case t.Status != serve.InputRequired:
		return nil, nil //nolint:nilnil // nothing is asked
	case tasks:
		return t, nil
	default:
		return &serve.Questions{Asked: t.Asked, State: t.ID}, nil
	}
}
