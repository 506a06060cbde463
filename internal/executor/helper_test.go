package executor

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"go.uber.org/goleak"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/topics"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a broker in memory, or KAFKA_BROKERS, with the topics of workflow type "order" and queue "pay",
// and what executors wrote to the commands topic.
type bench struct {
	t        *testing.T
	config   kafka.Config
	names    topics.Names
	producer *kafka.Producer
	tasks    int

	mu       sync.Mutex
	reports  []events.Command
	changed  chan struct{}
	finished sync.WaitGroup
}

func newBench(t *testing.T, partitions int32) *bench {
	t.Helper()
	b := &bench{t: t, changed: make(chan struct{})}
	if brokers := os.Getenv("KAFKA_BROKERS"); brokers != "" {
		b.config.Brokers = strings.Split(brokers, ",")
		b.names.Prefix = fmt.Sprintf("t%d.", time.Now().UnixNano())
	} else {
		cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(cluster.Close)
		b.config.Brokers = cluster.ListenAddrs()
	}
	admin, err := kafka.NewAdmin(b.config)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	specs := append(b.names.Type("order", partitions), b.names.Queue("pay", partitions)...)
	if err := admin.Provision(t.Context(), -1, specs...); err != nil {
		t.Fatal(err)
	}
	if b.producer, err = kafka.NewProducer(b.config); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	fetcher, err := kafka.NewFetcher(b.config)
	if err != nil {
		t.Fatal(err)
	}
	for p := range partitions {
		fetcher.Add(kafka.TopicPartition{Topic: b.names.Commands("order"), Partition: p}, 0)
	}
	b.finished.Go(func() { b.collect(ctx, fetcher) })
	t.Cleanup(func() {
		cancel()
		b.finished.Wait()
		fetcher.Close()
		b.producer.Close()
	})
	return b
}

func (b *bench) collect(ctx context.Context, f *kafka.Fetcher) {
	for ctx.Err() == nil {
		records, _ := f.Poll(ctx, 1000)
		b.mu.Lock()
		for _, r := range records {
			c, err := avro.ParseCommand(r.Value)
			if err != nil {
				b.t.Errorf("a report cannot be read: %v", err)
				continue
			}
			b.reports = append(b.reports, c)
		}
		close(b.changed)
		b.changed = make(chan struct{})
		b.mu.Unlock()
	}
}

// until waits for reports of which ok thinks well.
func (b *bench) until(what string, ok func([]events.Command) bool) []events.Command {
	b.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		b.mu.Lock()
		reports, changed := append([]events.Command(nil), b.reports...), b.changed
		b.mu.Unlock()
		if ok(reports) {
			return reports
		}
		select {
		case <-changed:
		case <-deadline:
			b.t.Fatalf("no %s; there are %v", what, kinds(reports))
		}
	}
}

func kinds(reports []events.Command) (list []string) {
	for _, c := range reports {
		list = append(list, fmt.Sprintf("%s %s/%d", c.Command, c.Result.TaskID, c.Result.Attempt))
	}
	return list
}

func count(reports []events.Command, kind events.CommandType) (n int) {
	for _, c := range reports {
		if c.Command == kind {
			n++
		}
	}
	return n
}

func atLeast(kind events.CommandType, n int) func([]events.Command) bool {
	return func(reports []events.Command) bool { return count(reports, kind) >= n }
}

// task makes the next task; change may alter it.
func (b *bench) task(name string, change func(*events.Task)) *events.Task {
	b.tasks++
	id := events.DeriveUUID(events.Namespace, fmt.Sprint(b.t.Name(), b.tasks))
	t := &events.Task{
		TaskID: id, TaskName: name, Queue: topics.QueueOf(name), TaskType: events.TaskEffect, NodeType: events.NodeEffect,
		WorkflowType: "order", InstanceID: events.InstanceIDForKey("order", strconv.Itoa(b.tasks)), InstanceKey: strconv.Itoa(b.tasks),
		Invocation: "pay", Attempt: 1, IdempotencyKey: "key-" + id.String(), Input: []byte(`{"amount":3}`),
		Priority: events.PriorityNormal, Semantics: events.Await, Delivery: events.AtLeastOnce,
		ScheduledAt: events.Instant(time.Now()), CorrelationID: id, CausationID: id,
	}
	if change != nil {
		change(t)
	}
	return t
}

// issue writes tasks as the router would.
func (b *bench) issue(tasks ...*events.Task) {
	b.t.Helper()
	for _, t := range tasks {
		value, err := avro.EncodeTask(t)
		if err != nil {
			b.t.Fatal(err)
		}
		if err := b.producer.Send(b.t.Context(), kafka.NewRecord(b.names.Tasks(t.Queue), []byte(t.TaskID.String()), value)); err != nil {
			b.t.Fatal(err)
		}
	}
}

// executor makes one whose tasks h runs.
func (b *bench) executor(c Config, h Handler) *Executor {
	b.t.Helper()
	c.Kafka, c.Names = b.config, b.names
	if c.Logger == nil {
		c.Logger = slog.New(slog.NewTextHandler(b.t.Output(), nil))
	}
	e, err := New(c)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := e.Handle("pay.charge", h); err != nil {
		b.t.Fatal(err)
	}
	return e
}

// start runs e; the func it returns stops it and gives Run's error.
func (b *bench) start(e *Executor) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	var once sync.Once
	var err error
	stop = func() error {
		once.Do(func() { cancel(); err = <-done })
		return err
	}
	b.t.Cleanup(func() { _ = stop() })
	return stop
}

// committed is the sum of the group's offsets, which no reader changes.
func (b *bench) committed() (sum int64) {
	b.t.Helper()
	done := make(chan map[kafka.TopicPartition]int64, 1)
	m, err := kafka.NewMember(b.config, kafka.MemberConfig{
		Group: b.names.Prefix + "leat.executor.pay", Topics: []string{b.names.Tasks("pay")},
		Assigned: func(a map[kafka.TopicPartition]int64) { done <- a },
		Revoked:  func([]kafka.TopicPartition) {}, Lost: func([]kafka.TopicPartition) {},
	})
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = m.Leave(context.Background()) }()
	select {
	case a := <-done:
		for _, at := range a {
			sum += max(at, 0)
		}
	case <-time.After(20 * time.Second):
		b.t.Fatal("nothing was assigned")
	}
	return sum
}
