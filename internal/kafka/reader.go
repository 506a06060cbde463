package kafka

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Reader reads partitions from an offset up to where the log ends now. It is
// how a worker restores: transactions that are open below that end are waited
// for, aborted ones are left out.
type Reader struct {
	config Config
	client *kgo.Client
	admin  *kadm.Client
}

// NewReader makes a reader.
func NewReader(c Config) (*Reader, error) {
	client, err := c.newClient(fastRetry(), kgo.MetadataMinAge(10*time.Millisecond))
	if err != nil {
		return nil, err
	}
	return &Reader{config: c, client: client, admin: kadm.NewClient(client)}, nil
}

// Range is where the log of a partition begins and ends: Start is the oldest
// offset that is still there, End the offset of the next record, whether it is
// committed or not.
type Range struct{ Start, End int64 }

// Range asks for the bounds of p.
func (r *Reader) Range(ctx context.Context, p TopicPartition) (Range, error) {
	starts, err := r.admin.ListStartOffsets(ctx, p.Topic)
	if err != nil {
		return Range{}, fmt.Errorf("start offset of %s: %w", p, err)
	}
	ends, err := r.admin.ListEndOffsets(ctx, p.Topic)
	if err != nil {
		return Range{}, fmt.Errorf("end offset of %s: %w", p, err)
	}
	start, okStart := starts.Lookup(p.Topic, p.Partition)
	end, okEnd := ends.Lookup(p.Topic, p.Partition)
	if !okStart || !okEnd {
		return Range{}, fmt.Errorf("%s does not exist", p)
	}
	if start.Err != nil {
		return Range{}, fmt.Errorf("start offset of %s: %w", p, start.Err)
	}
	if end.Err != nil {
		return Range{}, fmt.Errorf("end offset of %s: %w", p, end.Err)
	}
	return Range{Start: start.Offset, End: end.Offset}, nil
}

// End asks for the offset of the next record of p, committed or not.
func (r *Reader) End(ctx context.Context, p TopicPartition) (int64, error) {
	ends, err := r.admin.ListEndOffsets(ctx, p.Topic)
	if err != nil {
		return 0, fmt.Errorf("end offset of %s: %w", p, err)
	}
	end, ok := ends.Lookup(p.Topic, p.Partition)
	switch {
	case !ok:
		return 0, fmt.Errorf("%s does not exist", p)
	case end.Err != nil:
		return 0, fmt.Errorf("end offset of %s: %w", p, end.Err)
	}
	return end.Offset, nil
}

// ReadTo calls visit with every committed record of p in [from, end), in order,
// and returns when the log is known to have no more of them. Control records
// are what makes that certain when the log ends in an aborted transaction.
func (r *Reader) ReadTo(ctx context.Context, p TopicPartition, from, end int64, visit func(*Record) error) error {
	return r.read(ctx, p, Range{from, end}, visit)
}

// nearBytes is some dozens of events, or one batch where batches are larger.
const nearBytes = 8 << 10

// ReadNear is [Reader.ReadTo] for who finds what it wants near from and stops
// there by an error of visit: it fetches little at a time, where ReadTo fetches a
// mebibyte that would be unpacked for nothing.
func (r *Reader) ReadNear(ctx context.Context, p TopicPartition, from, end int64, visit func(*Record) error) error {
	return r.read(ctx, p, Range{from, end}, visit, kgo.FetchMaxPartitionBytes(nearBytes))
}

func (r *Reader) read(ctx context.Context, p TopicPartition, within Range, visit func(*Record) error, more ...kgo.Opt) error {
	from, end := within.Start, within.End
	if from >= end {
		return nil
	}
	client, err := r.config.newClient(append(more,
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{p.Topic: {p.Partition: kgo.NewOffset().At(from)}}),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.KeepControlRecords(),
		kgo.FetchMaxWait(250*time.Millisecond),
		kgo.MetadataMinAge(10*time.Millisecond),
		fastRetry(),
	)...)
	if err != nil {
		return err
	}
	defer closeWithin(client.Close)
	for next := from; next < end; {
		fetches := client.PollFetches(ctx)
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("read %s at offset %d of %d: %w", p, next, end, err)
		}
		records, err := readable(client, fetches)
		if err != nil {
			return fmt.Errorf("read %s at offset %d of %d: %w", p, next, end, err)
		}
		for _, record := range records {
			if record.Offset >= end {
				return nil
			}
			next = record.Offset + 1
			if record.Attrs.IsControl() {
				continue
			}
			if err := visit(record); err != nil {
				return err
			}
		}
	}
	return nil
}

// ReadAll reads every partition of topic from its start to its present end.
func (r *Reader) ReadAll(ctx context.Context, topic string, visit func(*Record) error) error {
	ends, err := r.admin.ListEndOffsets(ctx, topic)
	if err != nil {
		return fmt.Errorf("end offsets of %s: %w", topic, err)
	}
	for partition := range ends[topic] {
		p := TopicPartition{topic, partition}
		bounds, err := r.Range(ctx, p)
		if err != nil {
			return err
		}
		if err := r.ReadTo(ctx, p, bounds.Start, bounds.End, visit); err != nil {
			return err
		}
	}
	return nil
}

// Close ends the reader.
func (r *Reader) Close() { closeWithin(r.client.Close) }
