package shard_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/shard"
)

// opens counts how often each partition was opened.
type opens struct {
	*journal
	times map[shard.Partition]int
}

func (o *opens) Open(ctx context.Context, p shard.Partition, committed int64) (int64, error) {
	next, err := o.journal.Open(ctx, p, committed)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.times[p]++
	return next, err
}

// TestForgottenMemberOpensAgain is about a worker that was away for so long that
// the group went on without it. It joins again under another id, keeps its
// partitions, and is told nothing; another worker may have had them meanwhile.
func TestForgottenMemberOpensAgain(t *testing.T) {
	broker, c := clusterOf(t)
	o := &opens{journal: newJournal(), times: make(map[shard.Partition]int)}
	var id, seen, stale string
	o.fail = func(b *shard.Batch) error {
		if id == "" {
			id = b.Fence.MemberID
		}
		seen = b.Fence.MemberID
		for p := range b.Open {
			if len(b.Records) > 0 && b.Fence.MemberID != id && o.times[p] < 2 {
				stale = fmt.Sprintf("%s is decided under a membership that did not open it", p)
			}
		}
		return nil
	}
	run(t, member(c, "slot"), o)
	o.await(t, "all partitions are open", func() bool { return o.opened() == partitions })
	produce(t, c, 40)
	o.await(t, "the first records are there", func() bool { return o.count() == 40 })
	broker.ControlKey(kmsg.JoinGroup.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
		resp := req.ResponseKind().(*kmsg.JoinGroupResponse) //nolint:forcetypeassert // by protocol
		resp.ErrorCode = kerr.UnknownMemberID.Code
		return resp, nil, true
	})
	broker.ControlKey(kmsg.Heartbeat.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
		resp := req.ResponseKind().(*kmsg.HeartbeatResponse) //nolint:forcetypeassert // by protocol
		resp.ErrorCode = kerr.RebalanceInProgress.Code
		return resp, nil, true
	})
	n := 40
	for changed := false; !changed; n += partitions {
		produce(t, c, partitions)
		o.await(t, "the records are there", func() bool { return o.count() == n+partitions })
		o.mu.Lock()
		changed = seen != id
		o.mu.Unlock()
	}
	o.checkEach(t)
	if stale != "" {
		t.Error(stale)
	}
}

// slowOpen opens slowly, whatever its context says.
type slowOpen struct {
	*journal
	began   chan shard.Partition
	proceed chan struct{}
}

func (w *slowOpen) Open(ctx context.Context, p shard.Partition, _ int64) (int64, error) {
	w.began <- p
	<-w.proceed
	return 0, ctx.Err()
}

// TestPartitionThatComesBackIsOpenedOnce revokes a partition while it is being
// opened, and assigns it again before the opener has noticed.
func TestPartitionThatComesBackIsOpenedOnce(t *testing.T) {
	broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, topic),
		kfake.GroupMinSessionTimeout(time.Second), kfake.BrokerConfigs(map[string]string{"group.initial.rebalance.delay.ms": "0"}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	w := &slowOpen{journal: newJournal(), began: make(chan shard.Partition, 9), proceed: make(chan struct{})}
	s, _ := run(t, member(kafka.Config{Brokers: broker.ListenAddrs()}, "slot"), w)
	<-w.began
	lost := make(chan struct{})
	broker.ControlKey(kmsg.Heartbeat.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
		resp := req.ResponseKind().(*kmsg.HeartbeatResponse) //nolint:forcetypeassert // by protocol
		resp.ErrorCode = kerr.UnknownMemberID.Code
		close(lost)
		return resp, nil, true
	})
	<-lost
	select {
	case <-w.began:
		t.Error("the partition is opened twice at once")
	case <-time.After(time.Second): // it was assigned again long ago
	}
	close(w.proceed)
	for open := 0; open < 1; _, open = s.Serving() {
		if t.Context().Err() != nil {
			t.Fatal("the partition never opened")
		}
		time.Sleep(time.Millisecond)
	}
}

// behind is a worker whose partitions begin anew at every opening, as those of
// an executor do that has committed nothing yet.
type behind struct {
	*journal
	lives [][]int64 // what was processed, by opening
	retry bool      // refuse batches with records
}

func (w *behind) Open(ctx context.Context, p shard.Partition, committed int64) (int64, error) {
	_, err := w.journal.Open(ctx, p, committed)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lives = append(w.lives, nil)
	w.retry = false
	return 0, err
}

func (w *behind) Process(_ context.Context, b *shard.Batch) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer w.changed.Broadcast()
	if w.retry && len(b.Records) > 0 {
		w.wake = time.Time{}
		return shard.ErrRetry
	}
	for _, r := range b.Records {
		life := &w.lives[len(w.lives)-1]
		*life = append(*life, r.Offset)
	}
	return nil
}

// TestRecordsOfAnEarlierLifeAreForgotten loses a partition while records of it
// wait to be tried again, and gets it back from an earlier offset on: what lies
// between must not be passed over.
func TestRecordsOfAnEarlierLifeAreForgotten(t *testing.T) {
	broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, topic),
		kfake.GroupMinSessionTimeout(time.Second), kfake.BrokerConfigs(map[string]string{"group.initial.rebalance.delay.ms": "0"}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	c := kafka.Config{Brokers: broker.ListenAddrs()}
	producer, err := kafka.NewProducer(c)
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	send := func(n int) {
		t.Helper()
		for range n {
			if err := producer.Send(t.Context(), kafka.NewRecordAt(topic, 0, nil, []byte("x"))); err != nil {
				t.Fatal(err)
			}
		}
	}
	w := &behind{journal: newJournal()}
	send(3)
	run(t, member(c, "slot"), w)
	w.await(t, "the first life has read", func() bool { return len(w.lives) == 1 && len(w.lives[0]) == 3 })
	w.mu.Lock()
	w.retry, w.wake = true, time.Now() // the wake is taken back when a batch is refused
	w.mu.Unlock()
	send(2)
	w.await(t, "a batch is refused", func() bool { return w.wake.IsZero() })
	broker.ControlKey(kmsg.Heartbeat.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
		resp := req.ResponseKind().(*kmsg.HeartbeatResponse) //nolint:forcetypeassert // by protocol
		resp.ErrorCode = kerr.UnknownMemberID.Code
		return resp, nil, true
	})
	w.await(t, "the second life has read", func() bool { return len(w.lives) == 2 && len(w.lives[1]) >= 2 })
	w.await(t, "it has read everything", func() bool { return len(w.lives[1]) == 5 })
	for i, offset := range w.lives[1] {
		if offset != int64(i) {
			t.Fatalf("the second life has read %v", w.lives[1])
		}
	}
}
