package memory

import (
	"context"
	"sync"
)

// calls runs funcs one after the other on a goroutine that is there while there
// is something to run: completions never run on the goroutine that asked.
type calls struct {
	mu      sync.Mutex
	waiting []func()
	running bool
}

func (c *calls) add(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting = append(c.waiting, f)
	if !c.running {
		c.running = true
		go c.run()
	}
}

func (c *calls) run() {
	for {
		c.mu.Lock()
		if len(c.waiting) == 0 {
			c.running = false
			c.mu.Unlock()
			return
		}
		f := c.waiting[0]
		c.waiting = c.waiting[1:]
		c.mu.Unlock()
		f()
	}
}

// ends are the subscriptions of a bus, to be ended when it is closed.
type ends struct {
	mu     sync.Mutex
	closed bool
	list   []func(context.Context) error
}

func (e *ends) add(end func(context.Context) error) {
	e.mu.Lock()
	closed := e.closed
	e.list = append(e.list, end)
	e.mu.Unlock()
	if closed { // while it was being made
		_ = end(context.Background())
	}
}

func (e *ends) close() {
	e.mu.Lock()
	e.closed = true
	list := e.list
	e.list = nil
	e.mu.Unlock()
	for _, end := range list {
		_ = end(context.Background()) // as soon as the handlers end
	}
}
