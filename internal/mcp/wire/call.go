package wire

import (
	"context"
	"encoding/json"
	"errors"
)

// Call is one request to run a tool.
type Call struct {
	Tool *Tool
	// Arguments is a JSON object, sent as it is but for white space; nil is {}.
	Arguments json.RawMessage
	// Key is the idempotency key, "" for none. It goes into
	// _meta["io.leat/idempotency-key"].
	Key string
	// Traceparent is the W3C trace context, "" for none.
	Traceparent string
	// Session says who shares the state of a stateful server: calls with the same one.
	// "" is that of the connection itself; workflows should use their own.
	Session string
	// Limits of this call; what is zero is the connection's.
	Limits Limits
	// Progress is told of rising progress of this call, from one goroutine, not after
	// the call returned. It must not block.
	Progress func(Progress)
	// Logged is told of messages that the tool logs, as Progress is: the params of the
	// notification, at most 4 KiB. They are no progress.
	Logged func(json.RawMessage)
	// State and Replies continue a call that asked something (see [Questions]).
	State   json.RawMessage
	Replies map[string]Reply
}

// Progress is how far a server says that a call is.
type Progress struct {
	Done, Total float64 // Total is 0 when unknown
	Message     string
}

const (
	envelope  = 4 << 10 // bytes of an answer around the result
	maxLogged = 4 << 10
)

var (
	errIdle  = errors.New("no progress in time (limits.idle)")
	errTotal = errors.New("not done in time (limits.call)")
)

// Call runs a tool once, and returns what it comes to. The error is a [*Failure];
// when ctx ended first, its Cause is that of ctx.
func (c *Conn) Call(ctx context.Context, call *Call) (Answer, error) {
	r := newRun(c, call)
	leave, failure := c.enter(func() { r.cancel(errClosed) })
	if failure != nil {
		r.cancel(errClosed)
		return nil, failure
	}
	go func() {
		defer leave()
		r.perform()
	}()
	return r.await(ctx)
}

// Continue answers what a call asked that is held in this process, and waits for
// what it comes to. Of call only Progress, Logged and Limits.Idle count. A held call
// that is not here any more fails with evidence [Unknown].
func (c *Conn) Continue(ctx context.Context, held string, replies map[string]Reply, call *Call) (Answer, error) {
	r := c.held.take(held)
	if r == nil {
		return nil, c.tell(failed(CodeUnavailable, Unknown, "the call that asked is not in this process any more"))
	}
	r.resume(call, replies)
	return r.await(ctx)
}
