package bus

import (
	"context"
	"log/slog"
	"time"

	"github.com/leat-io/leat/internal/kafka"
)

// How long a message that was not handled rests before it comes again.
const (
	shortest = 10 * time.Millisecond
	longest  = time.Second
)

// How much may wait for the handler of one partition before it is fetched no
// more.
const (
	maxQueued      = 1000
	maxQueuedBytes = 8 << 20
)

// partition is one partition while the subscription owns it. Its fields below
// the line are guarded by the subscription's lock.
type partition struct {
	s      *subscription
	at     kafka.TopicPartition
	ctx    context.Context //nolint:containedctx // ends when the partition is revoked
	cancel context.CancelFunc
	more   chan struct{} // a token: the queue may have something
	ended  chan struct{} // closed when no handler runs and none will

	next      int64 // what to fetch next
	done      int64 // what to handle next
	committed int64 // what the group knows of done, as far as we know
	queue     []*kafka.Record
	bytes     int  // of the queue's values
	paused    bool // not fetched, until the queue is empty
}

// newPartition starts the partition's goroutine.
func newPartition(s *subscription, at kafka.TopicPartition) *partition {
	p := &partition{s: s, at: at, more: make(chan struct{}, 1), ended: make(chan struct{})}
	p.ctx, p.cancel = context.WithCancel(s.ctx)
	go p.run()
	return p
}

// add queues what was fetched. The subscription's lock is held.
func (p *partition) add(r *kafka.Record) {
	if r.Offset < p.next {
		return // from before a pause
	}
	p.next = r.Offset + 1
	p.queue = append(p.queue, r)
	p.bytes += len(r.Value)
	if !p.paused && (len(p.queue) >= maxQueued || p.bytes >= maxQueuedBytes) {
		p.paused = true
		p.s.fetcher.Remove(p.at)
	}
	select {
	case p.more <- struct{}{}:
	default:
	}
}

// take is the oldest record that is not handled, nil for none.
func (p *partition) take() *kafka.Record {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	if len(p.queue) > 0 {
		return p.queue[0]
	}
	if p.paused && p.ctx.Err() == nil {
		p.paused = false
		p.s.fetcher.Add(p.at, p.next)
	}
	return nil
}

// handled drops the oldest record.
func (p *partition) handled() {
	p.s.mu.Lock()
	r := p.queue[0]
	p.queue[0] = nil
	p.queue = p.queue[1:]
	p.bytes -= len(r.Value)
	p.done = r.Offset + 1
	p.s.mu.Unlock()
	p.s.tellHandled()
}

func (p *partition) run() {
	defer close(p.ended)
	defer p.cancel()
	rest := shortest
	for p.ctx.Err() == nil {
		r := p.take()
		if r == nil {
			select {
			case <-p.more:
			case <-p.ctx.Done():
			}
			continue
		}
		if err := p.s.handle(p.ctx, r); err != nil {
			if p.ctx.Err() != nil {
				return
			}
			p.s.logger.LogAttrs(p.ctx, slog.LevelWarn, "message was not handled, it comes again", slog.Any("error", err),
				slog.Int("partition", int(r.Partition)), slog.Int64("offset", r.Offset))
			kafka.Pause(p.ctx, rest)
			rest = min(2*rest, longest)
			continue
		}
		p.handled()
		rest = shortest
	}
}
