package client

import (
	"context"
	"errors"
	"runtime"
	"time"

	"github.com/leat-io/leat/pkg/events"
)

// Run is one instance, from the start that began it (see [Client.Start]) or from
// its name (see [Client.Attach]) to its end. It is safe for concurrent use.
//
// A run costs no goroutine and no request while it is waited for: its end is seen
// by the one reader that all runs of a type share. It need not be closed: what is
// kept of it is dropped when it ends, when the client is closed, or when the
// program holds the Run no longer and waits for nothing of it.
type Run struct {
	client  *Client
	receipt Receipt
	end     *ending
}

// newRun hands out a run whose end is watched.
func newRun(c *Client, r Receipt, e *ending) *Run {
	run := &Run{client: c, receipt: r, end: e}
	if !c.kafka.Virtual() { // what the collector calls is outside of every bubble of testing/synctest
		runtime.AddCleanup(run, func(e *ending) { e.abandon() }, e)
	}
	return run
}

// Start begins an instance. With a Key, starting is idempotent: there is one
// instance for each key of a type, and a second start of it is a duplicate that
// changes nothing and whose Run is that of the first. Start returns when the
// command is durable, before it is decided: what a router refuses is an error of
// [Run.Result]. Who never asks for the result had better use [Client.Send], which
// reads nothing.
//
// The error is [ErrUnknownType], [ErrInvalid] or [ErrUnavailable]; after the last
// the command may or may not be durable: start again with the same Key or
// IdempotencyKey.
func (c *Client) Start(ctx context.Context, r StartRequest) (*Run, error) {
	if len(c.config.Brokers) == 0 {
		return c.startAPI(ctx, r)
	}
	command, err := r.command(c.config.Source, time.Now())
	if err != nil {
		return nil, invalid(err)
	}
	e := c.begun(command)
	if err := e.watch(ctx, command.InstanceID); err != nil {
		return nil, err
	}
	receipt, err := c.sendCommand(ctx, command)
	if err != nil {
		e.drop()
		return nil, err
	}
	return newRun(c, receipt, e), nil
}

// begun is the end of an instance that a command starts.
func (c *Client) begun(command *events.Command) *ending {
	return &ending{
		client: c, workflowType: command.WorkflowType, command: command.CommandID, began: command.Timestamp, done: make(chan struct{}),
		name: events.NameOf(command.WorkflowType, command.Key, command.InstanceID),
	}
}

// startAPI is Start for a client that has a projector alone.
func (c *Client) startAPI(ctx context.Context, r StartRequest) (*Run, error) {
	command, err := r.command(c.config.Source, time.Now())
	if err != nil {
		return nil, invalid(err)
	}
	call, err := r.call(command)
	if err != nil {
		return nil, invalid(err)
	}
	e := c.begun(command)
	switch err := c.join(ctx, e, command.InstanceID); {
	case err == nil: // its outcome may come before the answer to the request
		call.body["instance_id"], call.body["command_id"] = command.InstanceID, command.CommandID
	case ctx.Err() != nil:
		return nil, err
	default: // a projector of before, or one that is away: then the start says so
		e = c.polled(command.WorkflowType, e.name)
	}
	receipt, err := c.post(ctx, command, call)
	if err != nil {
		e.drop()
		return nil, err
	}
	if e.polling != nil {
		e.name = events.Ref{ID: receipt.InstanceID}.String()
	}
	return newRun(c, receipt, e), nil
}

// Type is the workflow type.
func (r *Run) Type() string { return r.receipt.Type }

// InstanceID names the instance.
func (r *Run) InstanceID() events.UUID { return r.receipt.InstanceID }

// Receipt says where the start is; of a run from [Client.Attach] it has Type and
// InstanceID only.
func (r *Run) Receipt() Receipt { return r.receipt }

// Signal tells the instance that something happened; data is as of
// [SignalRequest]. It returns when the signal is durable. The error is as of
// [Client.Start].
func (r *Run) Signal(ctx context.Context, event string, data any) error {
	_, err := r.client.Signal(ctx, SignalRequest{Type: r.receipt.Type, InstanceID: r.receipt.InstanceID, Event: event, Data: data})
	return err
}

// Cancel asks the instance to end in good order; reason is for its history. It
// returns when the command is durable. The error is as of [Client.Start].
func (r *Run) Cancel(ctx context.Context, reason string) error {
	_, err := r.client.Send(ctx, LifeRequest{
		Type: r.receipt.Type, InstanceID: r.receipt.InstanceID, Command: events.CommandCancel, Reason: reason,
	})
	return err
}

// Done is closed when the end of the run is known, or will never be because the
// client is closed: Result does not wait then.
func (r *Run) Done() <-chan struct{} {
	r.end.hold()
	return r.end.done
}

// AfterFunc calls f in its own goroutine when Done is closed. Until then it
// occupies none. stop prevents the call, and reports whether it did.
func (r *Run) AfterFunc(f func()) (stop func() bool) {
	return r.end.after(f)
}

// Wait waits until the instance is finished and returns where it ended, which may
// be in failure: look at State. The error says why the end is not known: the start
// was refused ([ErrRejected], [ErrConflict]), ctx ended first ([ErrTimeout]), the
// retention is over ([ErrForgotten]), or the client was closed ([ErrInvalid]).
func (r *Run) Wait(ctx context.Context) (Instance, error) {
	defer runtime.KeepAlive(r)
	s, err := r.end.wait(ctx)
	if err != nil || s.Version != 0 {
		return s, err
	}
	// What was heard of it is how it ended, and not all of it.
	return r.client.Get(ctx, r.receipt.Type, events.Ref{ID: r.receipt.InstanceID}.String(), GetOptions{MinSequence: s.SequenceNumber})
}

// Result waits until the instance is finished and reads its output into the
// value that into points to, as encoding/json does; nil only waits. A
// *json.RawMessage takes it as it is. An instance without an output leaves the
// value as it was.
//
// The error is a *[WorkflowError] when the instance did not complete, [ErrResult]
// when the output does not fit, or one of [Run.Wait]. When ctx ends, the instance
// goes on, and Result can be called again.
func (r *Run) Result(ctx context.Context, into any) error {
	defer runtime.KeepAlive(r)
	s, err := r.end.wait(ctx)
	if err != nil {
		return err
	}
	if err := r.failure(&s); err != nil {
		return err
	}
	return decodeResult(s.Output, into)
}

// Result is [Run.Result] with the type of the output.
func Result[T any](ctx context.Context, r *Run) (T, error) {
	var out T
	err := r.Result(ctx, &out)
	return out, err
}

// Attach gives the run of an instance that is there already, whoever started it.
// idOrKey is as of [Client.Get], and so is the error.
func (c *Client) Attach(ctx context.Context, workflowType, idOrKey string) (*Run, error) {
	if err := checkName(workflowType, idOrKey); err != nil {
		return nil, err
	}
	e, err := c.ending(ctx, workflowType, idOrKey)
	if err != nil {
		return nil, err
	}
	s, err := c.lookAt(ctx, workflowType, idOrKey, e, c.config.RouterTimeout)
	if err == nil && s == nil {
		err = notFound(workflowType, idOrKey)
	}
	if err != nil {
		e.drop()
		return nil, err
	}
	return newRun(c, Receipt{InstanceID: s.InstanceID, Type: workflowType}, e), nil
}

// WaitFinished waits until an instance is finished and returns where it ended,
// which may be in failure: look at State. The instance need not be there yet;
// nothing but ctx bounds the waiting. Who starts the instance had better wait for
// its [Run], which asks nobody.
func (c *Client) WaitFinished(ctx context.Context, workflowType, idOrKey string) (Instance, error) {
	if err := checkName(workflowType, idOrKey); err != nil {
		return Instance{}, err
	}
	e, err := c.ending(ctx, workflowType, idOrKey)
	if err != nil {
		return Instance{}, err
	}
	defer e.drop()
	var s *Instance
	if e.polling == nil {
		if s, err = c.lookAt(ctx, workflowType, idOrKey, e, 0); err != nil && !errors.Is(err, ErrTimeout) {
			return Instance{}, err
		}
	}
	end, err := e.wait(ctx)
	if errors.Is(err, ErrTimeout) {
		return Instance{}, unfinished(ctx, workflowType, idOrKey, s)
	}
	return end, err
}

// ending watches for the end of an instance that others may have started.
func (c *Client) ending(ctx context.Context, workflowType, name string) (*ending, error) {
	if c.config.API != "" {
		return c.polled(workflowType, name), nil
	}
	e := &ending{client: c, workflowType: workflowType, name: name, done: make(chan struct{})}
	return e, e.watch(ctx, candidates(workflowType, name)...)
}

// lookAt sees where the instance is whose end is watched, nil for none; it may
// have ended before. within is how long a router may take to answer, 0 for any time.
func (c *Client) lookAt(ctx context.Context, workflowType, name string, e *ending, within time.Duration) (s *Instance, err error) {
	ctx, cancel := c.living(ctx)
	defer cancel()
	if e.polling != nil {
		read, err := c.Get(ctx, workflowType, name, GetOptions{})
		s = &read
		if err != nil {
			return nil, err
		}
	} else if s, err = c.describe(ctx, question{
		workflowType: workflowType, name: name, ids: candidates(workflowType, name), within: within, until: e.done,
	}); err != nil {
		return nil, err
	}
	if s == nil {
		return e.known(), nil // it ended while we asked
	}
	if s.State.Finished() {
		e.finish(s, nil)
	}
	return s, nil
}
