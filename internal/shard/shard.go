package shard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/leat-io/leat/internal/kafka"
)

// Config says which partitions a shard serves, and how.
type Config struct {
	Kafka  kafka.Config
	Topics []string // more can be added while it runs
	// Group shares the partitions of Topics among its members. The zero Group
	// means none: the shard owns every partition of Topics.
	Group Group
	// MaxRecords bounds a batch; default 2000.
	MaxRecords int
	// Room, when set, is called before every poll and returns when the worker can
	// take MaxRecords more, or when ctx ends. Partitions can be closed meanwhile,
	// which they cannot while Process waits.
	Room func(ctx context.Context)
	// Renewed, when it is set, is notified of a topic that was deleted, before its
	// partitions are opened again.
	Renewed func(topic string)
	// Clock is compared with the worker's NextWake; default time.Now.
	Clock   func() time.Time
	Logger  *slog.Logger // default: none
	Metrics Metrics
}

// Group is a place in a consumer group.
type Group struct {
	Name           string
	InstanceID     string        // static membership; "" for a dynamic member
	SessionTimeout time.Duration // default 6 s
}

// Metrics observes a shard. Nil funcs are skipped.
type Metrics struct {
	Opened     func(p Partition, took time.Duration) // a partition began to be served
	Closed     func(p Partition)
	Processed  func(records int, took time.Duration)
	Retried    func(reopened bool) // a batch was not processed
	OffsetGone func(p Partition)   // the log lacks the offset to go on from: an alarm
}

// backoff bounds of what is tried again: opening a partition, processing a batch.
const (
	firstBackoff = 20 * time.Millisecond
	lastBackoff  = 2 * time.Second
)

// Shard serves partitions through a [Worker]. Run may be called once.
type Shard struct {
	config  Config
	worker  Worker
	fetcher *kafka.Fetcher
	member  *kafka.Member // nil without a group

	// turn is held while the worker processes a batch or partitions are closed,
	// so that a revocation waits for the batch under way and nothing else.
	turn    lock
	queue   queue                   // records that were read, or have to be tried again
	pace    pace                    // how fast they are processed
	renewed map[string]bool         // topics that were deleted, and are not subscribed to anew; guarded by mu
	blocked map[Partition]time.Time // partitions whose records wait, and until when
	resting map[Partition]time.Time // partitions that let others go first, and until when
	most    int                     // how many records one batch may have
	reading reading                 // why nothing is read
	held    kafka.Held

	mu        sync.Mutex // guards what follows
	topics    map[string]bool
	parts     map[Partition]*part
	ending    map[Partition]<-chan struct{} // closed when no opener of an earlier time runs
	opened    []*part                       // opened, and waiting for the run loop to begin reading
	interrupt context.CancelFunc
	woken     bool            // Wake was called since the last poll began
	running   context.Context //nolint:containedctx // the life of Run, for what its callbacks start

	openers sync.WaitGroup
}

// lock is a mutex that is held over waiting for a broker. It is a channel so
// that testing/synctest counts those who wait for it as waiting: for a
// sync.Mutex it does not, and time would stand still.
type lock chan struct{}

func (l lock) Lock()   { l <- struct{}{} }
func (l lock) Unlock() { <-l }

// part is one assigned partition.
type part struct {
	id        Partition
	committed int64
	next      int64              // next offset to read, once serving
	serving   bool               // opened, and its records are wanted
	ready     bool               // the opener has ended
	ended     bool               // revoked
	cancel    context.CancelFunc // makes the opener end
	idle      chan struct{}      // closed when no opener runs for it
}

// New makes a shard for worker.
func New(c Config, worker Worker) *Shard {
	if c.MaxRecords == 0 {
		c.MaxRecords = 2000
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Shard{
		config: c, worker: worker, turn: make(lock, 1), most: c.MaxRecords, blocked: make(map[Partition]time.Time),
		resting: make(map[Partition]time.Time),
		topics:  make(map[string]bool), parts: make(map[Partition]*part), ending: make(map[Partition]<-chan struct{}),
	}
	for _, t := range c.Topics {
		s.topics[t] = true
	}
	return s
}

// Run serves until ctx ends, then gives everything up in order: the batch under
// way is finished, partitions are closed, the group is left. It returns nil, or
// what ended it: the error of Process, or ErrReplaced.
func (s *Shard) Run(ctx context.Context) error {
	running, cancel := context.WithCancelCause(ctx)
	stop := func() { cancel(nil) }
	defer stop()
	fetcher, err := kafka.NewPositionFetcher(s.config.Kafka)
	if err != nil {
		return err
	}
	s.fetcher = fetcher
	defer fetcher.Close()

	if err := s.join(running, cancel); err != nil {
		return err
	}
	var watching sync.WaitGroup
	defer watching.Wait()
	defer stop()
	watching.Go(func() { s.held.Watch(running, s.config.Kafka, s.servedTopics) })
	err = s.loop(running)
	stop()
	if cause := context.Cause(running); errors.Is(cause, ErrReplaced) {
		err = errors.Join(err, fmt.Errorf("%w: %q in group %s", ErrReplaced, s.config.Group.InstanceID, s.config.Group.Name))
	}
	return errors.Join(err, s.leave())
}

// AddTopics serves more topics. Known ones are ignored; on an error none of the
// topics is known, and the call may be made again.
func (s *Shard) AddTopics(topics ...string) error {
	s.mu.Lock()
	var added []string
	for _, t := range topics {
		if !s.topics[t] {
			s.topics[t] = true
			added = append(added, t)
		}
	}
	running := s.running != nil
	member := s.member
	s.mu.Unlock()
	if !running || len(added) == 0 {
		return nil
	}
	if member != nil {
		member.AddTopics(added...)
		return nil
	}
	err := s.assignAll(added)
	if err != nil {
		s.mu.Lock()
		for _, t := range added {
			delete(s.topics, t)
		}
		s.mu.Unlock()
	}
	return err
}

// Member is the shard's place in its group, nil without one or before Run.
func (s *Shard) Member() *kafka.Member {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.member
}

// Wake makes the run loop read the worker's NextWake again.
func (s *Shard) Wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.woken = true
	if s.interrupt != nil {
		s.interrupt()
	}
}

// Serving counts the partitions that are assigned and those of them that are open.
func (s *Shard) Serving() (assigned, open int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.parts {
		if p.serving {
			open++
		}
	}
	return len(s.parts), open
}

// join gets partitions: from the group, or all of them. A topic that is added
// meanwhile is either among those that are joined with, or added to the member.
func (s *Shard) join(running context.Context, replaced context.CancelCauseFunc) error {
	s.mu.Lock()
	s.running = running
	topics := slices.Collect(maps.Keys(s.topics))
	if s.config.Group.Name == "" {
		s.mu.Unlock()
		return s.assignAll(topics)
	}
	defer s.mu.Unlock()
	member, err := kafka.NewMember(s.config.Kafka, kafka.MemberConfig{
		Group: s.config.Group.Name, InstanceID: s.config.Group.InstanceID, Topics: topics,
		SessionTimeout: s.config.Group.SessionTimeout,
		Assigned:       s.assign, Revoked: s.revoke, Lost: s.revoke, Renewed: s.renew, Replaced: func() { replaced(ErrReplaced) },
	})
	s.member = member
	return err
}

func (s *Shard) assignAll(topics []string) error {
	if len(topics) == 0 {
		return nil
	}
	admin, err := kafka.NewAdmin(s.config.Kafka)
	if err != nil {
		return err
	}
	defer admin.Close()
	all := make(map[Partition]int64)
	for _, topic := range topics {
		n, err := admin.Partitions(s.running, topic)
		if err != nil {
			return err
		}
		if n == 0 {
			return fmt.Errorf("topic %q does not exist", topic)
		}
		for i := range n {
			all[Partition{Topic: topic, Partition: i}] = -1
		}
	}
	s.assign(all)
	return nil
}
