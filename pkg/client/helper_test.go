package client

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
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const order = `leat: v1
type: order
version: 1
initial: packing
states:
  packing:
    invoke: {task: shipping.pack, onDone: done, onError: done}
    on: {finish: done}
  done: {type: final}
`

// newClient is a client of a broker in memory, or of KAFKA_BROKERS, with nothing
// deployed.
func newClient(t *testing.T) *Client {
	t.Helper()
	config := Config{Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}
	if brokers := os.Getenv("KAFKA_BROKERS"); brokers != "" {
		config.Brokers = strings.Split(brokers, ",")
		config.Prefix = fmt.Sprintf("t%d.", time.Now().UnixNano())
	} else {
		cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(cluster.Close)
		config.Brokers = cluster.ListenAddrs()
	}
	c, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// withOrder deploys the type order and runs a router for it.
func withOrder(t *testing.T) *Client {
	t.Helper()
	c := newClient(t)
	if _, err := c.Deploy(t.Context(), DeployRequest{Name: "order.yaml", Source: []byte(order), Partitions: 4}); err != nil {
		t.Fatal(err)
	}
	startRouter(t, c)
	return c
}

// router decides like the real one as far as a client can see: start makes two
// events, finish, fail, expire and cancel end the instance, refuse is rejected,
// everything else is one event.
type router struct {
	t         *testing.T
	client    *Client
	producer  *kafka.Producer
	instances map[events.UUID]*events.Snapshot
}

func startRouter(t *testing.T, c *Client) {
	t.Helper()
	fetcher, err := kafka.NewFetcher(c.kafka)
	if err != nil {
		t.Fatal(err)
	}
	producer, err := kafka.NewProducer(c.kafka)
	if err != nil {
		t.Fatal(err)
	}
	all := map[kafka.TopicPartition]int64{}
	for p := range int32(4) {
		all[kafka.TopicPartition{Topic: c.names.Commands("order"), Partition: p}] = 0
	}
	fetcher.AddAll(all)
	r := &router{t: t, client: c, producer: producer, instances: map[events.UUID]*events.Snapshot{}}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		for ctx.Err() == nil {
			records, _ := fetcher.Poll(ctx, 1000)
			for _, record := range records {
				r.decide(ctx, record)
			}
		}
	})
	t.Cleanup(func() { cancel(); running.Wait(); fetcher.Close(); producer.Close() })
}

func (r *router) decide(ctx context.Context, record *kafka.Record) {
	c, err := avro.ParseCommand(record.Value)
	if err != nil {
		r.t.Errorf("a command cannot be read: %v", err)
		return
	}
	s := r.instances[c.InstanceID]
	switch {
	case c.Command == events.CommandDescribe:
		r.describe(ctx, &c, s)
	case s != nil && c.ExpectedSequence != nil && *c.ExpectedSequence != s.SequenceNumber:
		r.outcome(ctx, &c, events.OutcomeConflict, &events.Error{Code: "SEQUENCE", Message: "it is elsewhere"})
	case c.Version == 9:
		r.outcome(ctx, &c, events.OutcomeRejected, &events.Error{Code: "UNKNOWN_VERSION", Message: "version 9 is not deployed"})
	case c.Command == events.CommandStart && s != nil:
		r.outcome(ctx, &c, events.OutcomeDuplicate, nil)
	case c.Event == "refuse":
		r.outcome(ctx, &c, events.OutcomeRejected, &events.Error{Code: "NO", Message: "not like this"})
	case c.Command == events.CommandStart:
		s = &events.Snapshot{
			WorkflowType: "order", InstanceID: c.InstanceID, Key: c.Key, Version: 1, State: events.WorkflowRunning, CorrelationID: c.CommandID,
			CreatedAt: events.Instant(time.Now()), Isolation: events.ReadCommitted, Chart: events.Chart{Active: []string{"packing"}},
		}
		r.instances[c.InstanceID] = s
		r.events(ctx, &c, s, events.EventWorkflowCreated, events.EventWorkflowStarted)
	case c.Event == "finish":
		s.State, s.Chart.Active, s.FinishedAt = events.WorkflowCompleted, []string{"done"}, events.Instant(time.Now())
		s.Output = c.Payload
		r.events(ctx, &c, s, events.EventStateTransitioned, events.EventWorkflowCompleted)
	case c.Event == "fail":
		s.State, s.FinishedAt, s.Error = events.WorkflowFailed, events.Instant(time.Now()), &events.Error{Code: "CARD_DECLINED", Message: "the bank says no"}
		r.events(ctx, &c, s, events.EventWorkflowFailed)
	case c.Event == "expire":
		s.State, s.FinishedAt = events.WorkflowTimeout, events.Instant(time.Now())
		r.events(ctx, &c, s, events.EventWorkflowTimeout)
	case c.Command == events.CommandCancel:
		s.State, s.FinishedAt, s.Error = events.WorkflowCancelled, events.Instant(time.Now()), &events.Error{Code: "CANCELLED", Message: c.Reason}
		r.events(ctx, &c, s, events.EventWorkflowCancelled)
	default:
		r.events(ctx, &c, s, events.EventStateTransitioned)
	}
}

func (r *router) events(ctx context.Context, c *events.Command, s *events.Snapshot, types ...events.EventType) {
	var records []*kafka.Record
	key := []byte(c.InstanceID.String())
	for _, eventType := range types {
		s.SequenceNumber++
		s.UpdatedAt = events.Instant(time.Now())
		value, err := avro.EncodeEvent(&events.Event{
			EventID: events.EventID("order", c.InstanceID, s.SequenceNumber), EventType: eventType, WorkflowType: "order",
			InstanceID: c.InstanceID, CorrelationID: s.CorrelationID, SequenceNumber: s.SequenceNumber, Timestamp: s.UpdatedAt,
			Source: "router", IdempotencyKey: "x",
			Metadata: map[string]events.ContextValue{events.MetadataCommandID: events.String(c.CommandID.String())},
		})
		if err != nil {
			r.t.Error(err)
		}
		records = append(records, kafka.NewRecord(r.client.names.Events("order"), key, value))
	}
	value, err := avro.EncodeSnapshot(s)
	if err != nil {
		r.t.Error(err)
	}
	records = append(records, kafka.NewRecord(r.client.names.State("order"), key, value))
	if err := r.producer.Send(ctx, records...); err != nil && ctx.Err() == nil {
		r.t.Error(err)
	}
	if types[0] == events.EventWorkflowCreated {
		s.FirstOffset = records[0].Offset
	}
}

func (r *router) outcome(ctx context.Context, c *events.Command, status events.OutcomeStatus, why *events.Error) {
	o := events.Outcome{
		CommandID: c.CommandID, WorkflowType: "order", InstanceID: c.InstanceID, Status: status, Error: why, Timestamp: events.Instant(time.Now()),
	}
	if s := r.instances[c.InstanceID]; s != nil {
		o.SequenceNumber, o.EventID = s.SequenceNumber, events.EventID("order", s.InstanceID, s.SequenceNumber)
		if status == events.OutcomeDuplicate {
			o.InstanceState, o.InstanceSequence, o.InstanceOutput, o.InstanceError = s.State, s.SequenceNumber, s.Output, s.Error
		}
	}
	r.answer(ctx, &o)
}

func (r *router) describe(ctx context.Context, c *events.Command, s *events.Snapshot) {
	if s == nil {
		r.outcome(ctx, c, events.OutcomeRejected, &events.Error{Code: "NOT_FOUND", Message: "there is none"})
		return
	}
	value, err := avro.EncodeSnapshot(s)
	if err != nil {
		r.t.Error(err)
	}
	r.answer(ctx, &events.Outcome{
		CommandID: c.CommandID, WorkflowType: "order", InstanceID: c.InstanceID, Status: events.OutcomeDescribed, Timestamp: events.Instant(time.Now()),
		SequenceNumber: s.SequenceNumber, InstanceState: s.State, InstanceSequence: s.SequenceNumber, Snapshot: value,
	})
}

func (r *router) answer(ctx context.Context, o *events.Outcome) {
	value, err := avro.EncodeOutcome(o)
	if err != nil {
		r.t.Error(err)
	}
	if err := r.producer.Send(ctx, kafka.NewRecord(r.client.names.Outcomes("order"), []byte(o.CommandID.String()), value)); err != nil && ctx.Err() == nil {
		r.t.Error(err)
	}
}

// fiveOrders starts 0 to 4, and finishes 3.
func fiveOrders(ctx context.Context, t *testing.T, c *Client) Decision {
	t.Helper()
	for i := range 5 {
		if _, err := c.Do(ctx, StartRequest{Type: "order", Key: strconv.Itoa(i)}); err != nil {
			t.Fatal(err)
		}
	}
	d, err := c.Do(ctx, SignalRequest{Type: "order", Key: "3", Event: "finish"})
	if err != nil {
		t.Fatal(err)
	}
	return d
}
