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
