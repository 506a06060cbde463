package executor

import (
	"context"
	"errors"
	"log/slog"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
)

// ErrCancelled is why the context of a handler ends when nobody waits for the
// attempt any more: its state was left, its instance ended, or the router gave it
// up. What the handler returns then is not reported.
var ErrCancelled = errors.New("the attempt was cancelled: nobody waits for it any more")

// remembered is how many cancellations an executor keeps for tasks that it has not
// read yet, and how far back it reads them when it starts.
const remembered = 16 << 10

// cancels is what is known of attempts that are over: every executor reads all of
// it, for a task may run anywhere. The executor's lock guards it.
type cancels struct {
	byTask map[events.UUID]*events.Cancellation
	order  []events.UUID // a ring
	next   int
}

// keep notes a cancellation, and forgets the oldest when there are too many.
func (c *cancels) keep(m *events.Cancellation) {
	if c.byTask == nil {
		c.byTask = make(map[events.UUID]*events.Cancellation)
	}
	if c.byTask[m.TaskID] == nil {
		if len(c.order) < remembered {
			c.order = append(c.order, m.TaskID)
		} else {
			delete(c.byTask, c.order[c.next])
			c.order[c.next] = m.TaskID
			c.next = (c.next + 1) % remembered
		}
	}
	c.byTask[m.TaskID] = m
}

// ended reports whether a task that is about to begin is over.
func (c *cancels) ended(t *events.Task, node string) bool {
	m := c.byTask[t.TaskID]
	return m != nil && m.Ends(t, node)
}

// watchCancels ends what runs here and is over, until ctx ends. An executor that
// cannot hear it runs on: the router ignores what comes of it.
func (e *Executor) watchCancels(ctx context.Context) {
	topic := e.config.Names.Cancels()
	for again := firstTopicRetry; ctx.Err() == nil; again = min(2*again, topicRetry) {
		if err := e.readCancels(ctx, topic); err != nil && ctx.Err() == nil {
			e.config.Logger.Warn("cancellations cannot be read, and are tried again", slog.String("topic", topic), slog.Any("error", err))
		}
		kafka.Pause(ctx, again)
	}
}

// partitionsOf waits until a topic is there, which the first deploy makes.
func (e *Executor) partitionsOf(ctx context.Context, topic string) (int, error) {
	admin, err := kafka.NewAdmin(e.config.Kafka)
	if err != nil {
		return 0, err
	}
	defer admin.Close()
	for again := firstTopicRetry; ; again = min(2*again, topicRetry) {
		if n, err := admin.Partitions(ctx, topic); n > 0 || err != nil || ctx.Err() != nil {
			return int(n), err
		}
		kafka.Pause(ctx, again)
	}
}

// readCancels reads the topic from near its end on.
func (e *Executor) readCancels(ctx context.Context, topic string) error {
	n, err := e.partitionsOf(ctx, topic)
	if n == 0 || err != nil {
		return err
	}
	reader, err := kafka.NewReader(e.config.Kafka)
	if err != nil {
		return err
	}
	defer reader.Close()
	fetcher, err := kafka.NewFetcher(e.config.Kafka)
	if err != nil {
		return err
	}
	defer fetcher.Close()
	for i := range n {
		p := kafka.TopicPartition{Topic: topic, Partition: int32(i)}
		bounds, err := reader.Range(ctx, p)
		if err != nil {
			return err
		}
		fetcher.Add(p, max(bounds.Start, bounds.End-remembered))
	}
	for {
		records, err := fetcher.Poll(ctx, remembered)
		if err != nil || ctx.Err() != nil {
			return err
		}
		for _, r := range records {
			if m, err := avro.DecodeCancellation(r.Value); err == nil { // what is none ends nothing
				e.cancel(&m)
			}
		}
	}
}

// cancel ends the runs that are over, and keeps it for those that come.
func (e *Executor) cancel(m *events.Cancellation) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.cancels.keep(m)
	for j := range e.running {
		if !j.ended && m.Ends(&j.task, e.config.NodeID) {
			j.cancelled = true
			j.stop(ErrCancelled)
		}
	}
}

// drop notes that nothing is to be said of an attempt that is over.
func (e *Executor) drop(j *job) {
	e.handedOver(j)
	j.lease.settle(nil)
	j.beats.Wait()
	if e.config.Metrics.TaskFinished != nil {
		e.config.Metrics.TaskFinished(j.task.Queue, events.TaskCancelled, 0)
	}
}
