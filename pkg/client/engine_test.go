package client

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/leat-io/leat/internal/kafka"
	engine "github.com/leat-io/leat/internal/router"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/executor"
)

const parcel = `leat: v1
type: parcel
version: 1
initial: packing
states:
  packing:
    invoke: {task: shipping.pack, onDone: waiting, onError: failed}
  waiting:
    on: {send: sending}
  sending:
    invoke: {task: shipping.send, onDone: done, onError: failed}
  done: {type: final}
  failed: {type: final, outcome: failed}
`

// The client against a real router and a real executor.
func TestTheWholeEngine(t *testing.T) {
	c := newClient(t)
	if _, err := c.Deploy(t.Context(), DeployRequest{Name: "parcel.yaml", Source: []byte(parcel), Partitions: 4}); err != nil {
		t.Fatal(err)
	}
	r, err := engine.New(engine.Config{Kafka: c.kafka, Names: c.names, Slot: "slot", Logger: c.config.Logger})
	if err != nil {
		t.Fatal(err)
	}
	e, err := executor.New(executor.Config{Brokers: c.config.Brokers, Prefix: c.config.Prefix, ClaimAfter: time.Millisecond, Logger: c.config.Logger})
	if err != nil {
		t.Fatal(err)
	}
	e.HandleTask("shipping.pack", func(context.Context, executor.Task) (executor.Result, error) { return "packed", nil })
	e.HandleTask("shipping.send", func(ctx context.Context, _ executor.Task) (executor.Result, error) {
		kafka.Pause(ctx, 30*time.Millisecond) // long enough for a claim
		return nil, executor.Fail("LOST", "the parcel is lost", false)
	})
	running, stop := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for _, run := range []func(context.Context) error{r.Run, e.Run} {
		all.Go(func() {
			if err := run(running); err != nil {
				t.Error(err)
			}
		})
	}
	defer func() { stop(); all.Wait() }()

	ctx := within(t, 60*time.Second)
	d, err := c.Do(ctx, StartRequest{Type: "parcel", Key: "1"})
	if err != nil || len(d.Events) < 2 || d.Events[0].EventType != events.EventWorkflowCreated {
		t.Fatalf("got %+v, %v", d, err)
	}
	if d, err = c.Do(ctx, StartRequest{Type: "parcel", Key: "1"}); err != nil || !d.Duplicate() {
		t.Fatalf("got %+v, %v", d, err)
	}
	far := int64(99)
	if _, err = c.Do(ctx, SignalRequest{Type: "parcel", Key: "1", Event: "send", ExpectedSequence: &far}); !errors.Is(err, ErrConflict) {
		t.Fatalf("got %v", err)
	}
	if _, err = c.Do(ctx, SignalRequest{Type: "parcel", Key: "none", Event: "send"}); !errors.Is(err, ErrRejected) {
		t.Fatalf("got %v", err)
	}
	for event := range c.Follow(ctx, "parcel", "1", 1) {
		if event.EventType == events.EventTaskCompleted {
			break
		}
	}
	if d, err = c.Do(ctx, SignalRequest{Type: "parcel", Key: "1", Event: "send"}); err != nil || d.Outcome != nil {
		t.Fatalf("got %+v, %v", d, err)
	}
	s, err := c.WaitFinished(ctx, "parcel", "1")
	if err != nil || s.State != events.WorkflowFailed {
		t.Fatalf("got %+v, %v", s, err)
	}
	history, err := c.History(ctx, "parcel", "1", HistoryRequest{})
	if err != nil || int64(len(history)) != s.SequenceNumber {
		t.Fatalf("got %d events of %d, %v", len(history), s.SequenceNumber, err)
	}
}
