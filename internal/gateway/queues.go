package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/leat-io/leat/internal/executor"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/internal/rest"
)

// Bounds of looking for a queue's topic, doubled each time.
const (
	firstLook = 20 * time.Millisecond
	lastLook  = time.Second
	lookLimit = 5 * time.Second // how long Kafka may take to answer
)

// queue is one queue that is read.
type queue struct {
	name     string
	executor *executor.Executor
	stop     context.CancelFunc
	done     chan struct{} // closed when nothing of it is left

	// guarded by the gateway's lock
	closing bool
	users   int       // polls that wait, and leases that are out
	since   time.Time // when users became 0
}

// join gives the queue of a name to one more user, and starts to read it when
// no poll has yet. A queue whose topic is missing is waited for.
func (g *Gateway) join(ctx context.Context, name string, wait time.Duration) (*queue, error) {
	until := time.Now().Add(wait)
	for again := firstLook; ; again = min(2*again, lastLook) {
		q, err := g.use(ctx, name, false)
		if q != nil || err != nil {
			return q, err
		}
		partitions, err := g.look(ctx, name)
		if partitions > 0 {
			return g.use(ctx, name, true)
		}
		left := time.Until(until)
		if left <= 0 || ctx.Err() != nil {
			return nil, missing(name, err)
		}
		kafka.Pause(ctx, min(again, left))
	}
}

// use is join for a queue that is read, or, with start, whose topic is there.
func (g *Gateway) use(ctx context.Context, name string, start bool) (*queue, error) {
	for {
		g.mu.Lock()
		q, err := g.useNow(name, start)
		g.mu.Unlock()
		if q == nil || !q.closing {
			return q, err
		}
		select { // the same process must not be in the group twice
		case <-q.done:
		case <-ctx.Done(): // the client has gone, or the gateway stops
			return nil, g.away()
		}
	}
}

// useNow is use for now: a queue that is closing is given as it is.
func (g *Gateway) useNow(name string, start bool) (*queue, error) {
	q := g.queues[name]
	switch {
	case g.stopped() || g.admin == nil:
		return nil, g.away()
	case q != nil && q.closing:
		return q, nil
	case q == nil && !start:
		return nil, nil
	case q == nil && len(g.queues) >= g.config.MaxQueues:
		return nil, rest.New(http.StatusServiceUnavailable, problem.TooManyPolls, "Queue "+name+" cannot be polled now",
			fmt.Sprintf("this gateway reads %d queues, and no more", g.config.MaxQueues), "poll fewer queues, or another gateway")
	case q == nil:
		var err error
		if q, err = g.start(name); err != nil {
			return nil, err
		}
	}
	q.users++
	return q, nil
}

// start reads a queue. g.mu is held.
func (g *Gateway) start(name string) (*queue, error) {
	e, err := executor.New(g.config.executor())
	if err != nil {
		return nil, err
	}
	if err := e.Lend(name, g.config.ReadAhead); err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	q := &queue{name: name, executor: e, stop: stop, done: make(chan struct{})}
	g.queues[name] = q
	g.config.Metrics.Queues(1)
	g.running.Go(func() {
		defer close(q.done)
		defer stop()
		if err := e.Run(ctx); err != nil {
			g.config.Logger.Error("queue closed after an error; the next poll opens it again", slog.String("queue", name), slog.Any("error", err))
		}
		g.mu.Lock()
		delete(g.queues, name)
		g.mu.Unlock()
		g.config.Metrics.Queues(-1)
	})
	return q, nil
}

// leave is the end of a use.
func (g *Gateway) leave(q *queue) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if q.users--; q.users == 0 {
		q.since = time.Now()
	}
}

// closeIdle closes queues that are not used, until ctx ends: another gateway may
// have workers for them.
func (g *Gateway) closeIdle(ctx context.Context) {
	ticker := time.NewTicker(max(g.config.Idle/4, time.Millisecond))
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			g.mu.Lock()
			for _, q := range g.queues {
				if !q.closing && q.users == 0 && now.Sub(q.since) >= g.config.Idle {
					q.closing = true
					q.stop()
				}
			}
			g.mu.Unlock()
		}
	}
}

// look asks Kafka for the partitions of a queue's topic, one question at a time,
// however many polls wait for topics that are not there.
func (g *Gateway) look(ctx context.Context, name string) (int32, error) {
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	select {
	case g.looking <- struct{}{}:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	defer func() { <-g.looking }()
	g.mu.Lock()
	admin := g.admin
	g.mu.Unlock()
	if admin == nil {
		return 0, nil
	}
	return admin.Partitions(ctx, g.config.Names.Tasks(name))
}

// checkQueue refuses queues that may not be polled.
func (g *Gateway) checkQueue(name string) error {
	if slices.Contains(g.config.Served, name) {
		return rest.New(http.StatusConflict, problem.QueueServed, "Queue "+name+" cannot be polled here",
			"this process runs its tasks by itself (--exec, or a built-in one)", "poll another executor --http, or give the tasks another queue")
	}
	return nil
}

func (g *Gateway) away() error {
	err := errNotRunning
	if g.stopped() {
		err = errStopping
	}
	return rest.New(http.StatusServiceUnavailable, problem.GatewayAway, "Tasks cannot be handed out", err.Error(), "poll again in a moment")
}

// missing says why a queue was not there. err is what Kafka said last, nil when it
// said that there is no such topic.
func missing(name string, err error) error {
	if err != nil && !errors.Is(err, context.Canceled) {
		return rest.New(http.StatusServiceUnavailable, problem.KafkaAway, "Kafka cannot say whether there is a queue "+name, err.Error(), "poll again in a moment")
	}
	return rest.New(http.StatusNotFound, problem.QueueMissing, "There is no queue "+name,
		"no definition that is deployed has a task "+name+".…, and none came while this poll waited", "")
}
