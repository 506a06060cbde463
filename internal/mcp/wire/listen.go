package wire

import (
	"context"
	"math/rand/v2"
	"time"
)

// How long to wait before listening again.
const (
	listenLeast = time.Second
	listenMost  = 5 * time.Minute
)

// keepListening listens for changes for as long as the connection lives. Behind a
// gap it says that something may have changed.
func (c *Conn) keepListening() {
	for tries := 0; c.life.Err() == nil; tries++ {
		if tries > 0 {
			wait := backoff(tries-1, listenLeast, listenMost)
			wait += time.Duration(rand.Int64N(int64(wait/2) + 1)) //nolint:gosec // so that not all come back at once
			select {
			case <-c.life.Done():
				return
			case <-time.After(wait):
			}
		}
		began := time.Now()
		failure := c.link.listen(c.life, c.opts.Changed)
		if failure == nil {
			return // there is nothing to listen to
		}
		c.opts.Log.Debug("listening ended", "subsystem", c.target.ID, "reason", failure.Message)
		if c.life.Err() == nil && time.Since(began) > listenLeast {
			tries = 0
			c.opts.Changed()
		}
	}
}

// changes hears that the tools changed.
type changes struct {
	deaf

	changed func()
}

func (e changes) notification(m *message) {
	if m.method == "notifications/tools/list_changed" {
		e.changed()
	}
}

// subscribe asks a modern server to tell of changes; it ends with the server's answer.
func (c *Conn) subscribe(ctx context.Context, changed func()) *Failure {
	m, failure := c.link.do(ctx, &request{
		id: c.ids.Add(1), method: "subscriptions/listen", revision: revisionModern, limit: defaultResult,
		params: listenParams{listenTo{Tools: true}, c.me.of(revisionModern)},
	}, changes{changed: changed})
	switch {
	case failure != nil:
		return failure
	case m.err != nil && m.err.Code == rpcMethodNotFound:
		return nil
	case m.err != nil:
		return c.refused(m.err)
	}
	return failed(CodeUnavailable, Unknown, "the server ended the subscription")
}
