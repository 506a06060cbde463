package bus

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/leat-io/leat/internal/kafka"
)

type handler func(context.Context, *kafka.Record) error

// subscription is one member of a group. Each partition that it owns has a
// goroutine and a queue of its own, so that one that fails holds up no other;
// offsets are committed after the handlers, and before a partition is revoked.
type subscription struct {
	bus          *EventBus
	topic, group string
	handle       handler
	logger       *slog.Logger // says topic and group
	fetcher      *kafka.Fetcher
	member       *kafka.Member
	ctx          context.Context //nolint:containedctx // ends with the subscription
	cancel       context.CancelFunc
	running      sync.WaitGroup // the loops, and the opening of partitions
	handled      chan struct{}  // a token: there may be offsets to commit
	made         chan struct{}  // closed when member is set
	finish       func()
	ended        chan struct{}

	committing sync.Mutex // held while offsets are collected and committed

	mu         sync.Mutex
	partitions map[int32]*partition
}

const (
	commitTimeout = 5 * time.Second
	leaveTimeout  = 10 * time.Second
	pollRecords   = 1000
)

func newSubscription(b *EventBus, topic, group string, handle handler) (*subscription, error) {
	fetcher, err := kafka.NewFetcher(b.config.Kafka)
	if err != nil {
		return nil, err
	}
	s := &subscription{
		bus: b, topic: topic, group: group, handle: handle, fetcher: fetcher,
		logger:  b.config.Logger.With(slog.String("topic", topic), slog.String("group", group)),
		handled: make(chan struct{}, 1), made: make(chan struct{}), ended: make(chan struct{}), partitions: make(map[int32]*partition),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.finish = sync.OnceFunc(func() { go s.leave() })
	s.member, err = kafka.NewMember(b.config.Kafka, kafka.MemberConfig{
		Group: group, Topics: []string{topic}, Assigned: s.assigned, Revoked: s.revoked, Lost: s.lost,
	})
	if err != nil {
		s.cancel()
		fetcher.Close()
		return nil, err
	}
	close(s.made)
	s.running.Go(s.poll)
	s.running.Go(s.commitLoop)
	return s, nil
}

// end is what unsubscribing means.
func (s *subscription) end(ctx context.Context) error {
	s.finish()
	select {
	case <-s.ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *subscription) leave() {
	defer close(s.ended)
	defer s.bus.forget(s)
	s.cancel()
	s.mu.Lock()
	var all []kafka.TopicPartition
	for p := range s.partitions {
		all = append(all, kafka.TopicPartition{Topic: s.topic, Partition: p})
	}
	s.mu.Unlock()
	s.revoked(all)
	ctx, cancel := context.WithTimeout(context.Background(), leaveTimeout)
	defer cancel()
	if err := s.member.Leave(ctx); err != nil {
		s.logger.LogAttrs(ctx, slog.LevelWarn, "cannot leave the group, its session times out", slog.Any("error", err))
	}
	s.running.Wait()
	s.fetcher.Close()
}

// assigned takes partitions over: each goes on at the group's offset, or begins
// at its oldest record. It is called by the member's goroutine.
func (s *subscription) assigned(offsets map[kafka.TopicPartition]int64) {
	<-s.made
	if s.ctx.Err() != nil {
		return
	}
	s.mu.Lock()
	opened := make(map[*partition]int64)
	for tp, offset := range offsets {
		if s.partitions[tp.Partition] == nil {
			p := newPartition(s, tp)
			s.partitions[tp.Partition] = p
			opened[p] = offset
		}
	}
	s.mu.Unlock()
	s.running.Go(func() { s.open(opened) })
}

// open begins to fetch, all partitions at once.
func (s *subscription) open(opened map[*partition]int64) {
	var oldest map[kafka.TopicPartition]kafka.Range
	for _, offset := range opened {
		if offset >= 0 || oldest != nil {
			continue
		}
		var err error
		for oldest, err = s.bus.reader.Ranges(s.ctx, s.topic); err != nil; oldest, err = s.bus.reader.Ranges(s.ctx, s.topic) {
			if s.ctx.Err() != nil {
				return
			}
			s.logger.LogAttrs(s.ctx, slog.LevelWarn, "cannot find where the topic begins, trying again", slog.Any("error", err))
			kafka.Pause(s.ctx, longest)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	next := make(map[kafka.TopicPartition]int64)
	for p, offset := range opened {
		if s.partitions[p.at.Partition] != p {
			continue // revoked meanwhile
		}
		if offset < 0 {
			offset = oldest[p.at].Start
		}
		p.next = offset
		next[p.at] = offset
	}
	if len(next) > 0 {
		s.fetcher.AddAll(next)
	}
}

// revoked gives partitions up once their handlers have returned and what they
// did is committed. It is called by the member's goroutine.
func (s *subscription) revoked(list []kafka.TopicPartition) {
	if gone := s.stop(list); len(gone) > 0 {
		s.commit(gone)
	}
}

// lost drops partitions that may be another member's already.
func (s *subscription) lost(list []kafka.TopicPartition) { s.stop(list) }

func (s *subscription) stop(list []kafka.TopicPartition) (gone []*partition) {
	s.mu.Lock()
	for _, tp := range list {
		if p := s.partitions[tp.Partition]; p != nil {
			p.cancel()
			s.fetcher.Remove(tp)
			delete(s.partitions, tp.Partition)
			gone = append(gone, p)
		}
	}
	s.mu.Unlock()
	for _, p := range gone {
		<-p.ended
	}
	return gone
}

// commit writes how far partitions have come. Nil means all that are owned.
func (s *subscription) commit(list []*partition) bool {
	// One at a time, or an older commit could overwrite that of the next owner.
	s.committing.Lock()
	defer s.committing.Unlock()
	s.mu.Lock()
	if list == nil {
		for _, p := range s.partitions {
			list = append(list, p)
		}
	}
	offsets, at := make(map[kafka.TopicPartition]int64), make(map[*partition]int64)
	for _, p := range list {
		if p.done > p.committed {
			offsets[p.at], at[p] = p.done, p.done
		}
	}
	s.mu.Unlock()
	if len(offsets) == 0 {
		return true
	}
	ctx, cancel := context.WithTimeout(context.Background(), commitTimeout)
	defer cancel()
	if err := s.member.Commit(ctx, offsets); err != nil {
		s.logger.LogAttrs(ctx, slog.LevelWarn, "cannot commit offsets, messages may come again", slog.Any("error", err))
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for p, offset := range at {
		p.committed = offset
	}
	return true
}

// commitLoop commits behind the handlers, as often as the broker lets it.
func (s *subscription) commitLoop() {
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-s.handled:
		}
		if !s.commit(nil) {
			kafka.Pause(s.ctx, longest)
			s.tellHandled()
		}
	}
}

func (s *subscription) tellHandled() {
	select {
	case s.handled <- struct{}{}:
	default:
	}
}

// poll hands what is fetched to the partitions.
func (s *subscription) poll() {
	for s.ctx.Err() == nil {
		records, err := s.fetcher.Poll(s.ctx, pollRecords)
		if err != nil && s.ctx.Err() == nil {
			s.logger.LogAttrs(s.ctx, slog.LevelError, "cannot read, trying again", slog.Any("error", err))
			kafka.Pause(s.ctx, 100*time.Millisecond)
		}
		s.mu.Lock()
		for _, r := range records {
			if p := s.partitions[r.Partition]; p != nil {
				p.add(r)
			}
		}
		s.mu.Unlock()
	}
}
