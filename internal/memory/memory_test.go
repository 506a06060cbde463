package memory_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"go.uber.org/goleak"

	"github.com/leat-io/leat/internal/memory"
	"github.com/leat-io/leat/internal/spi/eventbus"
	"github.com/leat-io/leat/internal/spi/spitest"
	"github.com/leat-io/leat/internal/spi/workflow"
	"github.com/leat-io/leat/pkg/events"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const partitions = 4

func TestEventBus(t *testing.T) {
	spitest.TestEventBus(t, func(t *testing.T) spitest.EventBusSetup {
		t.Helper()
		return spitest.EventBusSetup{Bus: newBus(t), Topic: "things", Partitions: partitions}
	})
}

func TestWorkflow(t *testing.T) {
	spitest.TestWorkflow(t, func(t *testing.T) spitest.WorkflowSetup {
		t.Helper()
		w := newLedger(t)
		w.MaxReplay = 50
		return spitest.WorkflowSetup{Bus: w, Store: w, Snapshots: w, Type: "ledger", Partitions: partitions, MaxReplay: 50}
	})
}

func newBus(t *testing.T) *memory.EventBus {
	t.Helper()
	b := memory.NewEventBus()
	b.CreateTopic("things", partitions)
	t.Cleanup(b.Close)
	return b
}

func newLedger(t *testing.T) *memory.Workflow {
	t.Helper()
	w := memory.NewWorkflow()
	w.Deploy("ledger", partitions, nil)
	t.Cleanup(w.Close)
	return w
}

// A closed bus has ended its subscriptions and refuses everything.
func TestClose(t *testing.T) {
	b := newBus(t)
	began, ended := make(chan struct{}), make(chan struct{})
	_, err := b.Subscribe(t.Context(), "things", "g", func(ctx context.Context, _ eventbus.Message) error {
		close(began)
		<-ctx.Done()
		close(ended)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	b.Publish(t.Context(), eventbus.Message{Topic: "things"}, func(eventbus.Message, error) {})
	<-began
	b.Close()
	select {
	case <-ended:
	default:
		t.Error("Close did not wait for the handler")
	}
	ignore := func(context.Context, eventbus.Message) error { return nil }
	if _, err := b.Subscribe(t.Context(), "things", "g", ignore); !errors.Is(err, eventbus.ErrClosed) {
		t.Errorf("subscribe: %v", err)
	}
	done := make(chan error, 1)
	b.Publish(t.Context(), eventbus.Message{Topic: "things"}, func(_ eventbus.Message, err error) { done <- err })
	if err := <-done; !errors.Is(err, eventbus.ErrClosed) {
		t.Errorf("publish: %v", err)
	}

	w := newLedger(t)
	w.Close()
	if _, err := w.ReplayEvents(t.Context(), "ledger", events.InstanceIDForKey("ledger", "a"), 1); !errors.Is(err, workflow.ErrClosed) {
		t.Errorf("replay: %v", err)
	}
}

// Who uses the engine as a double says what it decides.
func TestDecide(t *testing.T) {
	w := memory.NewWorkflow()
	t.Cleanup(w.Close)
	w.Deploy("order", 1, func(c *events.Command, state events.WorkflowState) []events.EventType {
		switch {
		case state == "":
			return []events.EventType{events.EventWorkflowCreated}
		case c.Event == "break":
			return []events.EventType{events.EventWorkflowFailed}
		default:
			return nil
		}
	})
	var got []events.OutcomeStatus
	acks := make(chan workflow.Ack)
	for _, c := range []events.Command{
		{Command: events.CommandStart, WorkflowType: "order", Key: "a"},
		{Command: events.CommandSignal, WorkflowType: "order", Key: "a", Event: "what"},
		{Command: events.CommandSignal, WorkflowType: "order", Key: "a", Event: "break"},
	} {
		w.PublishCommand(t.Context(), c, func(ack workflow.Ack, err error) {
			if err != nil {
				t.Error(err)
			}
			acks <- ack
		})
		got = append(got, (<-acks).Status)
	}
	if want := []events.OutcomeStatus{"", events.OutcomeIgnored, ""}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	s, err := w.LoadSnapshot(t.Context(), "order", events.InstanceIDForKey("order", "a"))
	if err != nil || s.State != events.WorkflowFailed || s.SequenceNumber != 2 || s.Validate() != nil {
		t.Errorf("%+v %v %v", s, err, s.Validate())
	}
}
