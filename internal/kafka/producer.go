package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/leat-io/leat/pkg/topics"
)

// Producer writes records outside of transactions: commands, definitions,
// claims and results. It is idempotent, waits for all in-sync replicas and does
// not linger. Safe for concurrent use.
type Producer struct {
	client *kgo.Client
}

// NewProducer makes a producer.
func NewProducer(c Config) (*Producer, error) {
	client, err := c.newClient(append(producing(),
		kgo.RecordDeliveryTimeout(30*time.Second),
		// What comes while a request is under way goes together in the next one:
		// batches grow with the load, and nothing ever waits for a batch to fill.
		kgo.MaxProduceRequestsInflightPerBroker(1),
	)...)
	if err != nil {
		return nil, err
	}
	return &Producer{client: client}, nil
}

// producing is what plain and transactional producers share. The partitioner
// is our own, so that it is the one that pkg/topics documents; a record that
// names its partition (RecordPartition) keeps it.
func producing() []kgo.Opt {
	return []kgo.Opt{
		kgo.ProducerLinger(0),
		kgo.ProducerBatchMaxBytes(1 << 20),
		kgo.RecordPartitioner(partitioner()),
		kgo.MetadataMinAge(10 * time.Millisecond),
		fastRetry(),
	}
}

// anyPartition marks a record that is placed by its key; what is below, so many
// partitions behind that.
const anyPartition = -1

func partitioner() kgo.Partitioner {
	return kgo.BasicConsistentPartitioner(func(string) func(*kgo.Record, int) int {
		return func(r *kgo.Record, n int) int {
			if r.Partition >= 0 {
				return int(r.Partition)
			}
			home := int(topics.Partition(r.Key, int32(n))) //nolint:gosec // partition counts are small
			return (home + anyPartition - int(r.Partition)) % n
		}
	})
}

// NewRecord is a record that its key places.
func NewRecord(topic string, key, value []byte) *Record {
	return &Record{Topic: topic, Partition: anyPartition, Key: key, Value: value}
}

// NewRecordBeside is a record for the partition that is by steps behind the one in
// which its key places it, round and round.
func NewRecordBeside(topic string, steps uint32, key, value []byte) *Record {
	return &Record{Topic: topic, Partition: anyPartition - int32(steps>>1), Key: key, Value: value}
}

// NewRecordAt is a record for one partition.
func NewRecordAt(topic string, partition int32, key, value []byte) *Record {
	return &Record{Topic: topic, Partition: partition, Key: key, Value: value}
}

// Send writes the records and waits until all are durable, or ctx ends. An error
// means that some may not be; which ones is in the records' offsets no more than the
// error.
func (p *Producer) Send(ctx context.Context, records ...*Record) error {
	err := p.send(ctx, records)
	if errors.Is(err, kerr.UnknownTopicID) {
		p.forget(records[0].Topic)
		err = p.send(ctx, records)
	}
	if err != nil {
		return fmt.Errorf("write to %s: %w", records[0].Topic, err)
	}
	return nil
}

// send gives the first error. What is on its way to a broker that does not answer
// outlasts ctx, and ends with the producer: whoever waits need not.
func (p *Producer) send(ctx context.Context, records []*Record) (first error) {
	ended := make(chan error, len(records))
	for _, r := range records {
		p.client.Produce(ctx, r, func(_ *kgo.Record, err error) { ended <- err })
	}
	for range records {
		select {
		case err := <-ended:
			if first == nil {
				first = err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return first
}

// Go writes one record and calls done, from the producer's own goroutine, when
// it is durable or has failed.
func (p *Producer) Go(ctx context.Context, record *Record, done func(error)) {
	p.client.Produce(ctx, record, func(_ *kgo.Record, err error) {
		if errors.Is(err, kerr.UnknownTopicID) {
			go func() { // the client waits for this function
				p.forget(record.Topic)
				p.client.Produce(ctx, record, func(_ *kgo.Record, err error) { done(err) })
			}()
			return
		}
		done(err)
	})
}

// forget lets the client forget a topic that was deleted: when it is made again,
// the client would go on to write to the old one.
func (p *Producer) forget(topic string) { p.client.PurgeTopicsFromProducing(topic) }

// Ping asks a broker whether it is there.
func (p *Producer) Ping(ctx context.Context) error {
	if err := p.client.Ping(ctx); err != nil {
		return fmt.Errorf("reach kafka: %w", err)
	}
	return nil
}

// Close fails what is still being written.
func (p *Producer) Close() { closeWithin(p.client.Close) }
