package client

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/topics"
)

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestStartMakesTheCommandDurable(t *testing.T) {
	c := withOrder(t)
	run, err := c.Start(t.Context(), StartRequest{Type: "order", Key: "42", Input: json.RawMessage(`{}`)})
	if err != nil {
		t.Fatal(err)
	}
	r := run.Receipt()
	id := events.InstanceIDForKey("order", "42")
	if r.InstanceID != id || r.Topic != c.names.Commands("order") || r.Partition != topics.Partition([]byte(id.String()), 4) || r.CommandID.IsNil() || r.At.IsZero() {
		t.Fatalf("got %+v", r)
	}
}

func TestRequestsGetTheirIdentity(t *testing.T) {
	now := time.Unix(1, 0)
	for _, c := range []struct {
		name     string
		a, b     Request
		instance bool // the same instance
		command  bool // the same command
	}{
		{"key", StartRequest{Type: "order", Key: "1"}, StartRequest{Type: "order", Key: "1"}, true, false},
		{"nothing", StartRequest{Type: "order"}, StartRequest{Type: "order"}, false, false},
		{"idempotency key", StartRequest{Type: "order", IdempotencyKey: "1"}, StartRequest{Type: "order", IdempotencyKey: "1"}, true, true},
		{"signals", SignalRequest{Type: "order", Key: "1", Event: "e"}, SignalRequest{Type: "order", Key: "1", Event: "e"}, true, false},
		{"idempotent signals", SignalRequest{Type: "order", Key: "1", Event: "e", IdempotencyKey: "1"}, SignalRequest{Type: "order", Key: "1", Event: "e", IdempotencyKey: "1"}, true, true},
		{"of two instances", SignalRequest{Type: "order", Key: "1", Event: "e", IdempotencyKey: "1"}, SignalRequest{Type: "order", Key: "2", Event: "e", IdempotencyKey: "1"}, false, false},
	} {
		a, errA := c.a.command("me", now)
		b, errB := c.b.command("me", now)
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		if (a.InstanceID == b.InstanceID) != c.instance || (a.CommandID == b.CommandID) != c.command {
			t.Errorf("%s: %+v and %+v", c.name, a, b)
		}
	}
}

func TestInvalidRequestsAreRefusedBeforeKafka(t *testing.T) {
	c, err := New(Config{Brokers: []string{"127.0.0.1:1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, r := range []Request{
		StartRequest{},
		StartRequest{Type: "Order"},
		StartRequest{Type: "order", Input: json.RawMessage(`{`)},
		SignalRequest{Type: "order", Event: "e"},
		SignalRequest{Type: "order", Key: "1"},
	} {
		if _, err := c.Send(t.Context(), r); !errors.Is(err, ErrInvalid) {
			t.Errorf("%+v: got %v", r, err)
		}
		if _, err := c.Do(t.Context(), r); !errors.Is(err, ErrInvalid) {
			t.Errorf("%+v: got %v", r, err)
		}
	}
}

func TestUnknownTypeNamesWhatIsDeployed(t *testing.T) {
	c := withOrder(t)
	for name, ask := range map[string]func() error{
		"start":  func() error { _, err := c.Start(t.Context(), StartRequest{Type: "ordr", Key: "1"}); return err },
		"do":     func() error { _, err := c.Do(t.Context(), StartRequest{Type: "ordr", Key: "1"}); return err },
		"get":    func() error { _, err := c.Get(t.Context(), "ordr", "1", GetOptions{}); return err },
		"list":   func() error { _, err := c.List(t.Context(), ListRequest{Type: "ordr"}); return err },
		"wait":   func() error { _, err := c.WaitFinished(t.Context(), "ordr", "1"); return err },
		"follow": func() error { return firstError(c.Follow(t.Context(), "ordr", "1", 0)) },
	} {
		err := ask()
		if !errors.Is(err, ErrUnknownType) || !strings.Contains(err.Error(), "did you mean order") || !strings.Contains(err.Error(), "leat def deploy") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func firstError(seq iter.Seq2[events.Event, error]) error {
	for _, err := range seq {
		return err
	}
	return nil
}

func TestDoReturnsWhatTheCommandLedTo(t *testing.T) {
	c := withOrder(t)
	ctx := within(t, 20*time.Second)
	d, err := c.Do(ctx, StartRequest{Type: "order", Key: "1"})
	if err != nil || len(d.Events) != 2 || d.Sequence() != 2 || d.Receipt.Topic == "" || d.Duplicate() {
		t.Fatalf("got %+v, %v", d, err)
	}
	d, err = c.Do(ctx, StartRequest{Type: "order", Key: "1"})
	if err != nil || !d.Duplicate() || d.Sequence() != 2 {
		t.Fatalf("got %+v, %v", d, err)
	}
	far := int64(9)
	d, err = c.Do(ctx, SignalRequest{Type: "order", Key: "1", Event: "finish", ExpectedSequence: &far})
	var why *events.Error
	if !errors.Is(err, ErrConflict) || d.Outcome == nil || !errors.As(err, &why) || why.Code != "SEQUENCE" {
		t.Fatalf("got %+v, %v", d, err)
	}
	if _, err = c.Do(ctx, SignalRequest{Type: "order", Key: "1", Event: "refuse"}); !errors.Is(err, ErrRejected) {
		t.Fatalf("got %v", err)
	}
}

func TestManyWaitAtOnce(t *testing.T) {
	c := withOrder(t)
	ctx := within(t, 30*time.Second)
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			d, err := c.Do(ctx, StartRequest{Type: "order", Key: strconv.Itoa(i)})
			if err != nil || len(d.Events) != 2 || d.Events[0].InstanceID != d.Receipt.InstanceID {
				t.Errorf("got %+v, %v", d, err)
			}
		})
	}
	all.Wait()
}

func TestGoPipelines(t *testing.T) {
	c := withOrder(t)
	const n = 2000
	var all sync.WaitGroup
	all.Add(n)
	for i := range n {
		c.Go(t.Context(), StartRequest{Type: "order", Key: strconv.Itoa(i)}, func(r Receipt, err error) {
			defer all.Done()
			if err != nil || r.Topic == "" {
				t.Errorf("got %+v, %v", r, err)
			}
		})
	}
	all.Wait()
}

func TestWaitFindsWhatWasDecidedBefore(t *testing.T) {
	c := withOrder(t)
	ctx := within(t, 20*time.Second)
	first, err := c.Send(ctx, StartRequest{Type: "order", Key: "1"})
	if err != nil {
		t.Fatal(err)
	}
	again, err := c.Send(ctx, StartRequest{Type: "order", Key: "1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Do(ctx, SignalRequest{Type: "order", Key: "1", Event: "any"}); err != nil {
		t.Fatal(err) // everything before is decided now
	}
	d, err := c.Wait(ctx, first)
	if err != nil || len(d.Events) != 2 {
		t.Fatalf("got %+v, %v", d, err)
	}
	d, err = c.Wait(ctx, again)
	if err != nil || !d.Duplicate() {
		t.Fatalf("got %+v, %v", d, err)
	}
	first.At = time.Time{}
	if d, err = c.Wait(ctx, first); err != nil || len(d.Events) != 2 {
		t.Fatalf("got %+v, %v", d, err)
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	c := newClient(t)
	if _, err := c.Deploy(t.Context(), DeployRequest{Name: "order.yaml", Source: []byte(order), Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	d, err := c.Do(within(t, 300*time.Millisecond), StartRequest{Type: "order", Key: "1"}) // there is no router
	if !errors.Is(err, ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) || d.Receipt.Topic == "" {
		t.Fatalf("got %+v, %v", d, err)
	}
	if _, err := c.WaitFinished(within(t, 300*time.Millisecond), "order", "1"); !errors.Is(err, ErrTimeout) {
		t.Fatalf("got %v", err)
	}
}

func TestNothingHangsWithoutABroker(t *testing.T) {
	c, err := New(Config{Brokers: []string{"127.0.0.1:1"}, Timeout: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	short := within(t, time.Second)
	for name, ask := range map[string]func() error{
		"start":  func() error { _, err := c.Start(short, StartRequest{Type: "order", Key: "1"}); return err },
		"do":     func() error { _, err := c.Do(short, StartRequest{Type: "order", Key: "1"}); return err },
		"get":    func() error { _, err := c.Get(context.Background(), "order", "1", GetOptions{}); return err },
		"counts": func() error { _, err := c.Counts(context.Background(), "order"); return err },
		"deploy": func() error {
			_, err := c.Deploy(context.Background(), DeployRequest{Name: "order.yaml", Source: []byte(order)})
			return err
		},
		"follow": func() error { return firstError(c.Follow(short, "order", "1", 0)) },
	} {
		if err := ask(); !errors.Is(err, ErrUnavailable) && !errors.Is(err, ErrTimeout) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestCloseEndsWaiting(t *testing.T) {
	c := withOrder(t)
	if _, err := c.Do(within(t, 20*time.Second), StartRequest{Type: "order", Key: "1"}); err != nil {
		t.Fatal(err)
	}
	waits := make(chan error, 2)
	go func() { _, err := c.WaitFinished(context.Background(), "order", "1"); waits <- err }()
	go func() { waits <- last(c.Follow(context.Background(), "order", "1", 1)) }()
	kafka.Pause(t.Context(), 100*time.Millisecond) // they wait now, or will
	c.Close()
	for range 2 {
		if err := <-waits; err == nil {
			t.Fatal("a wait ended without an error")
		}
	}
	if _, err := c.Start(t.Context(), StartRequest{Type: "order", Key: "2"}); !errors.Is(err, ErrInvalid) {
		t.Fatalf("got %v", err)
	}
}

func last(seq iter.Seq2[events.Event, error]) (last error) {
	for _, err := range seq {
		last = err
	}
	return last
}
