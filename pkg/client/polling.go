package client

import (
	"context"
	"errors"
	"sync"

	"github.com/leat-io/leat/internal/kafka"
)

// polling asks a projector for the end of an instance, for a client without
// Kafka: one request that the projector answers when there is news, for all who
// wait for the run, and none when nobody does.
type polling struct {
	name string // of the instance

	mu      sync.Mutex
	waiters int
	stop    context.CancelFunc // of the goroutine that asks; nil for none
}

// polled is the end of an instance that a projector knows.
func (c *Client) polled(workflowType, name string) *ending {
	return &ending{client: c, workflowType: workflowType, done: make(chan struct{}), polling: &polling{name: name}}
}

// begin asks as long as somebody waits: until leave is called as often.
func (p *polling) begin(e *ending) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiters++; p.stop != nil {
		return
	}
	ctx, stop := context.WithCancel(e.client.life)
	p.stop = stop
	e.client.spawn(func(context.Context) { e.poll(ctx) })
}

func (p *polling) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiters--; p.waiters == 0 {
		p.stop()
		p.stop = nil
	}
}

// poll asks until the end is known or ctx ends.
func (e *ending) poll(ctx context.Context) {
	back, next := streamBack, int64(1)
	for {
		s, err := e.client.getAPI(ctx, e.workflowType, e.polling.name, GetOptions{MinSequence: next})
		switch {
		case e.client.life.Err() != nil:
			e.closed()
			return
		case ctx.Err() != nil:
			return
		case err == nil && s.State.Finished():
			e.finish(&s, nil)
			return
		case err == nil:
			back, next = streamBack, s.SequenceNumber+1
		case errors.Is(err, ErrTimeout): // nothing came in the time for which a projector waits
			back = streamBack
		case errors.Is(err, ErrProjector), errors.Is(err, ErrUnavailable):
			kafka.Pause(ctx, back)
			back = min(2*back, streamBackMost)
		default:
			e.finish(nil, err)
			return
		}
	}
}

// spawn runs do in a goroutine that ends with the client.
func (c *Client) spawn(do func(ctx context.Context)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.background.Go(func() { do(c.life) })
	}
}

// attach watches for the end of an instance, and then looks where it stands: nil
// when there is none yet.
func (c *Client) attach(ctx context.Context, workflowType, name string) (*ending, *Instance, error) {
	ctx, cancel := c.living(ctx)
	defer cancel()
	var e *ending
	if c.config.API != "" {
		e = c.polled(workflowType, name)
	} else {
		e = &ending{client: c, workflowType: workflowType, done: make(chan struct{})}
		if err := e.watch(ctx, candidates(workflowType, name)...); err != nil {
			return nil, nil, err
		}
	}
	s, err := c.lookBack(ctx, workflowType, name)
	switch {
	case err == nil && s.State.Finished():
		e.finish(&s, nil)
		return e, &s, nil
	case err == nil:
		return e, &s, nil
	case errors.Is(err, ErrNotFound):
		return e, nil, nil
	}
	e.drop()
	return nil, nil, err
}

// WaitFinished waits until an instance is finished and returns where it ended,
// which may be in failure: look at State. The instance need not be there yet;
// nothing but ctx bounds the waiting. Who starts the instance had better wait for
// its [Run], which asks nobody.
func (c *Client) WaitFinished(ctx context.Context, workflowType, idOrKey string) (Instance, error) {
	if err := checkName(workflowType, idOrKey); err != nil {
		return Instance{}, err
	}
	e, s, err := c.attach(ctx, workflowType, idOrKey)
	if err != nil {
		return Instance{}, err
	}
	defer e.drop()
	end, err := e.wait(ctx)
	if errors.Is(err, ErrTimeout) {
		return Instance{}, unfinished(ctx, workflowType, idOrKey, s)
	}
	return end, err
}

// lookBack reads where an instance stands, within the client's own bound.
func (c *Client) lookBack(ctx context.Context, workflowType, idOrKey string) (Instance, error) {
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	return c.Get(ctx, workflowType, idOrKey, GetOptions{})
}
