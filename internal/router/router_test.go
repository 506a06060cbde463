package router_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"go.uber.org/goleak"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/router"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/topics"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a broker in memory with one definition deployed, and what the tests
// need to speak with the routers over topics only.
type world struct {
	t       *testing.T
	cluster *kfake.Cluster
	config  kafka.Config
	names   topics.Names
	out     *kafka.Producer
}

const partitions = 4

func newWorld(t *testing.T, definition string) *world {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(time.Second),
		kfake.BrokerConfigs(map[string]string{"group.initial.rebalance.delay.ms": "0"}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	w := &world{t: t, cluster: c, config: kafka.Config{Brokers: c.ListenAddrs()}}
	if w.out, err = kafka.NewProducer(w.config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.out.Close)
	admin, err := kafka.NewAdmin(w.config)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	if err := admin.Provision(t.Context(), 1, w.names.Shared()...); err != nil {
		t.Fatal(err)
	}
	if definition != "" {
		w.deploy("order", 1, definition)
	}
	return w
}

func (w *world) deploy(workflowType string, version int32, source string) {
	w.t.Helper()
	value, err := avro.EncodeDefinition(&events.DefinitionRecord{
		WorkflowType: workflowType, Version: version, Source: source, Partitions: partitions, DeployedAt: time.Now(),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.send(kafka.NewRecord(w.names.Definitions(), fmt.Appendf(nil, "%s@%d", workflowType, version), value))
	admin, err := kafka.NewAdmin(w.config)
	if err != nil {
		w.t.Fatal(err)
	}
	defer admin.Close()
	if err := admin.Provision(w.t.Context(), 1, w.names.Type(workflowType, partitions)...); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) send(r ...*kafka.Record) {
	w.t.Helper()
	if err := w.out.Send(w.t.Context(), r...); err != nil {
		w.t.Fatal(err)
	}
}

// say sends a command as JSON, to the partition that its key names.
func (w *world) say(key, format string, args ...any) {
	w.t.Helper()
	w.send(kafka.NewRecord(w.names.Commands("order"), []byte(key), fmt.Appendf(nil, format, args...)))
}

// router starts a router; the returned func stops it and waits.
func (w *world) router(slot string) (stop func()) {
	w.t.Helper()
	return w.routerWith(slot, func(*router.Config) {})
}

func (w *world) routerWith(slot string, change func(*router.Config)) (stop func()) {
	w.t.Helper()
	c := router.Config{Kafka: w.config, Names: w.names, Slot: slot, SessionTimeout: 2 * time.Second}
	change(&c)
	if os.Getenv("LEAT_TEST_LOG") != "" {
		c.Logger = slog.New(slog.NewTextHandler(w.t.Output(), nil))
	}
	r, err := router.New(c)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Errorf("router ended with %v", err)
		}
	})
	w.t.Cleanup(stop)
	return stop
}

// read returns the first n records of a topic, over all its partitions.
func (w *world) read(topic string, n int) []*kafka.Record {
	w.t.Helper()
	f, err := kafka.NewFetcher(w.config)
	if err != nil {
		w.t.Fatal(err)
	}
	defer f.Close()
	admin, err := kafka.NewAdmin(w.config)
	if err != nil {
		w.t.Fatal(err)
	}
	defer admin.Close()
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer cancel()
	var count int32
	for count == 0 { // it may be made again only now
		if count, err = admin.Partitions(ctx, topic); err != nil {
			w.t.Fatalf("%s: %v", topic, err)
		}
	}
	for p := range count {
		f.Add(kafka.TopicPartition{Topic: topic, Partition: p}, 0)
	}
	var all []*kafka.Record
	for len(all) < n {
		records, err := f.Poll(ctx, n)
		if err != nil || ctx.Err() != nil {
			w.t.Fatalf("%s has %d of %d records: %v %v", topic, len(all), n, err, ctx.Err())
		}
		all = append(all, records...)
	}
	return all[:n]
}

// history returns the first n events of the type, checked against the laws that
// hold for every history.
func (w *world) history(n int) map[events.UUID][]events.Event {
	w.t.Helper()
	all := make(map[events.UUID][]events.Event)
	for _, r := range w.read(w.names.Events("order"), n) {
		e, err := avro.DecodeEvent(r.Value)
		if err != nil {
			w.t.Fatal(err)
		}
		id := e.InstanceID
		if want := topics.Partition([]byte(id.String()), partitions); r.Partition != want {
			w.t.Errorf("%s is in partition %d, want %d", id, r.Partition, want)
		}
		if e.SequenceNumber != int64(len(all[id])+1) {
			w.t.Errorf("%s: sequence %d follows %d", id, e.SequenceNumber, len(all[id]))
		}
		all[id] = append(all[id], e)
	}
	return all
}

func (w *world) outcomes(n int) []events.Outcome {
	w.t.Helper()
	var all []events.Outcome
	for _, r := range w.read(w.names.Outcomes("order"), n) {
		o, err := avro.DecodeOutcome(r.Value)
		if err != nil {
			w.t.Fatal(err)
		}
		all = append(all, o)
	}
	return all
}

func types(list []events.Event) (kinds []events.EventType) {
	for _, e := range list {
		kinds = append(kinds, e.EventType)
	}
	return kinds
}

const waiting = `
leat: v1
type: order
version: 1
data: {n: {type: long, default: 0}}
initial: open
states:
  open:
    on:
      more: {assign: {n: data.n + 1}, target: open}
      done: closed
    after: {200ms: {guard: data.n < 0, target: closed}, 1h: late}
  late: {type: final, outcome: failed, error: {code: LATE, message: "'too late'"}}
  closed: {type: final, output: {n: data.n}}
`
