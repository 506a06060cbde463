package client

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/follow"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
)

// ending is the end of one instance, known or waited for. There is one for each
// [Run], and it must not hold the Run: when the program drops that, abandon ends
// the watching.
type ending struct {
	client       *Client
	workflowType string
	name         string      // of the instance, for messages
	command      events.UUID // the start that is waited for; Nil for none
	began        time.Time   // when it was sent
	watching     follow.Watch
	done         chan struct{} // closed when instance and err are final
	polling      *polling      // asks a projector, where neither Kafka nor a feed is read; else nil

	mu       sync.Mutex
	forget   func() // ends the watching; nil before and after
	over     bool
	held     bool // somebody waits who need not hold the Run
	instance *Instance
	err      error
	then     []*func()
}

// watch begins to look for the end of the instance that has one of ids, and for
// the answer to the start.
func (e *ending) watch(ctx context.Context, ids ...events.UUID) error {
	c := e.client
	outcomes := c.names.Outcomes(e.workflowType)
	e.watching = follow.Watch{Over: e.closed, Record: func(r *kafka.Record) {
		if r.Topic == outcomes {
			e.outcome(r)
		} else {
			e.snapshot(r)
		}
	}}
	var places []follow.Place
	for _, id := range ids {
		places = append(places, follow.Place{Topic: c.names.State(e.workflowType), Key: id})
	}
	if !e.command.IsNil() {
		places = append(places, follow.Place{Topic: outcomes, Key: e.command})
	}
	var forget func()
	err := c.whenRemade(ctx, e.workflowType, func() (err error) {
		forget, err = c.watch(ctx, &e.watching, places...)
		return err
	})
	if err != nil {
		return c.explain(ctx, e.workflowType, err)
	}
	e.mu.Lock()
	over := e.over
	if !over {
		e.forget = forget
	}
	e.mu.Unlock()
	if over {
		forget() // it ended before we knew how to forget it
	}
	return nil
}

// snapshot takes a record of the state topic in. Only the one of the end is read
// further than its state.
func (e *ending) snapshot(r *kafka.Record) {
	if !avro.StateOf(r.Value).Finished() {
		return
	}
	s, err := avro.DecodeState(e.workflowType, r.Key, r.Value)
	switch {
	case err != nil:
		e.client.foreign(r, err)
	case !s.ForgottenAt.IsZero():
		e.finish(nil, forgotten(e.workflowType, events.NameOf(s.WorkflowType, s.Key, s.InstanceID)))
	default:
		e.finish(&s, nil)
	}
}

// outcome takes in why the start led to nothing.
func (e *ending) outcome(r *kafka.Record) {
	o, err := avro.DecodeOutcome(r.Value)
	if err == nil && o.CommandID == e.command {
		e.answered(&o)
	}
}

// answered takes in what a router answered to the start.
func (e *ending) answered(o *events.Outcome) {
	switch {
	case o.Status == events.OutcomeDuplicate:
		e.duplicate(o)
	case refusal(o) != nil:
		e.finish(nil, refusal(o))
	}
}

// duplicate takes in that the instance was there: the outcome says where it is,
// and its end is seen if it comes later.
func (e *ending) duplicate(o *events.Outcome) {
	why := ""
	if o.Error != nil {
		why = o.Error.Code
	}
	switch {
	case why == codeForgotten:
		e.finish(nil, forgotten(e.workflowType, events.Ref{ID: o.InstanceID}.String()))
	case o.InstanceState == "" || why == codeTooLarge: // a router of before does not tell
		e.client.spawn(func(ctx context.Context) { e.look(ctx, o.InstanceID) })
	case o.InstanceState.Finished():
		e.finish(&Instance{
			WorkflowType: o.WorkflowType, InstanceID: o.InstanceID, SequenceNumber: o.InstanceSequence, State: o.InstanceState,
			Output: o.InstanceOutput, Error: o.InstanceError,
		}, nil)
	}
}

// look asks where an instance is that may have ended before it was watched.
func (e *ending) look(ctx context.Context, id events.UUID) {
	if len(e.client.config.Brokers) == 0 {
		e.poll(ctx)
		return
	}
	q := question{workflowType: e.workflowType, name: events.Ref{ID: id}.String(), ids: []events.UUID{id}, until: e.done}
	s, err := e.client.describe(ctx, q)
	switch {
	case err == nil && s != nil && s.State.Finished():
		e.finish(s, nil)
	case err != nil && ctx.Err() == nil:
		e.finish(nil, err)
	}
}

// closed is called when the client is.
func (e *ending) closed() { e.finish(nil, errClosed()) }

// finish makes the end known, once.
func (e *ending) finish(s *Instance, err error) {
	e.mu.Lock()
	if e.over {
		e.mu.Unlock()
		return
	}
	e.over, e.instance, e.err = true, s, err
	then := e.then
	e.then = nil
	e.mu.Unlock()
	e.drop()
	close(e.done)
	for _, f := range then {
		go (*f)()
	}
}

// known is the instance where it ended, nil while that is not known.
func (e *ending) known() *Instance {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.instance
}

// isOver reports whether the end is known, or never will be.
func (e *ending) isOver() bool {
	select {
	case <-e.done:
		return true
	default:
		return false
	}
}

// drop ends the watching.
func (e *ending) drop() {
	e.mu.Lock()
	forget := e.forget
	e.forget = nil
	e.mu.Unlock()
	if forget != nil {
		forget()
	}
}

// abandon is called when the program holds the Run no longer.
func (e *ending) abandon() {
	e.mu.Lock()
	held := e.held
	e.mu.Unlock()
	if !held {
		e.drop()
	}
}

// hold keeps the watching whether the program holds the Run or not.
func (e *ending) hold() {
	e.mu.Lock()
	first := !e.held && !e.over
	e.held = true
	e.mu.Unlock()
	if first && e.polling != nil {
		e.polling.begin(e)
	}
}

// after calls f when the end is known.
func (e *ending) after(f func()) (stop func() bool) {
	e.hold()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.over {
		go f()
		return func() bool { return false }
	}
	e.then = append(e.then, &f)
	return func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		at := slices.Index(e.then, &f)
		if at >= 0 {
			e.then = slices.Delete(e.then, at, at+1)
		}
		return at >= 0
	}
}

// wait returns when the end is known, or ctx ends.
func (e *ending) wait(ctx context.Context) (Instance, error) {
	if e.polling != nil {
		e.polling.begin(e)
		defer e.polling.leave()
	}
	select {
	case <-e.done:
	case <-e.client.life.Done():
		return Instance{}, errClosed()
	case <-ctx.Done():
		return Instance{}, &Error{
			Code: ErrTimeout.Code, Message: fmt.Sprintf("%s %s is not finished", e.workflowType, e.name), Err: ctx.Err(),
			Fix: "wait again, it goes on; leat history shows how far it is",
		}
	}
	if e.err != nil {
		return Instance{}, e.err
	}
	return *e.instance, nil
}
