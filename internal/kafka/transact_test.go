package kafka_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/leat-io/leat/internal/kafka"
)

func newCluster(t *testing.T) (*kfake.Cluster, kafka.Config) {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "t"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, kafka.Config{Brokers: c.ListenAddrs()}
}

func TestCommitWaitsNoLongerThanItsContext(t *testing.T) {
	c, config := newCluster(t)
	tx, err := kafka.NewTransactor(t.Context(), config, "x", kafka.TransactorConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Close()
	c.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		return nil, errors.New("the connection breaks, every time"), true
	})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		ended <- tx.Commit(ctx, []*kafka.Record{kafka.NewRecord("t", []byte("k"), nil)}, kafka.Fence{Group: "g"})
	}()
	select {
	case err := <-ended:
		var failed *kafka.TransactionError
		if !errors.As(err, &failed) || failed.Step != "produce" || failed.Aborted || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want a produce that ran out of time with an unknown outcome", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("Commit still waits 10 s after its context has ended")
	}
}
