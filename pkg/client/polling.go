package client

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/leat-io/leat/internal/apicall"
	"github.com/leat-io/leat/internal/kafka"
)

// polling asks a projector for the end of an instance that was there already, or
// that no feed waits for: one request that the projector answers when there is
// news, for all who wait for the run, and none when nobody does.
type polling struct {
	mu      sync.Mutex
	waiters int
	stop    context.CancelFunc // of the goroutine that asks; nil for none
}

// polled is the end of an instance that a projector knows.
func (c *Client) polled(workflowType, name string) *ending {
	return &ending{client: c, workflowType: workflowType, name: name, done: make(chan struct{}), polling: &polling{}}
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

// pollWait is how long a projector is asked to wait for the end before it answers
// that there is none yet.
const pollWait = 30 * time.Second

// poll asks until the end is known or ctx ends.
func (e *ending) poll(ctx context.Context) {
	c := e.client
	path, query := instancePath(e.workflowType, e.name), url.Values{"wait": {pollWait.String()}}
	for back := streamBack; ; back = min(2*back, streamBackMost) {
		began := time.Now()
		var s Instance
		err := c.call(ctx, apicall.Request{Method: http.MethodGet, Path: path, Query: query}, &s)
		switch {
		case c.life.Err() != nil:
			e.closed()
			return
		case ctx.Err() != nil || e.isOver():
			return
		case err == nil && s.State.Finished():
			e.finish(&s, nil)
			return
		case err != nil && !passes(err):
			e.finish(nil, err)
			return
		case time.Since(began) > pollWait/2:
			back = streamBack // it waited, as it was asked to
		default:
			kafka.Pause(ctx, back) // it is away, or does not know how to wait
		}
	}
}

// passes says that an error of a projector is not for ever: it is away, is behind,
// or has not seen the instance yet.
func passes(err error) bool {
	for _, kind := range []error{ErrProjector, ErrUnavailable, ErrTimeout, ErrNotFound} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// spawn runs do in a goroutine that ends with the client.
func (c *Client) spawn(do func(ctx context.Context)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.background.Go(func() { do(c.life) })
	}
}
