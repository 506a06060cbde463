package wire

import "context"

// Task asks how a task is. The error is a [*Failure]: of one that the server does
// not know (any more) its RPC is -32602.
func (c *Conn) Task(ctx context.Context, id string) (*Task, error) {
	m, err := c.aboutTask(ctx, "tasks/get", id, nil)
	if err != nil {
		return nil, err
	}
	f, cannot := fields(m.result)
	if cannot != nil {
		return nil, c.tell(invalid("its task is not an object"))
	}
	t, failure := c.readTask(f)
	switch {
	case failure != nil:
		return nil, c.tell(failure)
	case t.ID != id:
		return nil, c.tell(invalid("it answered with another task"))
	case t.Status == TaskCompleted && t.Result == nil:
		return nil, c.tell(invalid("its task is completed without a result"))
	}
	return t, nil
}

// UpdateTask answers what a task asked. The task goes on some time after that.
func (c *Conn) UpdateTask(ctx context.Context, id string, replies map[string]Reply) error {
	_, err := c.aboutTask(ctx, "tasks/update", id, replies)
	return err
}

// CancelTask asks the server to give a task up. It may end in another way all the same.
func (c *Conn) CancelTask(ctx context.Context, id string) error {
	_, err := c.aboutTask(ctx, "tasks/cancel", id, nil)
	return err
}

func (c *Conn) aboutTask(ctx context.Context, method, id string, replies map[string]Reply) (message, error) {
	server, failure := c.link.ready(ctx)
	if failure != nil {
		return message{}, c.tell(failure.before())
	}
	if server.Era != EraModern {
		return message{}, c.tell(failed(CodeProtocol, NotSent, "it speaks revision %s, which has no such tasks", server.Revision))
	}
	return c.ask(ctx, server, method, id, taskParams{id, replies, c.me.of(server.Revision)})
}
