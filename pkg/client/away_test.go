package client

import (
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/leat-io/leat/internal/devkafka"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
)

// A thousand runs wait while the broker goes away, and go on when it is back.
func TestRunsGoOnWhenBrokersReturn(t *testing.T) {
	options := devkafka.Options{Dir: t.TempDir()}
	broker, err := devkafka.Start(options)
	if err != nil {
		t.Fatal(err)
	}
	options.Addr = broker.Addr()
	c, err := New(Config{Brokers: []string{broker.Addr()}, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	ctx := within(t, 120*time.Second)
	if _, err := c.Deploy(ctx, DeployRequest{Name: "order.yaml", Source: []byte(order), Partitions: 4}); err != nil {
		t.Fatal(err)
	}
	const n = 1000
	runs := startAll(ctx, t, c, n)
	if err := broker.Close(); err != nil {
		t.Fatal(err)
	}
	if err := runs[0].Signal(within(t, 300*time.Millisecond), "finish", nil); !errors.Is(err, ErrTimeout) && !errors.Is(err, ErrUnavailable) {
		t.Fatalf("a signal without a broker: got %v", err)
	}
	if broker, err = devkafka.Start(options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = broker.Close() })
	for i := range n {
		send(t, c, endOf(t, c, strconv.Itoa(i), i))
	}
	for i, run := range runs {
		if got, err := Result[int](ctx, run); err != nil || got != i {
			t.Fatalf("%d: got %d, %v", i, got, err)
		}
	}
}

// Without a router a read says so, and how to do without; scanning shows how far it is.
func TestReadingWithoutARouter(t *testing.T) {
	c := newClient(t)
	c.config.RouterTimeout = 50 * time.Millisecond
	ctx := within(t, 60*time.Second)
	if _, err := c.Deploy(ctx, DeployRequest{Name: "order.yaml", Source: []byte(order), Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	send(t, c, endOf(t, c, "1", 7))
	for name, ask := range map[string]func() error{
		"get":    func() error { return second(c.Get(ctx, "order", "1", GetOptions{})) },
		"attach": func() error { return second(c.Attach(ctx, "order", "1")) },
	} {
		err := ask()
		if !errors.Is(err, ErrNoRouter) || !strings.Contains(err.Error(), "within 50ms for order 1") || !strings.Contains(err.Error(), "--scan") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := c.WaitFinished(within(t, 200*time.Millisecond), "order", "1"); !errors.Is(err, ErrTimeout) {
		t.Errorf("got %v", err)
	}
	var done, total int64
	s, err := c.Get(ctx, "order", "1", GetOptions{Scan: true, Progress: func(d, all int64) { done, total = d, all }})
	if err != nil || s.Key != "1" || done != 1 || total != 1 {
		t.Errorf("got %+v, %v, %d of %d", s, err, done, total)
	}
	if _, err := c.Get(ctx, "order", "2", GetOptions{Scan: true}); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v", err)
	}
	if watches(c) != 0 {
		t.Errorf("%d are watched still", watches(c))
	}
}

// A router that comes later answers who waits.
func TestWaitingForARouter(t *testing.T) {
	c := newClient(t)
	ctx := within(t, 60*time.Second)
	if _, err := c.Deploy(ctx, DeployRequest{Name: "order.yaml", Source: []byte(order), Partitions: 4}); err != nil {
		t.Fatal(err)
	}
	for _, r := range []Request{StartRequest{Type: "order", Key: "1"}, SignalRequest{Type: "order", Key: "1", Event: "finish"}} {
		if _, err := c.Send(ctx, r); err != nil {
			t.Fatal(err)
		}
	}
	ended := make(chan error, 1)
	go func() { ended <- second(c.WaitFinished(ctx, "order", "1")) }()
	kafka.Pause(ctx, 50*time.Millisecond)
	startRouter(t, c)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

// A history is read from where it begins: what stands before it is not looked at.
func TestAHistoryIsReadFromItsBeginning(t *testing.T) {
	c := withOrder(t)
	ctx := within(t, 60*time.Second)
	id := events.InstanceIDForKey("order", "1").String()
	for range 100 { // each would be counted
		send(t, c, kafka.NewRecord(c.names.Events("order"), []byte(id), []byte("garbage")))
	}
	var skipped atomic.Int32
	c.config.Skipped = func(string) { skipped.Add(1) }
	if _, err := c.Do(ctx, StartRequest{Type: "order", Key: "1"}); err != nil {
		t.Fatal(err)
	}
	if list, err := c.History(ctx, "order", "1", HistoryRequest{}); err != nil || len(list) != 2 {
		t.Fatalf("got %d, %v", len(list), err)
	}
	if _, err := c.Do(ctx, SignalRequest{Type: "order", Key: "1", Event: "finish"}); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, err := range c.Follow(ctx, "order", "1", 1) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 4 || skipped.Load() != 0 {
		t.Fatalf("%d events, %d records were looked at in vain", n, skipped.Load())
	}
}

// A topic that is deleted while a run waits, and made again, is read from its beginning.
func TestRunsSurviveATopicThatIsMadeAgain(t *testing.T) {
	c := newClient(t)
	ctx := within(t, 60*time.Second)
	deploy := func() {
		t.Helper()
		if _, err := c.Deploy(ctx, DeployRequest{Name: "order.yaml", Source: []byte(order), Partitions: 4}); err != nil {
			t.Fatal(err)
		}
	}
	deploy()
	run := begin(ctx, t, c, "1")
	client, err := kgo.NewClient(kgo.SeedBrokers(c.config.Brokers...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := kadm.NewClient(client).DeleteTopic(ctx, c.names.State("order")); err != nil {
		t.Fatal(err)
	}
	deploy() // makes it again
	send(t, c, endOf(t, c, "1", 7))
	if got, err := Result[int](ctx, run); err != nil || got != 7 {
		t.Fatalf("got %d, %v", got, err)
	}
}
