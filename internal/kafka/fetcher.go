package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TopicPartition names one partition.
type TopicPartition struct {
	Topic     string
	Partition int32
}

// String reads "topic/3".
func (p TopicPartition) String() string { return fmt.Sprintf("%s/%d", p.Topic, p.Partition) }

// ErrOffsetGone says that the log no longer has (or does not yet have) the
// offset that a worker wants to go on from. It is never skipped over.
var ErrOffsetGone = errors.New("offset is out of the log's range")

// Fetcher reads committed records of partitions from offsets that its user
// names. It has no group and commits nothing. Poll is for one goroutine; the
// other methods may be called from any.
//
// It reads ahead while its user works. The client alone would not: it asks the
// broker again only when its last answer was taken, so that what comes while a
// batch is processed would miss the next batch and wait for the one after.
type Fetcher struct {
	config Config
	client *kgo.Client
	life   context.Context //nolint:containedctx // of the goroutine that reads ahead
	end    context.CancelFunc
	ended  chan struct{}
	still  chan struct{} // its one token is held while records are fetched, and while partitions change
	came   chan struct{} // one token: records or errors came
	taken  chan struct{} // one token: there may be room again

	mu        sync.Mutex // guards what follows
	queue     []*Record
	bytes     int // of the values in queue
	errs      []error
	stale     []string           // topics that were deleted, of which the client keeps the old id
	renewed   map[string]bool    // the same, until Renewed is asked
	changing  int                // calls of Add and Remove that wait for still
	interrupt context.CancelFunc // of the fetch under way
}

// FetchWait is how long a fetch waits at the broker for records, and so how long
// it may take until a partition that was added or resumed is asked for.
const FetchWait = 500 * time.Millisecond

// bounds of what is read ahead.
const (
	aheadRecords = 4000
	aheadBytes   = 8 << 20
)

// NewFetcher makes a fetcher without partitions.
func NewFetcher(c Config) (*Fetcher, error) { return newFetcher(c) }

// NewPositionFetcher makes a fetcher that also returns control records (see
// [IsControl]): they mean nothing, but only with them does a reader know that it
// has come to the end of a log that ends in one.
func NewPositionFetcher(c Config) (*Fetcher, error) { return newFetcher(c, kgo.KeepControlRecords()) }

// NewPatientFetcher makes a fetcher for a topic on which small records come all the
// time: what comes within wait is fetched together.
func NewPatientFetcher(c Config, wait time.Duration) (*Fetcher, error) {
	return newFetcher(c, kgo.FetchMinBytes(64<<10), kgo.FetchMaxWait(wait))
}

// IsControl reports whether a record only ends a transaction.
func IsControl(r *Record) bool { return r.Attrs.IsControl() }

func newFetcher(c Config, extra ...kgo.Opt) (*Fetcher, error) {
	client, err := c.newClient(append([]kgo.Opt{
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{}),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		// A partition that is added while a fetch waits at the broker is asked for
		// only when that fetch returns: this is how long a handover may take longer.
		kgo.FetchMaxWait(FetchWait),
		kgo.FetchMaxBytes(16 << 20),
		kgo.FetchMaxPartitionBytes(1 << 20),
		kgo.MetadataMinAge(10 * time.Millisecond),
		fastRetry(),
	}, extra...)...)
	if err != nil {
		return nil, err
	}
	f := &Fetcher{
		config: c, client: client, ended: make(chan struct{}),
		still: make(chan struct{}, 1), came: make(chan struct{}, 1), taken: make(chan struct{}, 1),
	}
	f.life, f.end = context.WithCancel(context.Background())
	go f.readAhead()
	return f, nil
}

// Add begins to read p at offset.
func (f *Fetcher) Add(p TopicPartition, offset int64) {
	f.config.move()
	f.change(func() {
		f.Resume(p)
		f.client.AddConsumePartitions(map[string]map[int32]kgo.Offset{
			p.Topic: {p.Partition: kgo.NewOffset().At(offset)},
		})
	})
}

// Pause stops to read p until Resume or Add. What is read ahead of it still comes;
// what the client holds of it is dropped, and its position stays in front of
// that, so that Resume asks the broker for it again.
func (f *Fetcher) Pause(p TopicPartition) {
	f.client.PauseFetchPartitions(map[string][]int32{p.Topic: {p.Partition}})
}

// Resume goes on to read p where Pause stopped.
func (f *Fetcher) Resume(p TopicPartition) {
	f.client.ResumeFetchPartitions(map[string][]int32{p.Topic: {p.Partition}})
}

// Ready is what was fetched already, at most limit records.
func (f *Fetcher) Ready(limit int) ([]*Record, error) { return f.take(limit) }

// Remove stops to read p and drops what was fetched of it.
func (f *Fetcher) Remove(p TopicPartition) {
	f.change(func() {
		f.client.RemoveConsumePartitions(map[string][]int32{p.Topic: {p.Partition}})
		f.mu.Lock()
		defer f.mu.Unlock()
		f.queue = slices.DeleteFunc(f.queue, func(r *Record) bool {
			mine := r.Topic == p.Topic && r.Partition == p.Partition
			if mine {
				f.bytes -= len(r.Value)
			}
			return mine
		})
		tell(f.taken) // there may be room now
	})
}

// change runs do while no record is on its way from the client to the queue, so
// that none of an earlier time of a partition comes after it.
func (f *Fetcher) change(do func()) {
	f.mu.Lock()
	f.changing++
	if f.interrupt != nil {
		f.interrupt()
	}
	f.mu.Unlock()
	f.still <- struct{}{}
	f.mu.Lock()
	f.changing--
	f.mu.Unlock()
	do()
	<-f.still
}

// Poll waits for at least one record or the end of ctx, and returns at most
// limit records in partition order. A partition that cannot be read gives an
// error that names it; ErrOffsetGone among them.
func (f *Fetcher) Poll(ctx context.Context, limit int) ([]*Record, error) {
	for {
		if records, err := f.take(limit); len(records) > 0 || err != nil {
			return records, err
		}
		select {
		case <-f.came:
		case <-ctx.Done():
			return f.take(limit)
		case <-f.ended:
			return nil, nil
		}
	}
}

func (f *Fetcher) take(limit int) ([]*Record, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := min(limit, len(f.queue))
	records := f.queue[:n:n]
	if f.queue = f.queue[n:]; len(f.queue) == 0 {
		f.queue = nil // the records are the caller's now
	}
	for _, r := range records {
		f.bytes -= len(r.Value)
	}
	err := errors.Join(f.errs...)
	f.errs = nil
	if n > 0 || err != nil {
		tell(f.taken)
	}
	return records, err
}

// tell puts the one token into c, if it is not there.
func tell(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// readAhead fills the queue until Close.
func (f *Fetcher) readAhead() {
	defer close(f.ended)
	for f.awaitRoom() {
		f.still <- struct{}{}
		ctx, cancel := f.beginFetch()
		fetches := f.client.PollRecords(ctx, aheadRecords)
		cancel()
		unpackerOf(f.client).taken()
		f.push(fetches)
		f.purge()
		<-f.still
	}
}

// awaitRoom is false at the end. Errors wait to be seen: a partition that cannot
// be read gives one with every fetch.
func (f *Fetcher) awaitRoom() bool {
	for f.life.Err() == nil {
		f.mu.Lock()
		room := len(f.queue) < aheadRecords && f.bytes < aheadBytes && len(f.errs) == 0
		f.mu.Unlock()
		if room {
			return true
		}
		select {
		case <-f.taken:
		case <-f.life.Done():
		}
	}
	return false
}

func (f *Fetcher) beginFetch() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(f.life)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.interrupt = cancel
	if f.changing > 0 {
		cancel()
	}
	return ctx, cancel
}

func (f *Fetcher) push(fetches kgo.Fetches) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var skipped []*kgo.ErrDecompressTooLarge
	fetches.EachError(func(topic string, partition int32, err error) {
		var large *kgo.ErrDecompressTooLarge
		switch {
		case errors.As(err, &large):
			skipped = append(skipped, large)
		case errors.Is(err, errLater): // it comes with the next fetch
		case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, kgo.ErrClientClosed):
		case errors.Is(err, kerr.OffsetOutOfRange):
			f.errs = append(f.errs, fmt.Errorf("%s/%d: %w: %w", topic, partition, ErrOffsetGone, err))
		case errors.Is(err, kerr.UnknownTopicID):
			f.noteRenewed(topic)
			f.errs = append(f.errs, fmt.Errorf("%s/%d: the topic was deleted: %w: %w", topic, partition, ErrOffsetGone, err))
		default:
			f.errs = append(f.errs, fmt.Errorf("read %s/%d: %w", topic, partition, err))
		}
	})
	fetches.EachRecord(func(r *Record) {
		f.queue = append(f.queue, r)
		f.bytes += len(r.Value)
	})
	for _, large := range skipped { // behind what the same fetch read before it
		f.queue = append(f.queue, skip(f.client, large))
	}
	if len(f.queue) > 0 || len(f.errs) > 0 {
		tell(f.came)
	}
}

// purge lets the client forget topics that were deleted: it would go on to ask
// for the old ones when they are made again. Their partitions have to be added
// again.
func (f *Fetcher) purge() {
	f.mu.Lock()
	stale := f.stale
	f.stale = nil
	f.mu.Unlock()
	if len(stale) > 0 {
		f.client.PurgeTopicsFromConsuming(stale...)
	}
}

// Renewed lists the topics that were found to be deleted since it was asked
// last: whatever is there now under their names is another log.
func (f *Fetcher) Renewed() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := slices.Sorted(maps.Keys(f.renewed))
	f.renewed = nil
	return all
}

// noteRenewed keeps that a topic was deleted. f.mu is held.
func (f *Fetcher) noteRenewed(topic string) {
	if f.renewed == nil {
		f.renewed = make(map[string]bool)
	}
	f.renewed[topic] = true
	if !slices.Contains(f.stale, topic) {
		f.stale = append(f.stale, topic)
	}
}

// Close ends the fetcher. A Poll under way returns. It does not wait for a
// broker for longer than closeWithin.
func (f *Fetcher) Close() {
	f.end()
	closeWithin(func() {
		<-f.ended
		f.client.CloseAllowingRebalance()
	})
}
