package client

import (
	"context"
	"errors"
	"time"
)

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
