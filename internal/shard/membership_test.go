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
