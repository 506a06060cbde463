package workflow3

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/shard"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/topics"
)

// The bare loop's names are as long as the engine's.
const (
	bareType  = "bare3"
	bareQueue = "blank"
)

// bare is the loop without the engine.
type bare struct {
	side  *side
	group *errgroup.Group
	end   context.CancelFunc
}

func startBare(ctx context.Context, c kafka.Config, prefix string, partitions int32, s *script) (*bare, error) {
	names := topics.Names{Prefix: prefix}
	admin, err := kafka.NewAdmin(c)
	if err != nil {
		return nil, err
	}
	defer admin.Close()
	if err := admin.Provision(ctx, -1, append(names.Type(bareType, partitions), names.Queue(bareQueue, partitions)...)...); err != nil {
		return nil, err
	}
	running, end := context.WithCancel(ctx)
	group, running := errgroup.WithContext(running)
	b := &bare{group: group, end: end}
	counter := new(txnCounter)
	lane := &bareLane{config: c, names: names, script: s, txns: counter}
	group.Go(func() error { return lane.run(running) })
	group.Go(func() error { return runBareExecutor(running, c, names, s) })
	d, err := newDriver(ctx, c, names.Events(bareType), partitions, func(id events.UUID) (*kafka.Record, error) {
		key := []byte(id.String())
		value, headers := s.start.copy(key, seedOf(key))
		value[0] = 0 // the step that follows
		r := kafka.NewRecord(names.Commands(bareType), key, value)
		r.Headers = headers
		return r, nil
	})
	if err != nil {
		return nil, errors.Join(err, b.stop())
	}
	b.side = &side{name: "bare", driver: d, txns: counter, topics: []string{
		names.Commands(bareType), names.Events(bareType), names.State(bareType), names.Tasks(bareQueue),
	}}
	return b, nil
}

func (b *bare) stop() error {
	b.end()
	err := b.group.Wait()
	if b.side != nil {
		b.side.driver.close()
	}
	return err
}

// bareLane does what a router's lane does, in the same order, and knows
// nothing: the first byte of a command says which step's records to write.
type bareLane struct {
	config    kafka.Config
	names     topics.Names
	script    *script
	txns      *txnCounter
	producers [2]*kafka.Transactor
	turn      int
}

func (l *bareLane) run(ctx context.Context) error {
	for i := range l.producers {
		id := fmt.Sprintf("%sbare-%d", l.names.Prefix, i)
		p, err := kafka.NewTransactor(ctx, l.config, id, kafka.TransactorConfig{})
		if err != nil {
			return err
		}
		defer p.Close()
		l.producers[i] = p
	}
	return shard.New(shard.Config{
		Kafka: l.config, Topics: []string{l.names.Commands(bareType)},
		Group: shard.Group{Name: l.names.Prefix + "bare.router", InstanceID: "bare"},
	}, l).Run(ctx)
}

// Open goes on where the group is.
func (l *bareLane) Open(_ context.Context, _ shard.Partition, committed int64) (int64, error) {
	return max(committed, 0), nil
}

// Process writes what the script says, in one transaction.
func (l *bareLane) Process(ctx context.Context, b *shard.Batch) error {
	now := time.Now()
	next := make(map[kafka.TopicPartition]int64)
	records := make([]*kafka.Record, 0, 8*len(b.Records))
	for _, r := range b.Records {
		p := shard.Partition{Topic: r.Topic, Partition: r.Partition}
		next[p] = b.Open[p]
		records = l.step(records, r, now)
	}
	for p := range next {
		value, _ := l.script.checkpoint.copy(nil, uint64(next[p]))
		records = append(records, kafka.NewRecordAt(l.names.State(bareType), p.Partition, []byte(events.CheckpointKey), value))
	}
	fence := b.Fence
	fence.Next = next
	began := time.Now()
	if err := l.producers[l.turn].Commit(context.WithoutCancel(ctx), records, fence); err != nil {
		var failed *kafka.TransactionError
		if errors.As(err, &failed) && failed.Aborted && failed.Stale() {
			return errors.Join(shard.ErrRetry, err)
		}
		return err
	}
	l.turn = 1 - l.turn
	l.txns.committed(len(b.Records), time.Since(began))
	return nil
}

func (l *bareLane) step(records []*kafka.Record, r *kafka.Record, now time.Time) []*kafka.Record {
	number := r.Value[0]
	s := &l.script.steps[number]
	seed := seedOf(r.Key)
	for _, e := range s.events {
		value, headers := e.copy(r.Key, seed)
		made := kafka.NewRecordAt(l.names.Events(bareType), r.Partition, r.Key, value)
		made.Headers, made.Timestamp = headers, now
		records = append(records, made)
	}
	value, _ := s.state.copy(r.Key, seed)
	records = append(records, kafka.NewRecordAt(l.names.State(bareType), r.Partition, r.Key, value))
	if s.task == nil {
		return records
	}
	value, headers := s.task.copy(r.Key, seed)
	value[0] = number
	copy(value[1:], r.Key) // so that the executor knows whom to answer
	key := append([]byte{}, r.Key...)
	key[0] = 'g' + number // a task's id is not the instance's: it has a partition of its own
	task := kafka.NewRecord(l.names.Tasks(bareQueue), key, value)
	task.Headers = headers
	return append(records, task)
}

// NextWake is never.
func (l *bareLane) NextWake() time.Time { return time.Time{} }

// Close forgets nothing.
func (l *bareLane) Close(shard.Partition) {}

// bareExecutor answers every task at once.
type bareExecutor struct {
	names    topics.Names
	script   *script
	producer *kafka.Producer

	mu   sync.Mutex
	next map[kafka.TopicPartition]int64
	err  error
}

func runBareExecutor(ctx context.Context, c kafka.Config, names topics.Names, s *script) error {
	producer, err := kafka.NewProducer(c)
	if err != nil {
		return err
	}
	defer producer.Close()
	x := &bareExecutor{names: names, script: s, producer: producer, next: make(map[kafka.TopicPartition]int64)}
	sh := shard.New(shard.Config{
		Kafka: c, Topics: []string{names.Tasks(bareQueue)}, Group: shard.Group{Name: names.Prefix + "bare.executor"},
	}, x)
	group, running := errgroup.WithContext(ctx)
	group.Go(func() error { return sh.Run(running) })
	group.Go(func() error { return x.commit(running, sh) })
	return group.Wait()
}

// commit commits the group's offsets as often as an executor does.
func (x *bareExecutor) commit(ctx context.Context, sh *shard.Shard) error {
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		x.mu.Lock()
		next, err := x.next, x.err
		x.next = make(map[kafka.TopicPartition]int64)
		x.mu.Unlock()
		if err != nil {
			return err
		}
		if m := sh.Member(); m != nil && len(next) > 0 {
			if err := m.Commit(ctx, next); err != nil && ctx.Err() == nil {
				return err
			}
		}
	}
}

// Open goes on where the group is.
func (x *bareExecutor) Open(_ context.Context, _ shard.Partition, committed int64) (int64, error) {
	return max(committed, 0), nil
}

// Process sends a result for every task.
func (x *bareExecutor) Process(_ context.Context, b *shard.Batch) error {
	for _, r := range b.Records {
		number := r.Value[0]
		key := append([]byte{}, r.Value[1:37]...)
		value, headers := x.script.steps[number].result.copy(key, seedOf(key))
		value[0] = number + 1
		result := kafka.NewRecord(x.names.Commands(bareType), key, value)
		result.Headers = headers
		x.producer.Go(context.Background(), result, x.sent)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, r := range b.Records {
		x.next[kafka.TopicPartition{Topic: r.Topic, Partition: r.Partition}] = r.Offset + 1
	}
	return nil
}

func (x *bareExecutor) sent(err error) {
	if err == nil {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.err = err
}

// NextWake is never.
func (x *bareExecutor) NextWake() time.Time { return time.Time{} }

// Close forgets nothing.
func (x *bareExecutor) Close(shard.Partition) {}
