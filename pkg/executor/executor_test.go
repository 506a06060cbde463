package executor_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"go.uber.org/goleak"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/executor"
	"github.com/leat-io/leat/pkg/topics"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a broker in memory with a queue "payments"; ask issues a task as a
// router would and gives the report of its attempt.
type world struct {
	cluster  *kfake.Cluster
	config   kafka.Config
	producer *kafka.Producer
	reports  *kafka.Fetcher
	asked    int
}

func newWorld() (*world, error) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		return nil, err
	}
	w := &world{cluster: cluster, config: kafka.Config{Brokers: cluster.ListenAddrs()}}
	admin, err := kafka.NewAdmin(w.config)
	if err != nil {
		return nil, err
	}
	defer admin.Close()
	var names topics.Names
	if err := admin.Provision(context.Background(), -1, append(names.Type("order", 1), names.Queue("payments", 1)...)...); err != nil {
		return nil, err
	}
	if w.producer, err = kafka.NewProducer(w.config); err != nil {
		return nil, err
	}
	if w.reports, err = kafka.NewFetcher(w.config); err != nil {
		return nil, err
	}
	w.reports.Add(kafka.TopicPartition{Topic: names.Commands("order")}, 0)
	return w, nil
}

func (w *world) ask(name, input string) (events.Command, error) {
	return w.askFor(&events.Task{TaskName: name, Input: json.RawMessage(input)})
}

// askFor is ask for a task with more fields than its name and its input.
func (w *world) askFor(t *events.Task) (events.Command, error) {
	w.asked++
	id := events.DeriveUUID(events.Namespace, fmt.Sprint("task ", w.asked))
	t.TaskID, t.InstanceID, t.CorrelationID, t.CausationID = id, id, id, id
	t.Queue, t.WorkflowType, t.TaskType, t.NodeType, t.Invocation = "payments", "order", events.TaskEffect, events.NodeEffect, "pay"
	t.Attempt, t.IdempotencyKey, t.ScheduledAt = max(t.Attempt, 1), "order-42/pay", events.Instant(time.Now())
	t.Priority, t.Semantics, t.Delivery = events.PriorityNormal, events.Await, events.AtLeastOnce
	value, err := avro.EncodeTask(t)
	if err != nil {
		return events.Command{}, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := w.producer.Send(ctx, kafka.NewRecord("tasks.payments", []byte(id.String()), value)); err != nil {
		return events.Command{}, err
	}
	for {
		records, err := w.reports.Poll(ctx, 1)
		if err != nil || ctx.Err() != nil {
			return events.Command{}, errors.Join(err, ctx.Err())
		}
		if len(records) == 0 {
			continue
		}
		if c, err := avro.ParseCommand(records[0].Value); err != nil || c.Command == events.CommandResult && c.Result.TaskID == id {
			return c, err
		}
	}
}

func (w *world) close() {
	w.reports.Close()
	w.producer.Close()
	w.cluster.Close()
}

func TestResultsAndErrors(t *testing.T) {
	w, err := newWorld()
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	e, err := executor.New(executor.Config{Brokers: w.cluster.ListenAddrs()})
	if err != nil {
		t.Fatal(err)
	}
	results := map[string]executor.Result{
		"nil": nil, "raw": json.RawMessage(`[1]`), "struct": struct{ A int }{1}, "unwritable": func() {},
	}
	for name, result := range results {
		e.HandleTask("payments."+name, func(context.Context, executor.Task) (executor.Result, error) { return result, nil })
	}
	e.HandleTask("payments.terminal", func(context.Context, executor.Task) (executor.Result, error) {
		return nil, executor.Terminal(fmt.Errorf("wrapped: %w", executor.Fail("MINE", "no", true)))
	})
	executor.Handle(e, "payments.typed", func(context.Context, int) (int, error) { return 1, nil })
	if err := e.HandleExec("payments.exec", []string{"cat"}); err != nil {
		t.Fatal(err)
	}
	if e.HandleExec("payments.exec2", []string{"no-such-program-here"}) == nil {
		t.Fatal("a program that is not there was taken")
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	for _, c := range []struct{ task, payload, failure string }{
		{"nil", "", ""},
		{"raw", "[1]", ""},
		{"struct", `{"A":1}`, ""},
		{"exec", `{"a":"b"}`, ""},
		{"unwritable", "", "BAD_RESULT"},
		{"terminal", "", "MINE"},
		{"typed", "", `BAD_INPUT: the input of payments.typed does not fit: it is {"a":"b"}, want a whole number (int)`},
	} {
		report, err := w.ask("payments."+c.task, `{"a":"b"}`)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if report.Result.Error != nil {
			got = report.Result.Error.Error()
			if report.Result.Error.Retryable {
				t.Errorf("%s may be retried", c.task)
			}
		}
		if string(report.Payload) != c.payload || !strings.HasPrefix(got, c.failure) || (got == "") != (c.failure == "") {
			t.Errorf("%s: got %q %q", c.task, report.Payload, got)
		}
	}
	if err := e.Ready(); err != nil {
		t.Error(err)
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if e.Ready() == nil {
		t.Error("ready after Run")
	}
}

func TestHandlePanicsOnWhatCannotBe(t *testing.T) {
	e, err := executor.New(executor.Config{Brokers: []string{"localhost:1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if recover() == nil {
			t.Fatal("it was taken")
		}
	}()
	e.HandleTask("nodot", func(context.Context, executor.Task) (executor.Result, error) { return nil, nil })
}

func TestConfigIsChecked(t *testing.T) {
	for _, c := range []executor.Config{{}, {Brokers: []string{"a:1"}, Concurrency: -1}, {Brokers: []string{"a:1"}, NodeID: strings.Repeat("x", 300)}} {
		if _, err := executor.New(c); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
	e, err := executor.New(executor.Config{Brokers: []string{"a:1"}})
	if err != nil {
		t.Fatal(err)
	}
	if e.Run(t.Context()) == nil {
		t.Error("it runs without a handler")
	}
}
