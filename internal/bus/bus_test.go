package bus_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"go.uber.org/goleak"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/bus"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/router"
	"github.com/leat-io/leat/internal/spi/eventbus"
	"github.com/leat-io/leat/internal/spi/spitest"
	"github.com/leat-io/leat/internal/spi/workflow"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/topics"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	partitions = 4
	maxReplay  = 50
)

func TestEventBus(t *testing.T) {
	spitest.TestEventBus(t, func(t *testing.T) spitest.EventBusSetup {
		t.Helper()
		b := newBus(t, newCluster(t))
		return spitest.EventBusSetup{Bus: b, Topic: "things", Partitions: partitions}
	})
}

// The engine is the real one, router and all.
func TestWorkflow(t *testing.T) {
	spitest.TestWorkflow(t, func(t *testing.T) spitest.WorkflowSetup {
		t.Helper()
		config := newCluster(t)
		startRouter(t, config)
		w := newLedger(t, config)
		return spitest.WorkflowSetup{Bus: w, Store: w, Snapshots: w, Type: "ledger", Partitions: partitions, MaxReplay: maxReplay}
	})
}

// newCluster is a broker with a topic and the ledger's definition.
func newCluster(t *testing.T) bus.Config {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(time.Second),
		kfake.BrokerConfigs(map[string]string{"group.initial.rebalance.delay.ms": "0"}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	c := bus.Config{Kafka: kafka.Config{Brokers: cluster.ListenAddrs()}, MaxReplay: maxReplay}
	if os.Getenv("LEAT_TEST_LOG") != "" {
		c.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	admin, err := kafka.NewAdmin(c.Kafka)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	specs := append(c.Names.Shared(), topics.Spec{Name: "things", Partitions: partitions, Cleanup: topics.Delete, Retention: time.Hour})
	if err := admin.Provision(t.Context(), 1, append(specs, c.Names.Type("ledger", partitions)...)...); err != nil {
		t.Fatal(err)
	}
	return c
}

func newBus(t *testing.T, c bus.Config) *bus.EventBus {
	t.Helper()
	b, err := bus.NewEventBus(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func newLedger(t *testing.T, c bus.Config) *bus.Workflow {
	t.Helper()
	w, err := bus.NewWorkflow(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

// startRouter deploys the ledger and decides on it until the test ends.
func startRouter(t *testing.T, c bus.Config) {
	t.Helper()
	value, err := avro.EncodeDefinition(&events.DefinitionRecord{
		WorkflowType: "ledger", Version: 1, Source: spitest.WorkflowDefinition, Partitions: partitions, DeployedAt: time.Now(),
	})
	if err != nil {
		t.Fatal(err)
	}
	producer, err := kafka.NewProducer(c.Kafka)
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	if err := producer.Send(t.Context(), kafka.NewRecord(c.Names.Definitions(), []byte("ledger@1"), value)); err != nil {
		t.Fatal(err)
	}
	r, err := router.New(router.Config{Kafka: c.Kafka, Names: c.Names, Slot: "slot", Logger: c.Logger})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("router ended with %v", err)
		}
	})
}

// A closed bus has ended its subscriptions and refuses everything.
func TestClose(t *testing.T) {
	c := newCluster(t)
	b := newBus(t, c)
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

	// Nobody decides here, so the command is under way when the bus is closed.
	w := newLedger(t, c)
	acks := make(chan error, 2)
	start := events.Command{Command: events.CommandStart, WorkflowType: "ledger", Key: "a"}
	w.PublishCommand(t.Context(), start, func(_ workflow.Ack, err error) { acks <- err })
	w.Close()
	w.PublishCommand(t.Context(), start, func(_ workflow.Ack, err error) { acks <- err })
	for range 2 {
		if err := <-acks; !errors.Is(err, workflow.ErrClosed) {
			t.Errorf("publish: %v", err)
		}
	}
	if _, err := w.ReplayEvents(t.Context(), "ledger", events.InstanceIDForKey("ledger", "a"), 1); !errors.Is(err, workflow.ErrClosed) {
		t.Errorf("replay: %v", err)
	}
}
