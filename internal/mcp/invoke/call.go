package invoke

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/leat-io/leat/internal/executor"
	"github.com/leat-io/leat/internal/mcp/fleet"
	"github.com/leat-io/leat/internal/mcp/wire"
	"github.com/leat-io/leat/pkg/events"
)

// attempt is a call on its way.
type attempt struct {
	runner *Runner
	task   *events.Task
	in     *input
	beat   func(details json.RawMessage)
}

// try makes the call at the first offer that takes it. It goes to another one while
// nothing can have run, or when the tool may be run there as well.
func (a *attempt) try(ctx context.Context, offers []fleet.Offer) (json.RawMessage, error) {
	may := offers[0].Repeat.May // what the claim says
	var last error
	for len(offers) > 0 {
		o := &offers[0]
		offers = offers[1:]
		if may && !o.Repeat.May {
			continue // the claim would promise too much
		}
		arguments, err := a.in.arguments(o, a.task.IdempotencyKey)
		if err != nil {
			last = first(last, err)
			continue
		}
		call, err := o.Begin()
		if err != nil {
			last = first(last, refused(err, false))
			continue
		}
		result, end, err := a.make(ctx, call, o, arguments, nil, nil)
		if end == nil {
			return result, err
		}
		last = a.failure(ctx, o, end)
		next := a.next(o, offers, end)
		if next < 0 || ctx.Err() != nil {
			a.unknown(call, o, end)
			return nil, last
		}
		call.FailedOver()
		offers = offers[next:]
	}
	return nil, last
}

// first keeps what happened at the offer that was chosen first.
func first(kept, err error) error {
	if kept != nil {
		return kept
	}
	return err
}

// next is the place among the other offers at which the call may be made after a
// failure; -1 for nowhere.
func (a *attempt) next(o *fleet.Offer, others []fleet.Offer, f *wire.Failure) int {
	return slices.IndexFunc(others, func(other fleet.Offer) bool {
		if f.Evidence.Proven() {
			return elsewhereHelps(f)
		}
		return !f.Answered && o.MayFailOver(&other)
	})
}

// elsewhereHelps reports whether a call that was refused may be taken by another
// subsystem.
func elsewhereHelps(f *wire.Failure) bool {
	return f.Code == wire.CodeUnavailable || f.Code == wire.CodeBusy || f.Code == wire.CodeUnauthorized || f.Code == wire.CodeTimeout
}

// make makes one call. end is how it failed; without one, the error is final.
func (a *attempt) make(ctx context.Context, call *fleet.Call, o *fleet.Offer, arguments, state json.RawMessage, replies map[string]wire.Reply) (
	result json.RawMessage, end *wire.Failure, err error,
) {
	answer, err := call.Conn.Call(ctx, &wire.Call{
		Tool: o.Tool, Arguments: arguments, Key: a.key(), Traceparent: traceparent(a.task), Session: a.task.InstanceID.String(), Limits: o.Limits,
		Progress: a.progress, Logged: a.logged, State: state, Replies: replies,
	})
	call.End(answer, err)
	if err != nil {
		if errors.As(err, &end) {
			return nil, end, err
		}
		return nil, nil, err
	}
	c := &came{subsystem: o.Subsystem.SubsystemID, pin: o.Pin, tool: o.Tool, sent: sum(arguments), may: o.Repeat.May}
	result, err = a.answered(c, answer)
	return result, nil, err
}

// key is constant over the attempts of a task, and another for each round of
// questions: the server is to do something new then.
func (a *attempt) key() string {
	if a.task.Continuation == nil {
		return a.task.IdempotencyKey
	}
	return a.task.IdempotencyKey + "/" + sum(a.task.Continuation)[:16]
}

// progress tells that the attempt lives, and how far it is.
func (a *attempt) progress(p wire.Progress) {
	details, err := json.Marshal(struct {
		Progress float64 `json:"progress"`
		Total    float64 `json:"total,omitempty"`
		Message  string  `json:"message,omitempty"`
	}{p.Done, p.Total, p.Message})
	if err == nil {
		a.beat(details)
	}
}

func (a *attempt) logged(params json.RawMessage) {
	details, err := json.Marshal(struct {
		Log json.RawMessage `json:"log"`
	}{params})
	if err == nil {
		a.beat(details)
	}
}

// failure is what the statechart is told of a call that failed.
func (a *attempt) failure(ctx context.Context, o *fleet.Offer, f *wire.Failure) error {
	switch {
	case ctx.Err() != nil && f.Evidence.Proven():
		return executor.HandBack(f.Code, events.Cut(f.Message, events.MaxMessageLength), 0) // it did not run: somebody else has the attempt
	case ctx.Err() != nil && o.Repeat.May:
		return fmt.Errorf("%s: %w", a.in.Tool, context.Cause(ctx)) // the executor knows what follows
	}
	return executor.RetryAfter(outcome(a.in.Tool, f, o.Repeat.May), f.RetryAfter)
}

func (a *attempt) unknown(call *fleet.Call, o *fleet.Offer, f *wire.Failure) {
	if unknown(f, o.Repeat.May) {
		call.Unknown()
	}
}
