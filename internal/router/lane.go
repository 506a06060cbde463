package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/registry"
	"github.com/leat-io/leat/internal/shard"
)

// lane is the commit loop: one transaction at a time over every partition that
// the worker owns, on two transactional producers in turn. Right after a commit
// the coordinator still writes that producer's markers, and its next produce
// would wait for the broker's own retry (20 ms); the other producer's does not.
//
// The order of a turn, which is what "exactly once" rests on:
//
//  1. decide the batch into an overlay on the book;
//  2. produce events, snapshots, tasks and checkpoints, and wait for each ack;
//  3. commit the input offsets under the member's generation (the fence);
//  4. end the transaction;
//  5. only then write the overlay into the book.
//
// Whatever fails before 4 is aborted and the overlay dropped. When the outcome
// of 4 is unknown, both producers are replaced, which ends whatever they left
// open, and the log is read again: it knows.
type lane struct {
	config   Config
	registry *registry.Registry
	book     *book
	cache    *cache
	trees    trees
	agenda   *agenda
	missing  missing
	gone     map[string]int  // how often in a row a topic was reported missing, though it exists
	renewed  map[string]bool // topics that were made again while it ran; guarded by mu
	admin    *kafka.Admin    // nil in tests without a broker
	refusals refusals
	progress progress

	producers [2]*kafka.Transactor // nil: to be made before the next transaction
	turn      int                  // which of them is next
	used      time.Time            // when one of them was made or has committed last
	outcomes  kafka.Outcomes       // of what they did

	mu    sync.Mutex
	timer map[shard.Partition]time.Time // earliest due timer of each open partition
	// behind is where the commands of a partition ended when it was opened. Its
	// timers wait until those are decided: among them may be the heartbeat, the
	// result or the signal that came in time, while no router was there to see it.
	behind map[shard.Partition]int64
	lost   map[shard.Partition]bool  // partitions whose state topic does not have what the book has
	ends   map[shard.Partition]int64 // where the events of each open partition ended

	rests    rests             // of large instances
	held     map[dueTimer]bool // timers that cannot be decided now; of the run loop
	deployed atomic.Bool       // definitions have come in since held was checked
}

func newLane(c Config, r *registry.Registry, specs *registry.Schedules, b *book) *lane {
	return &lane{config: c, registry: r, book: b, agenda: newAgenda(b, specs), cache: newCache(cacheSize), trees: newTrees(b), timer: make(map[shard.Partition]time.Time), behind: make(map[shard.Partition]int64), held: make(map[dueTimer]bool), rests: newRests(), ends: make(map[shard.Partition]int64)}
}

const (
	cacheSize = 8192 // instances in one generation of the cache
	// commitTimeout bounds one transaction, so that a revocation never waits
	// longer than the group allows (the rebalance timeout is 10 s).
	commitTimeout = 8 * time.Second
	// longestUnused is how long producers are kept that commit nothing. A broker
	// forgets a transactional id that was not used for a week, unless configured
	// (transactional.id.expiration.ms), and refuses the next transaction; of the two,
	// the one whose turn it is was used before the other.
	longestUnused = 3 * 24 * time.Hour
)

// What one transaction decides: the rest of a batch is for the next, so that
// no command waits long for others. One decision is always made.
const (
	decideFor   = 50 * time.Millisecond
	decideBytes = 4 << 20
	// instanceFor is how much of that one instance may take, beyond one decision:
	// what else there is for it, and behind that in its partition, is for the next.
	instanceFor = 5 * time.Millisecond
)

// Process decides as much of a batch as there is time for, and commits what
// follows.
func (l *lane) Process(ctx context.Context, b *shard.Batch) (err error) {
	l.progress.begin(l.config.Clock())
	defer func() { l.progress.end(err) }()
	if err := l.rewriteLost(ctx, b); err != nil {
		return err
	}
	whole := maps.Clone(b.Open)
	t, err := l.decideAll(ctx, b, false)
	if errors.Is(err, errUnwritten) {
		b.Open = whole // what the first try left is decided anew, too
		t, err = l.decideAll(ctx, b, true)
	}
	if err != nil {
		return errors.Join(shard.ErrRetry, err)
	}
	if len(t.touched) == 0 {
		t.settleSchedules()
		return nil
	}
	return l.commit(ctx, t)
}

// decideAll decides a batch, and all that has come besides. Nothing of it counts
// before it is committed, so that a batch can be decided again: carefully, when
// one snapshot of it cannot be written.
func (l *lane) decideAll(ctx context.Context, b *shard.Batch, careful bool) (*transaction, error) {
	t := l.begin(b)
	t.careful = careful
	if err := t.decideRecords(ctx); err != nil {
		return nil, err
	}
	if err := l.fireDue(ctx, t); err != nil {
		return nil, err
	}
	if err := t.schedules(ctx); err != nil {
		return nil, err
	}
	if len(t.touched) == 0 {
		return t, nil
	}
	return t, t.finish()
}

// decideRecords decides commands until the transaction is full. What is left of
// a partition begins at its offset in Open.
func (t *transaction) decideRecords(ctx context.Context) error {
	left := make(map[shard.Partition]bool)
	tired := make(map[shard.Partition]bool)
	for _, r := range t.batch.Records {
		p := shard.Partition{Topic: r.Topic, Partition: r.Partition}
		if left[p] {
			continue
		}
		until := t.blocked(p)
		if !until.IsZero() || t.full() || tired[p] {
			left[p] = true
			t.batch.Open[p] = r.Offset
			continue
		}
		began := time.Now()
		if err := t.command(ctx, r); err != nil {
			return fmt.Errorf("decide %s/%d@%d: %w", r.Topic, r.Partition, r.Offset, err)
		}
		t.decided++
		tired[p] = t.spent(p, time.Since(began))
	}
	return nil
}

// spent counts what the last decision took for its instance. It reports whether
// that instance has had its share of the transaction.
func (t *transaction) spent(p shard.Partition, took time.Duration) bool {
	if t.last == nil {
		return false
	}
	t.last.spent += took
	tired := t.last.spent > t.lane.share(t, p)
	t.last = nil
	return tired
}

// full says that what else there is to decide is for the next transaction.
func (t *transaction) full() bool {
	for ; t.counted < len(t.records); t.counted++ {
		t.bytes += recordSize(t.records[t.counted])
	}
	return t.decided > 0 && (t.bytes > decideBytes || time.Since(t.began) > decideFor)
}

// blocked says until when nothing of p can be decided, and has the shard wait.
func (t *transaction) blocked(p shard.Partition) time.Time {
	until := t.lane.blocked(p, t.now)
	if !until.IsZero() {
		if t.batch.Blocked == nil {
			t.batch.Blocked = make(map[shard.Partition]time.Time)
		}
		t.batch.Blocked[p] = until
	}
	return until
}

func (l *lane) commit(ctx context.Context, t *transaction) error {
	// A stop lets the transaction under way end, and waits for it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	producer, err := l.producer(ctx)
	if err != nil {
		return errors.Join(shard.ErrRetry, err)
	}
	began := time.Now()
	if err := producer.Commit(ctx, t.records, t.fence()); err != nil {
		return l.failed(ctx, t, err)
	}
	clear(l.gone)
	l.config.Metrics.committed(t.commands, t.timers, len(t.records), time.Since(began))
	l.turn, l.used = 1-l.turn, l.config.Clock()

	batch := l.book.db.NewBatch()
	defer batch.Close()
	for p := range t.touched {
		if lost, err := lostBehind(t, p); err != nil {
			return errors.Join(shard.ErrReopen, err)
		} else if lost {
			l.markLost(p)
		}
	}
	t.apply(batch)
	if err := batch.Commit(); err != nil {
		// The log has it: opening the partitions again brings the book up to date.
		l.forgetCached()
		return errors.Join(shard.ErrReopen, err)
	}
	t.settleSchedules()
	l.holdUndecided(t)
	l.rest(t)
	return l.noteTimers(t)
}

// failed decides what a failed transaction means for the next.
func (l *lane) failed(ctx context.Context, t *transaction, err error) error {
	var failed *kafka.TransactionError
	if !errors.As(err, &failed) {
		return err
	}
	l.config.Metrics.aborted(failed.Stale())
	if failed.Aborted && failed.Stale() {
		return errors.Join(shard.ErrRetry, err) // the producers are fine, the group moved on
	}
	l.closeProducers()
	// The time for the transaction may be over: this has its own.
	l.learn(context.WithoutCancel(ctx), t, failed)
	if failed.Aborted {
		return errors.Join(shard.ErrRetry, err)
	}
	// Taking the ids over again settles the outcome before the log is read.
	l.takeOver(ctx)
	l.forgetCached()
	return errors.Join(shard.ErrReopen, err)
}

// producer is the one whose turn it is. Both are made together, and so fence
// whatever an earlier run of this slot left behind.
func (l *lane) producer(ctx context.Context) (*kafka.Transactor, error) {
	if l.config.Clock().Sub(l.used) > longestUnused {
		l.closeProducers()
	}
	for i := range l.producers {
		if l.producers[i] != nil {
			continue
		}
		p, err := kafka.NewTransactor(ctx, l.config.Kafka, l.transactionalID(i), kafka.TransactorConfig{Outcomes: &l.outcomes})
		if err != nil {
			return nil, err
		}
		l.producers[i], l.used = p, l.config.Clock()
	}
	return l.producers[l.turn], nil
}

func (l *lane) transactionalID(i int) string {
	return fmt.Sprintf("%sleat-router-%s-%d", l.config.Names.Prefix, l.config.Slot, i)
}

// takeOver ends whatever the slot has open, by itself or by an earlier run, so
// that no reader of the log has to wait until the broker aborts it. What
// fails now is done before the next transaction.
func (l *lane) takeOver(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	if _, err := l.producer(ctx); err != nil {
		l.config.Logger.LogAttrs(ctx, slog.LevelWarn, "cannot take the producers over yet", slog.Any("error", err))
	}
}

func (l *lane) closeProducers() {
	for i, p := range l.producers {
		if p != nil {
			p.Close()
		}
		l.producers[i] = nil
	}
}

// NextWake is when the earliest timer is due.
func (l *lane) NextWake() time.Time {
	if len(l.held) > 0 && l.deployed.Load() {
		return l.config.Clock() // what was held may be decidable now
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	next := l.rests.wake()
	for p, due := range l.timer {
		if _, behind := l.behind[p]; behind {
			continue
		}
		if until := l.blocked(p, l.config.Clock()); !until.IsZero() {
			next = earlier(next, until)
			continue
		}
		if l.lost[p] {
			return l.config.Clock()
		}
		wake, stale := l.agenda.wake(p)
		if workflowType, _ := l.config.Names.TypeOfCommands(p.Topic); stale && l.registry.Partitions(workflowType) > 0 {
			return l.config.Clock() // what the topic says is to be taken in
		}
		next = earlier(next, earlier(due, wake))
	}
	return next
}

// Close forgets the timers of a partition that was revoked. Its snapshots stay
// in the book: they are right up to the position that is kept with them.
func (l *lane) Close(p shard.Partition) {
	l.mu.Lock()
	delete(l.timer, p)
	delete(l.behind, p)
	delete(l.ends, p)
	l.rests.forget(p)
	l.mu.Unlock()
	for due := range l.held {
		if due.partition == p {
			delete(l.held, due)
		}
	}
	l.agenda.forget(p)
	l.forgetCached()
}

// forgetCached drops what is kept of the book in memory.
func (l *lane) forgetCached() {
	l.cache.clear()
	l.trees.clear()
}

// isBehind says whether commands that were there when p was opened are not
// decided yet.
func (l *lane) isBehind(p shard.Partition) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, behind := l.behind[p]
	return behind
}
