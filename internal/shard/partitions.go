package shard

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/leat-io/leat/internal/kafka"
)

// assign begins to open partitions that the shard got. Called by the group
// member's goroutine.
func (s *Shard) assign(committed map[Partition]int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, at := range committed {
		if s.parts[id] == nil && s.running.Err() == nil {
			s.begin(id, at)
		}
	}
}

// begin starts an opener for id; s.mu is held. An earlier opener of the same
// partition is waited for, because Open never runs twice at once for one.
func (s *Shard) begin(id Partition, committed int64) {
	earlier := s.ending[id]
	ctx, cancel := context.WithCancel(s.running)
	p := &part{id: id, committed: committed, cancel: cancel, idle: make(chan struct{})}
	s.parts[id] = p
	s.openers.Go(func() {
		defer close(p.idle)
		if earlier != nil {
			<-earlier
		}
		s.open(ctx, p)
		s.mu.Lock()
		p.ready = true
		ended := p.ended
		s.mu.Unlock()
		if ended { // while it was being opened
			s.turn.Lock()
			s.worker.Close(p.id)
			s.turn.Unlock()
		}
	})
}

// open calls the worker until it succeeds or p is revoked.
func (s *Shard) open(ctx context.Context, p *part) {
	began := time.Now()
	for wait := firstBackoff; ctx.Err() == nil; wait = min(2*wait, lastBackoff) {
		next, err := s.worker.Open(ctx, p.id, p.committed)
		if err == nil {
			s.mu.Lock()
			p.next = next
			s.opened = append(s.opened, p)
			s.resubscribe(p.id.Topic)
			s.mu.Unlock()
			if s.config.Metrics.Opened != nil {
				s.config.Metrics.Opened(p.id, time.Since(began))
			}
			s.Wake()
			return
		}
		if ctx.Err() == nil {
			s.config.Logger.LogAttrs(ctx, slog.LevelError, "cannot open partition, trying again",
				slog.String("topic", p.id.Topic), slog.Int("partition", int(p.id.Partition)), slog.Any("error", err))
			kafka.Pause(ctx, wait)
		}
	}
}

// noteRenewed keeps that a topic was deleted. The member learns of it when it is
// there again.
func (s *Shard) noteRenewed(topic string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.member == nil {
		return
	}
	if s.renewed == nil {
		s.renewed = make(map[string]bool)
	}
	s.renewed[topic] = true
}

// resubscribe has the member ask for a topic anew that was deleted and is there
// again. Partitions are revoked and assigned by that, which waits for the turn.
// s.mu is held.
func (s *Shard) resubscribe(topic string) {
	if !s.renewed[topic] {
		return
	}
	delete(s.renewed, topic)
	member := s.member
	s.openers.Go(func() { member.Renew(topic) })
}

// settleTime bounds how long the first partitions wait for those that open with
// them.
const settleTime = 50 * time.Millisecond

// settle waits, when nothing is read yet, until the partitions that are opening
// can be read together: one that is added while a fetch waits at the broker is
// read only after that fetch.
func (s *Shard) settle(ctx context.Context) {
	s.mu.Lock()
	first := len(s.opened) > 0
	s.mu.Unlock()
	if !first {
		return
	}
	limit, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	for limit.Err() == nil {
		waiting, wake := context.WithCancel(limit)
		s.mu.Lock()
		s.interrupt = wake
		all := s.settled()
		s.mu.Unlock()
		if !all {
			<-waiting.Done()
		}
		wake()
		if all {
			return
		}
	}
}

// settled reports whether waiting for more partitions is of no use: something
// is read already, or all are open. s.mu is held.
func (s *Shard) settled() bool {
	for _, p := range s.parts {
		if p.serving {
			return true
		}
	}
	return len(s.opened) >= len(s.parts)
}

// serveOpened begins to read what was opened. Only the run loop calls it,
// between two polls: so no record that was fetched before can be mistaken for
// one that follows the offset that Open named.
func (s *Shard) serveOpened() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.opened {
		if s.parts[p.id] == p {
			p.serving = true
			s.fetcher.Add(p.id, p.next)
		}
	}
	s.opened = nil
}

// revoke gives partitions up, after the batch under way. Called by the group
// member's goroutine; the group waits for it.
func (s *Shard) revoke(ids []Partition) {
	s.turn.Lock()
	defer s.turn.Unlock()
	for _, id := range ids {
		s.end(id)
	}
}

// renew opens every partition again: another worker may have gone on with them
// while the group did not know this one. Called by the group member's goroutine.
func (s *Shard) renew() {
	s.turn.Lock()
	defer s.turn.Unlock()
	s.queue.clear()
	s.reopenAll()
}

// end closes one partition. The turn is held.
func (s *Shard) end(id Partition) {
	s.mu.Lock()
	p := s.parts[id]
	if p == nil {
		s.mu.Unlock()
		return
	}
	delete(s.parts, id)
	s.ending[id] = p.idle
	p.ended = true
	ready := p.ready
	s.mu.Unlock()
	p.cancel()
	s.queue.drop(id)
	delete(s.blocked, id)
	delete(s.resting, id)
	s.pace.forget(id)
	if p.serving {
		s.fetcher.Remove(id)
	}
	if ready { // else its opener closes it
		s.worker.Close(id)
		if s.config.Metrics.Closed != nil {
			s.config.Metrics.Closed(id)
		}
	}
}

// reopenAll opens every partition again, without a committed offset: the one
// from the assignment is out of date. The turn is held.
func (s *Shard) reopenAll() {
	s.queue.clear() // read again from where the partitions are opened
	s.mu.Lock()
	ids := make([]Partition, 0, len(s.parts))
	for id := range s.parts {
		ids = append(ids, id)
	}
	s.mu.Unlock()
	for _, id := range ids {
		s.end(id)
		s.mu.Lock()
		if s.running.Err() == nil {
			s.begin(id, -1)
		}
		s.mu.Unlock()
	}
}

// leaveTimeout bounds how long a graceful stop waits for the group.
const leaveTimeout = 5 * time.Second

// leave closes every partition and gives the group's place back.
func (s *Shard) leave() error {
	s.turn.Lock()
	s.mu.Lock()
	ids := make([]Partition, 0, len(s.parts))
	for id := range s.parts {
		ids = append(ids, id)
	}
	member := s.member
	s.mu.Unlock()
	for _, id := range ids {
		s.end(id)
	}
	s.turn.Unlock()
	s.openers.Wait()
	if member == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), leaveTimeout)
	defer cancel()
	if err := member.Leave(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}
