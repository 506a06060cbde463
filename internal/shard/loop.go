package shard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/leat-io/leat/internal/kafka"
)

// loop polls and processes until ctx ends.
func (s *Shard) loop(ctx context.Context) error {
	wait := firstBackoff
	for ctx.Err() == nil {
		s.settle(ctx)
		s.serveOpened()
		records := s.poll(ctx)
		err := s.process(ctx, records)
		switch {
		case err == nil:
			wait = firstBackoff
		case ctx.Err() != nil: // the end
		case errors.Is(err, ErrRetry), errors.Is(err, ErrReopen):
			reopen := errors.Is(err, ErrReopen)
			s.config.Logger.LogAttrs(ctx, slog.LevelWarn, "batch was not processed, trying again",
				slog.Bool("reopen", reopen), slog.Any("error", err))
			if s.config.Metrics.Retried != nil {
				s.config.Metrics.Retried(reopen)
			}
			kafka.Pause(ctx, wait)
			wait = min(2*wait, lastBackoff)
		default:
			return err
		}
	}
	return nil
}

// poll waits for records, for a partition that was opened, or for NextWake.
// Records that wait already come first, a few of each partition in turn.
func (s *Shard) poll(ctx context.Context) []*kafka.Record {
	s.turn.Lock()
	blocked := s.isBlocked()
	var err error
	if s.config.Room == nil {
		if s.queue.n > 0 {
			err = s.pull(func() ([]*kafka.Record, error) { return s.fetcher.Ready(s.config.MaxRecords) })
		}
		s.share(blocked) // also when nothing waits: what was paused has to go on
	}
	batch := s.queue.take(s.most, s.waits(blocked))
	wake := s.worker.NextWake()
	for _, waiting := range []map[Partition]time.Time{s.blocked, s.resting} {
		for _, until := range waiting {
			if wake.IsZero() || until.Before(wake) {
				wake = until
			}
		}
	}
	s.turn.Unlock()
	if err != nil {
		s.readFailed(ctx, err)
	}
	if len(batch) > 0 {
		return batch
	}
	records := s.await(ctx, wake)
	s.turn.Lock()
	defer s.turn.Unlock()
	s.queue.add(s.wanted(records))
	return s.queue.take(s.most, s.waits(blocked))
}

// isBlocked names the partitions that wait now. The turn is held.
func (s *Shard) isBlocked() func(Partition) bool {
	now := s.config.Clock()
	for p, until := range s.blocked {
		if !now.Before(until) {
			delete(s.blocked, p)
		}
	}
	return func(p Partition) bool { _, ok := s.blocked[p]; return ok }
}

// waits names the partitions of which nothing is taken now: those that are
// blocked, and those that rest, unless another waits behind the one for whose
// sake they do. The turn is held.
func (s *Shard) waits(blocked func(Partition) bool) func(Partition) bool {
	now := s.config.Clock()
	for p, until := range s.resting {
		if !now.Before(until) {
			delete(s.resting, p)
		}
	}
	return func(p Partition) bool {
		_, rests := s.resting[p]
		return blocked(p) || rests && s.queue.oneKey(p)
	}
}

// await reads until something comes.
func (s *Shard) await(ctx context.Context, wake time.Time) []*kafka.Record {
	if s.config.Room != nil {
		s.config.Room(ctx)
	}
	left := s.untilWake(wake)
	polling, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	s.mu.Lock()
	s.interrupt = cancel
	waiting := len(s.opened) > 0 || s.woken // what came after NextWake was asked must not wait for records
	s.woken = false
	s.mu.Unlock()
	if waiting {
		return nil
	}
	records, err := s.fetcher.Poll(polling, s.config.MaxRecords)
	if err != nil {
		s.readFailed(ctx, err)
	}
	return records
}

// longestPoll bounds a poll that no timer bounds.
const longestPoll = time.Hour

func (s *Shard) untilWake(wake time.Time) time.Duration {
	if wake.IsZero() {
		return longestPoll
	}
	return min(max(0, wake.Sub(s.config.Clock())), longestPoll)
}

// readFailed reports what could not be read. A partition whose offset is gone
// is opened again, which decides anew where to go on; no offset is skipped.
func (s *Shard) readFailed(ctx context.Context, err error) {
	s.config.Logger.LogAttrs(ctx, slog.LevelError, "cannot read", slog.Any("error", err))
	s.reading.failed(s.config.Clock(), err)
	if errors.Is(err, kafka.ErrOffsetGone) {
		for _, topic := range s.fetcher.Renewed() {
			if s.config.Renewed != nil {
				s.config.Renewed(topic)
			}
			s.noteRenewed(topic)
		}
		s.turn.Lock()
		s.reopenAll()
		s.turn.Unlock()
	}
	kafka.Pause(ctx, firstBackoff)
}

// process gives the worker its batch, under the turn.
func (s *Shard) process(ctx context.Context, records []*kafka.Record) error {
	s.turn.Lock()
	defer s.turn.Unlock()
	if len(records) == 0 && !s.due() {
		return nil
	}
	batch, owned := s.batch(records)
	if !owned {
		s.again(records)
		return fmt.Errorf("not a member of group %s now: %w", s.config.Group.Name, ErrRetry)
	}
	began := time.Now()
	err := s.worker.Process(ctx, batch)
	switch {
	case err == nil:
		s.pace.processed(s.rest(records, batch), time.Since(began))
		s.advance(batch)
		s.most = min(2*s.most, s.config.MaxRecords)
		if s.config.Metrics.Processed != nil {
			s.config.Metrics.Processed(len(batch.Records), time.Since(began))
		}
	case errors.Is(err, ErrReopen):
		s.reopenAll()
	case errors.Is(err, ErrRetry):
		s.again(records)
		// Half of it next time: a batch that is too much for the time there is
		// would otherwise be tried for ever.
		s.most = max(1, len(records)/2)
	}
	return err
}

// again puts records in front of those that wait, also those that only move the
// position. The turn is held.
func (s *Shard) again(records []*kafka.Record) { s.queue.putBack(s.wanted(records)) }

// wanted leaves those records out whose partitions were revoked since they were
// read: in another life of the partition, which may begin before them, they
// would be taken for what comes next.
func (s *Shard) wanted(records []*kafka.Record) []*kafka.Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(records), func(r *kafka.Record) bool {
		p := s.parts[idOf(r)]
		return p == nil || !p.serving
	})
}

// rest puts back what the worker left of a batch, and counts what it took. The
// turn is held.
func (s *Shard) rest(records []*kafka.Record, b *Batch) (taken int) {
	had := make(map[Partition]bool)
	left := slices.DeleteFunc(slices.Clone(records), func(r *kafka.Record) bool {
		next, open := b.Open[idOf(r)]
		done := !open || r.Offset < next
		had[idOf(r)] = had[idOf(r)] || done
		return done
	})
	s.again(left)
	s.queue.served(func(p Partition) bool { return had[p] })
	maps.Copy(s.blocked, b.Blocked)
	maps.Copy(s.resting, b.Rest)
	return len(records) - len(left)
}

func (s *Shard) due() bool {
	wake := s.worker.NextWake()
	return !wake.IsZero() && !wake.After(s.config.Clock())
}

// batch keeps the records of partitions that are being served, and says under
// which membership they are owned; owned is false when there is none now.
func (s *Shard) batch(records []*kafka.Record) (b *Batch, owned bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b = &Batch{Records: records[:0:0], Open: make(map[Partition]int64)}
	for id, p := range s.parts {
		if p.serving {
			b.Open[id] = p.next
		}
	}
	for _, r := range records {
		id := Partition{Topic: r.Topic, Partition: r.Partition}
		if next, serving := b.Open[id]; serving && r.Offset >= next {
			b.Open[id] = r.Offset + 1
			if !kafka.IsControl(r) {
				b.Records = append(b.Records, r)
			}
		}
	}
	if s.member == nil || len(b.Open) == 0 {
		return b, true
	}
	b.Fence = kafka.Fence{Group: s.config.Group.Name, InstanceID: s.config.Group.InstanceID}
	b.Fence.MemberID, b.Fence.Generation, owned = s.member.Generation()
	return b, owned
}

func (s *Shard) advance(b *Batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, next := range b.Open {
		if p := s.parts[id]; p != nil && p.serving {
			p.next = next
		}
	}
}
