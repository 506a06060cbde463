package shard

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/leat-io/leat/internal/kafka"
)

// reader is a worker that reads, as fast as it can, and says of one partition
// that it waits until the channel is closed.
type reader struct {
	waits   Partition
	until   chan struct{}
	mu      sync.Mutex
	next    map[Partition]int64
	wrong   error
	refused int // batches with records of the partition that waits
	got     chan struct{}
}

func (r *reader) Open(context.Context, Partition, int64) (int64, error) { return 0, nil }
func (r *reader) Close(Partition)                                       {}
func (r *reader) NextWake() time.Time                                   { return time.Time{} }

func (r *reader) Process(_ context.Context, b *Batch) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer func() {
		select {
		case r.got <- struct{}{}:
		default:
		}
	}()
	waits := false
	for _, record := range b.Records {
		p := idOf(record)
		if p == r.waits && !r.over() {
			b.Open[p] = min(b.Open[p], record.Offset)
			b.Blocked = map[Partition]time.Time{p: time.Now().Add(20 * time.Millisecond)}
			waits = true
			continue
		}
		if record.Offset != r.next[p] {
			r.wrong = fmt.Errorf("%s gives offset %d, want %d", p, record.Offset, r.next[p])
		}
		r.next[p]++
	}
	if waits {
		r.refused++
	}
	return nil
}

func (r *reader) over() bool {
	select {
	case <-r.until:
		return true
	default:
		return false
	}
}

// await waits until the worker has n records of each of some partitions.
func (r *reader) await(t *testing.T, n int64, list ...Partition) {
	t.Helper()
	late := time.After(20 * time.Second)
	for {
		r.mu.Lock()
		wrong, done := r.wrong, true
		for _, p := range list {
			done = done && r.next[p] == n
		}
		state := fmt.Sprint(r.next)
		r.mu.Unlock()
		switch {
		case wrong != nil:
			t.Fatal(wrong)
		case done:
			return
		}
		select {
		case <-r.got:
		case <-late:
			t.Fatalf("records do not come any more: %s, want %d of %v", state, n, list)
		}
	}
}

// serve runs a shard over two partitions with n records each. It believes at
// first that a record takes a while.
func serve(t *testing.T, w *reader, each time.Duration, n int) {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, "t"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	config := kafka.Config{Brokers: c.ListenAddrs()}
	p, err := kafka.NewProducer(config)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	var records []*kafka.Record
	for i := range 2 * n {
		records = append(records, kafka.NewRecordAt("t", int32(i%2), nil, fmt.Appendf(nil, "%01000d", i)))
	}
	if err := p.Send(t.Context(), records...); err != nil {
		t.Fatal(err)
	}
	w.next, w.got = make(map[Partition]int64), make(chan struct{}, 1)
	s := New(Config{Kafka: config, Topics: []string{"t"}, MaxRecords: 500}, w)
	s.pace.each = each
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the shard ended with %v", err)
		}
	})
}

// TestPausedPartitionsGoOn says that a shard which read no further because it is
// slow reads all in the end, however much a batch takes at once.
func TestPausedPartitionsGoOn(t *testing.T) {
	t.Parallel()
	for _, each := range []time.Duration{time.Millisecond, 10 * time.Millisecond, time.Second, time.Minute} {
		t.Run(each.String(), func(t *testing.T) {
			t.Parallel()
			w := &reader{until: make(chan struct{})}
			serve(t, w, each, 6000)
			w.await(t, 6000, Partition{Topic: "t"}, Partition{Topic: "t", Partition: 1})
		})
	}
}

// TestBlockedPartitionsWaitAlone says that a partition which waits keeps nobody,
// and goes on where it stood.
func TestBlockedPartitionsWaitAlone(t *testing.T) {
	t.Parallel()
	w := &reader{waits: Partition{Topic: "t"}, until: make(chan struct{})}
	serve(t, w, 0, 6000)
	w.await(t, 6000, Partition{Topic: "t", Partition: 1})
	close(w.until)
	w.await(t, 6000, Partition{Topic: "t"})
	if w.refused == 0 {
		t.Error("the partition never waited")
	}
}
