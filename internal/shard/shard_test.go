package shard_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/shard"
)

const (
	topic      = "numbers"
	partitions = 4
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// journal is a worker that writes down what happens to it. Its truth is in
// memory, where a real worker's is in the log.
type journal struct {
	mu      sync.Mutex
	applied map[shard.Partition][]int64 // offsets, shared by all workers of a test
	open    map[shard.Partition]bool
	changed *sync.Cond
	fail    func(*shard.Batch) error
	wake    time.Time
}

func newJournal() *journal {
	j := &journal{applied: make(map[shard.Partition][]int64), open: make(map[shard.Partition]bool)}
	j.changed = sync.NewCond(&j.mu)
	return j
}

func (j *journal) Open(_ context.Context, p shard.Partition, _ int64) (int64, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.open[p] {
		panic(fmt.Sprintf("%s opened twice", p))
	}
	j.open[p] = true
	j.changed.Broadcast()
	if done := j.applied[p]; len(done) > 0 {
		return done[len(done)-1] + 1, nil
	}
	return 0, nil
}

func (j *journal) Process(_ context.Context, b *shard.Batch) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.fail != nil {
		if err := j.fail(b); err != nil {
			return err
		}
	}
	for _, r := range b.Records {
		p := shard.Partition{Topic: r.Topic, Partition: r.Partition}
		if !j.open[p] {
			panic(fmt.Sprintf("record of %s, which is not open", p))
		}
		j.applied[p] = append(j.applied[p], r.Offset)
	}
	j.changed.Broadcast()
	return nil
}

func (j *journal) Close(p shard.Partition) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.open[p] = false
	j.changed.Broadcast()
}

func (j *journal) NextWake() time.Time {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.wake
}

// await waits until the condition holds; it is looked at after each change.
func (j *journal) await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	timeout := time.AfterFunc(20*time.Second, func() { j.changed.Broadcast() })
	defer timeout.Stop()
	deadline := time.Now().Add(20 * time.Second)
	j.mu.Lock()
	defer j.mu.Unlock()
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("waited too long until %s", what)
		}
		j.changed.Wait()
	}
}

func (j *journal) count() (n int) {
	for _, list := range j.applied {
		n += len(list)
	}
	return n
}

func (j *journal) opened() (n int) {
	for _, open := range j.open {
		if open {
			n++
		}
	}
	return n
}

// checkEach fails unless every partition's offsets are 0, 1, 2, … up to n.
func (j *journal) checkEach(t *testing.T) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	for p, offsets := range j.applied {
		for i, offset := range offsets {
			if offset != int64(i) {
				t.Fatalf("%s: offset %d at place %d: %v", p, offset, i, offsets)
			}
		}
	}
}

func cluster(t *testing.T) kafka.Config {
	t.Helper()
	_, c := clusterOf(t)
	return c
}

func clusterOf(t *testing.T) (*kfake.Cluster, kafka.Config) {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(partitions, topic),
		kfake.GroupMinSessionTimeout(time.Second), kfake.BrokerConfigs(map[string]string{"group.initial.rebalance.delay.ms": "0"}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, kafka.Config{Brokers: c.ListenAddrs()}
}

func produce(t *testing.T, c kafka.Config, n int) {
	t.Helper()
	p, err := kafka.NewProducer(c)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	records := make([]*kafka.Record, n)
	for i := range records {
		records[i] = kafka.NewRecordAt(topic, int32(i%partitions), nil, fmt.Appendf(nil, "%d", i))
	}
	if err := p.Send(t.Context(), records...); err != nil {
		t.Fatal(err)
	}
}

// run serves until the returned func is called, which waits for the end.
func run(t *testing.T, c shard.Config, w shard.Worker) (s *shard.Shard, stop func()) {
	t.Helper()
	c.Topics = []string{topic}
	s = shard.New(c, w)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("shard ended with %v", err)
		}
	})
	t.Cleanup(stop)
	return s, stop
}

func member(c kafka.Config, id string) shard.Config {
	return shard.Config{Kafka: c, Group: shard.Group{Name: "g", InstanceID: id, SessionTimeout: 2 * time.Second}}
}

func TestWithoutGroupEveryPartitionIsServed(t *testing.T) {
	c := cluster(t)
	j := newJournal()
	run(t, shard.Config{Kafka: c, MaxRecords: 7}, j)
	produce(t, c, 400)
	j.await(t, "all records are there", func() bool { return j.count() == 400 })
	j.checkEach(t)
}

func TestRetryGivesTheSameRecordsAgain(t *testing.T) {
	c := cluster(t)
	j := newJournal()
	failures := 0
	var refused []int64
	j.fail = func(b *shard.Batch) error {
		if failures < 3 && len(b.Records) > 0 {
			failures++
			for _, r := range b.Records {
				refused = append(refused, r.Offset)
			}
			return fmt.Errorf("not now: %w", shard.ErrRetry)
		}
		return nil
	}
	run(t, shard.Config{Kafka: c}, j)
	produce(t, c, 200)
	j.await(t, "all records are there", func() bool { return j.count() == 200 })
	j.checkEach(t)
	if failures != 3 || len(refused) == 0 {
		t.Fatalf("the worker refused %d batches, want 3", failures)
	}
}

// TestRetryKeepsThePosition is about a log that ends in a record that only ends
// a transaction: a batch that is tried again still gets to the end of it.
func TestRetryKeepsThePosition(t *testing.T) {
	c := cluster(t)
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Brokers...), kgo.TransactionalID("x"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte("a")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if err := client.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	j := newJournal()
	failures, end := 0, int64(0)
	j.fail = func(b *shard.Batch) error {
		end = max(end, b.Open[shard.Partition{Topic: topic}])
		if end == 2 && failures == 0 {
			failures++
			end = 0
			return errors.Join(shard.ErrRetry, errors.New("not now"))
		}
		return nil
	}
	run(t, shard.Config{Kafka: c}, j)
	j.await(t, "the worker knows the end of the log again", func() bool { return failures == 1 && end == 2 && j.count() == 1 })
}

func TestReopenGoesOnWhereOpenSays(t *testing.T) {
	c := cluster(t)
	j := newJournal()
	failures := 0
	j.fail = func(b *shard.Batch) error {
		if failures < 3 && len(b.Records) > 0 {
			failures++
			return fmt.Errorf("who knows: %w", shard.ErrReopen)
		}
		return nil
	}
	run(t, shard.Config{Kafka: c, MaxRecords: 20}, j)
	produce(t, c, 400)
	j.await(t, "all records are there", func() bool { return j.count() == 400 })
	j.checkEach(t)
}

func TestOtherErrorsEndRun(t *testing.T) {
	c := cluster(t)
	j := newJournal()
	broken := errors.New("broken")
	j.fail = func(b *shard.Batch) error {
		if len(b.Records) > 0 {
			return broken
		}
		return nil
	}
	produce(t, c, 1)
	s := shard.New(shard.Config{Kafka: c, Topics: []string{topic}}, j)
	if err := s.Run(t.Context()); !errors.Is(err, broken) {
		t.Fatalf("Run ended with %v, want %v", err, broken)
	}
}

func TestGroupSharesAndHandsOver(t *testing.T) {
	c := cluster(t)
	j := newJournal() // shared: no partition may be open at two members
	_, stopA := run(t, member(c, "a"), j)
	j.await(t, "a has all partitions", func() bool { return j.opened() == partitions })
	produce(t, c, 200)
	sb, _ := run(t, member(c, "b"), j)
	j.await(t, "b has partitions", func() bool {
		_, open := sb.Serving()
		if open == 0 {
			time.AfterFunc(20*time.Millisecond, j.changed.Broadcast)
		}
		return open > 0 && j.opened() == partitions
	})
	produce(t, c, 200)
	j.await(t, "both have done everything", func() bool { return j.count() == 400 })
	stopA()
	j.await(t, "b has all partitions", func() bool {
		_, open := sb.Serving()
		if open < partitions {
			time.AfterFunc(20*time.Millisecond, j.changed.Broadcast)
		}
		return open == partitions
	})
	produce(t, c, 200)
	j.await(t, "b has done the rest", func() bool { return j.count() == 600 })
	j.checkEach(t)
}

func TestFenceNamesTheMembership(t *testing.T) {
	c := cluster(t)
	j := newJournal()
	var fences []kafka.Fence
	j.fail = func(b *shard.Batch) error {
		if len(b.Records) > 0 {
			fences = append(fences, b.Fence)
		}
		return nil
	}
	run(t, member(c, "slot-1"), j)
	produce(t, c, 4)
	j.await(t, "all records are there", func() bool { return j.count() == 4 })
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, f := range fences {
		if f.Group != "g" || f.InstanceID != "slot-1" || f.MemberID == "" || f.Generation < 1 {
			t.Errorf("fence %+v", f)
		}
	}
}

func TestWorkerIsWokenWithoutRecords(t *testing.T) {
	c := cluster(t)
	j := newJournal()
	j.wake = time.Now().Add(50 * time.Millisecond)
	woken := false
	j.fail = func(b *shard.Batch) error {
		if len(b.Records) == 0 {
			woken = true
			j.wake = time.Time{}
		}
		return nil
	}
	run(t, shard.Config{Kafka: c}, j)
	j.await(t, "the worker is woken", func() bool { return woken })
}

func TestOpenIsTriedAgain(t *testing.T) {
	c := cluster(t)
	j := newJournal()
	w := &failingOpen{journal: j, left: 3}
	run(t, shard.Config{Kafka: c}, w)
	produce(t, c, 40)
	j.await(t, "all records are there", func() bool { return j.count() == 40 })
	if w.left != 0 {
		t.Errorf("open failed %d times too few", w.left)
	}
}

type failingOpen struct {
	*journal
	mu   sync.Mutex
	left int
}

func (w *failingOpen) Open(ctx context.Context, p shard.Partition, committed int64) (int64, error) {
	w.mu.Lock()
	fail := w.left > 0
	if fail {
		w.left--
	}
	w.mu.Unlock()
	if fail {
		return 0, errors.New("not yet")
	}
	return w.journal.Open(ctx, p, committed)
}

func TestTwoWorkersUnderOneName(t *testing.T) {
	c := cluster(t)
	j := newJournal()
	first := shard.New(member(c, "same"), j)
	if err := first.AddTopics(topic); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- first.Run(t.Context()) }()
	j.await(t, "the first has all partitions", func() bool { return j.opened() == partitions })
	second, _ := run(t, member(c, "same"), newJournal())
	if err := <-ended; !errors.Is(err, shard.ErrReplaced) {
		t.Fatalf("the first ended with %v, want %v", err, shard.ErrReplaced)
	}
	produce(t, c, 40)
	for open := 0; open < partitions; {
		if _, open = second.Serving(); t.Context().Err() != nil {
			t.Fatal("the second never got the partitions")
		}
		runtime.Gosched()
	}
}

// TestBatchThatIsTooMuchGetsSmaller says that a worker which cannot do a whole
// batch in its time gets on with parts of it, in order.
func TestBatchThatIsTooMuchGetsSmaller(t *testing.T) {
	c := cluster(t)
	j := newJournal()
	const can = 3
	j.fail = func(b *shard.Batch) error {
		if len(b.Records) > can {
			return fmt.Errorf("%d are too many: %w", len(b.Records), shard.ErrRetry)
		}
		return nil
	}
	produce(t, c, 48)
	run(t, shard.Config{Kafka: c, MaxRecords: 16}, j)
	j.await(t, "all records are there", func() bool { return j.count() == 48 })
	j.checkEach(t)
}
