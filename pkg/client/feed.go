package client

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/leat-io/leat/internal/apicall"
	"github.com/leat-io/leat/internal/endings"
	"github.com/leat-io/leat/pkg/events"
)

// feed waits at a projector for the ends of instances of one type, for a client
// without Kafka: one stream, however many wait. Whenever it breaks, the projector
// is asked again for all that is waited for, so that nothing is missed whatever was
// restarted in between. It begins with the first wait, and ends when nobody has
// waited for feedIdle, or with the client.
type feed struct {
	client       *Client
	workflowType string
	stop         context.CancelFunc
	hurry        chan struct{} // somebody wants to wait: do not pause

	mu       sync.Mutex
	attempt  *attempt // to open the stream; nil while it is open
	waiting  map[events.UUID][]*ending
	commands map[events.UUID]*ending // the starts of those who wait
	idle     *time.Timer             // runs while nobody waits
	gone     bool                    // nobody can begin to wait any more
}

// attempt is one try to open the stream: done is closed when err is set.
type attempt struct {
	done chan struct{}
	err  error
}

const (
	feedIdle = 30 * time.Second
	// feedQuiet is how long a stream may say nothing: projectors write more often.
	feedQuiet = 45 * time.Second
)

var errFull = errors.New("no more can wait at one stream")

// join begins to wait for the end of the instance id, and for the outcome of e's
// command: everything that is sent to the projector from then on will be seen.
func (c *Client) join(ctx context.Context, e *ending, id events.UUID) error {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	for {
		f, err := c.feed(e.workflowType)
		if err != nil {
			return err
		}
		if joined, err := f.join(ctx, e, id); joined || err != nil {
			return err
		}
	}
}

// feed gives the feed of a type, which may end before it is used.
func (c *Client) feed(workflowType string) (*feed, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, errClosed()
	}
	f := c.feeds[workflowType]
	if f != nil {
		return f, nil
	}
	f = &feed{
		client: c, workflowType: workflowType, hurry: make(chan struct{}, 1), attempt: &attempt{done: make(chan struct{})},
		waiting: make(map[events.UUID][]*ending), commands: make(map[events.UUID]*ending),
	}
	ctx, stop := context.WithCancel(c.life)
	f.stop = stop
	f.idle = time.AfterFunc(feedIdle, func() {
		if f.leave() {
			f.stop()
		}
	})
	c.feeds[workflowType] = f
	c.background.Go(func() {
		defer f.close()
		f.run(ctx)
	})
	return f, nil
}

// join is false when the feed has ended.
func (f *feed) join(ctx context.Context, e *ending, id events.UUID) (bool, error) {
	for {
		f.mu.Lock()
		a := f.attempt
		if f.gone || a == nil {
			joined, err := f.add(e, id)
			f.mu.Unlock()
			return joined, err
		}
		f.mu.Unlock()
		select {
		case f.hurry <- struct{}{}:
		default:
		}
		select {
		case <-a.done:
			if a.err != nil {
				return false, a.err
			}
		case <-ctx.Done():
			return false, failed("wait at the projector", ctx.Err())
		}
	}
}

// add takes a wait in. f.mu is held.
func (f *feed) add(e *ending, id events.UUID) (bool, error) {
	if f.gone {
		return false, nil
	}
	if len(f.waiting) >= endings.MaxWaiting {
		return false, errFull
	}
	f.idle.Stop()
	f.waiting[id] = append(slices.Clip(f.waiting[id]), e)
	if !e.command.IsNil() {
		f.commands[e.command] = e
	}
	e.forget = func() { f.forget(e, id) }
	return true, nil
}

// forget ends what join began. It may be called again.
func (f *feed) forget(e *ending, id events.UUID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := f.waiting[id]
	at := slices.Index(list, e)
	switch {
	case at < 0:
		return
	case len(list) == 1:
		delete(f.waiting, id)
	default:
		f.waiting[id] = slices.Concat(list[:at], list[at+1:])
	}
	delete(f.commands, e.command)
	if len(f.waiting) == 0 && !f.gone {
		f.idle.Reset(feedIdle)
	}
}

// run keeps the stream open until ctx ends or nobody waits.
func (f *feed) run(ctx context.Context) {
	for back := streamBack; ; back = min(2*back, streamBackMost) {
		opened, err := f.read(ctx)
		if ctx.Err() != nil || f.broken(err) {
			return
		}
		if opened {
			back = streamBack
		}
		timer := time.NewTimer(back)
		select {
		case <-timer.C:
		case <-f.hurry:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// read opens the stream and reads it until it breaks.
func (f *feed) read(ctx context.Context) (opened bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	quiet := time.AfterFunc(feedQuiet, cancel)
	defer quiet.Stop()
	response, err := f.client.api.Open(ctx, apicall.Request{
		Method: http.MethodPost, Path: "/api/v1/types/" + url.PathEscape(f.workflowType) + "/ends",
		Header: http.Header{"Accept": {"text/event-stream"}}, Body: f.asked(),
	})
	if err != nil {
		return false, err
	}
	defer func() { _ = response.Body.Close() }()
	f.opened()
	_, err = apicall.Messages(response.Body, func(kind, data string) (bool, error) {
		quiet.Reset(feedQuiet)
		return false, f.message(kind, data)
	})
	return true, err
}

// asked is all that is waited for. Nothing is added until the stream is open.
func (f *feed) asked() (r endings.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id := range f.waiting {
		r.Instances = append(r.Instances, id)
	}
	for id, e := range f.commands {
		r.Commands = append(r.Commands, id)
		if r.Since.IsZero() || e.began.Before(r.Since) {
			r.Since = e.began
		}
	}
	if !r.Since.IsZero() {
		r.Since = r.Since.Add(-clockSkew)
	}
	return r
}

// opened lets those in who want to wait.
func (f *feed) opened() {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.attempt.done)
	f.attempt = nil
}

// broken begins the next attempt, unless nobody waits, or the projector will never
// answer those who do.
func (f *feed) broken(err error) (over bool) {
	f.mu.Lock()
	if f.attempt != nil { // the stream was never open
		f.attempt.err = f.client.answered(err)
		close(f.attempt.done)
	}
	f.attempt = &attempt{done: make(chan struct{})}
	waiting := f.all()
	f.gone = len(waiting) == 0
	f.mu.Unlock()
	if err == nil || lasts(err) {
		return len(waiting) == 0
	}
	for _, e := range waiting {
		e.finish(nil, f.client.answered(err))
	}
	return true
}

// lasts says that an error of a projector is not for ever: it is away, or refuses
// because it has too much to do.
func lasts(err error) bool {
	if p, ok := errors.AsType[*apicall.Problem](err); ok {
		return p.Status >= http.StatusInternalServerError
	}
	return true
}

// all lists those who wait. f.mu is held.
func (f *feed) all() (list []*ending) {
	for _, waiting := range f.waiting {
		list = append(list, waiting...)
	}
	return list
}

// leave makes sure that nobody begins to wait any more, unless somebody waits.
func (f *feed) leave() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gone = f.gone || len(f.waiting) == 0
	return f.gone
}

// close ends the feed and tells those who wait.
func (f *feed) close() {
	f.stop()
	f.client.mu.Lock()
	if f.client.feeds[f.workflowType] == f {
		delete(f.client.feeds, f.workflowType)
	}
	f.client.mu.Unlock()
	f.mu.Lock()
	f.gone = true
	f.idle.Stop()
	left := f.all()
	if f.attempt != nil {
		close(f.attempt.done)
		f.attempt = nil
	}
	f.mu.Unlock()
	for _, e := range left {
		e.closed()
	}
}

// message takes in what the projector tells. What cannot be read comes from a newer
// one.
func (f *feed) message(kind, data string) error {
	switch kind {
	case endings.KindEnd:
		var end endings.End
		if err := json.Unmarshal([]byte(data), &end); err != nil {
			return newError(ErrAnswer, err, "an end cannot be read: %v", err)
		}
		f.mu.Lock()
		waiting := f.waiting[end.InstanceID] // never changed in place
		f.mu.Unlock()
		for _, e := range waiting {
			e.ended(&end)
		}
	case endings.KindOutcome:
		var o events.Outcome
		if err := json.Unmarshal([]byte(data), &o); err != nil {
			return newError(ErrAnswer, err, "an outcome cannot be read: %v", err)
		}
		f.mu.Lock()
		e := f.commands[o.CommandID]
		f.mu.Unlock()
		if e != nil {
			e.answered(&o)
		}
	}
	return nil
}

// ended takes in how the instance ended.
func (e *ending) ended(end *endings.End) {
	switch {
	case end.Forgotten:
		e.finish(nil, forgotten(e.workflowType, events.Ref{ID: end.InstanceID}.String()))
	case end.Omitted:
		e.client.spawn(e.poll)
	default:
		e.finish(&Instance{
			WorkflowType: end.WorkflowType, InstanceID: end.InstanceID, Key: end.Key, SequenceNumber: end.SequenceNumber,
			State: end.State, Output: end.Output, Error: end.Error,
		}, nil)
	}
}
