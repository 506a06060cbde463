package door

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/topics"
)

// A crowd is written by copying what the engine wrote of one instance: its events
// with their headers and its snapshot, under ids of their own that are derived as
// the engine derives them. A type is filled before it is deployed, so that its
// router and its projector read the crowd as they read any log that is there.

// template is a finished instance.
type template struct {
	state   events.Snapshot
	history []events.Event
}

type templates struct{ short, long template }

// crowdKey is the business key of the i-th of a crowd.
func crowdKey(i int) string { return "crowd-" + strconv.Itoa(i) }

// longKey is that of the one with the long history, in the middle of the log.
func longKey(size int) string { return crowdKey(size / 2) }

// copyOf is t as an instance of its own. Its events begin at offset first.
func (t *template) copyOf(workflowType string, i int, first int64) template {
	key := crowdKey(i)
	id := events.InstanceIDForKey(workflowType, key)
	later := time.Duration(i) * time.Microsecond
	state := t.state
	state.WorkflowType, state.Key, state.InstanceID = workflowType, key, id
	state.CorrelationID = events.DeriveUUID(id, "correlation")
	state.CreatedAt, state.UpdatedAt, state.FinishedAt = state.CreatedAt.Add(later), state.UpdatedAt.Add(later), state.FinishedAt.Add(later)
	state.FirstOffset, state.NewestOffset = first, first
	copied := template{state: state, history: make([]events.Event, len(t.history))}
	renamed := make(map[events.UUID]events.UUID, len(t.history))
	for n, e := range t.history {
		renamed[e.EventID] = events.EventID(workflowType, id, e.SequenceNumber)
		e.EventID, e.WorkflowType, e.InstanceID, e.CorrelationID = renamed[e.EventID], workflowType, id, state.CorrelationID
		e.IdempotencyKey = workflowType + "-" + id.String() + "-" + strconv.FormatInt(e.SequenceNumber, 10)
		e.Timestamp = e.Timestamp.Add(later)
		if !e.CausationID.IsNil() {
			e.CausationID = renamed[e.CausationID]
		}
		chain := make([]events.UUID, len(e.CorrelationChain))
		for at, of := range e.CorrelationChain {
			chain[at] = renamed[of]
		}
		e.CorrelationChain = chain
		copied.history[n] = e
	}
	return copied
}

// The batches of a crowd are as large as those of a busy router, which writes one
// a transaction: larger ones would make a point read unpack more than it does.
const (
	batchBytes  = 32 << 10
	batchLinger = 5 * time.Millisecond
)

// filler writes a crowd and keeps account of the offsets.
type filler struct {
	names  topics.Names
	client *kgo.Client
	next   [partitions]int64 // offset of the next event

	writing sync.WaitGroup
	mu      sync.Mutex
	failed  error
}

// fill writes size instances to the topics of a type that is not deployed yet.
func (c *cluster) fill(ctx context.Context, workflowType string, size int, t templates) error {
	config := kafka.Config{Brokers: c.brokers, ClientID: "leat-bench"}
	f := &filler{names: topics.Names{Prefix: c.prefix}}
	admin, err := kafka.NewAdmin(config)
	if err != nil {
		return err
	}
	defer admin.Close()
	if err := admin.Provision(ctx, -1, f.names.Type(workflowType, partitions)...); err != nil {
		return err
	}
	if f.client, err = kgo.NewClient(
		kgo.SeedBrokers(c.brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchMaxBytes(batchBytes), kgo.ProducerLinger(batchLinger),
	); err != nil {
		return fmt.Errorf("make kafka client: %w", err)
	}
	defer f.client.Close()
	for i := range size {
		of := &t.short
		if i == size/2 {
			of = &t.long
		}
		if err := f.write(ctx, workflowType, i, of); err != nil {
			return err
		}
	}
	f.writing.Wait()
	return f.failure()
}

// write writes one instance, and returns before it is durable.
func (f *filler) write(ctx context.Context, workflowType string, i int, t *template) error {
	id := events.InstanceIDForKey(workflowType, crowdKey(i)).String()
	p := topics.Partition([]byte(id), partitions)
	one := t.copyOf(workflowType, i, f.next[p])
	f.next[p] += int64(len(one.history))
	for n := range one.history {
		e := &one.history[n]
		value, err := avro.EncodeEvent(e)
		if err != nil {
			return err
		}
		r := kafka.NewRecordAt(f.names.Events(workflowType), p, []byte(id), value)
		r.Timestamp = e.Timestamp
		for _, h := range avro.CloudEvents(e) {
			r.Headers = append(r.Headers, kafka.Header(h))
		}
		f.send(ctx, r)
	}
	value, err := avro.EncodeSnapshot(&one.state)
	if err != nil {
		return err
	}
	f.send(ctx, kafka.NewRecordAt(f.names.State(workflowType), p, []byte(id), value))
	return errors.Join(f.failure(), ctx.Err())
}

func (f *filler) send(ctx context.Context, r *kafka.Record) {
	f.writing.Add(1)
	f.client.Produce(ctx, r, func(_ *kgo.Record, err error) {
		if err != nil {
			f.mu.Lock()
			f.failed = err
			f.mu.Unlock()
		}
		f.writing.Done()
	})
}

func (f *filler) failure() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failed
}
