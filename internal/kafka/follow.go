package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// ErrNoTopic says that a topic does not exist.
var ErrNoTopic = errors.New("topic does not exist")

// NoTopic reports whether err came from a topic that does not exist.
func NoTopic(err error) bool {
	return errors.Is(err, ErrNoTopic) || errors.Is(err, kerr.UnknownTopicOrPartition)
}

// AddAll begins to read many partitions at once. Prefer it over [Fetcher.Add] in
// a row: a partition that comes later waits for the fetch under way.
func (f *Fetcher) AddAll(next map[TopicPartition]int64) {
	all := make(map[string]map[int32]kgo.Offset)
	for p, offset := range next {
		if all[p.Topic] == nil {
			all[p.Topic] = make(map[int32]kgo.Offset)
		}
		all[p.Topic][p.Partition] = kgo.NewOffset().At(offset)
	}
	f.config.move()
	f.client.AddConsumePartitions(all)
}

// staleMetadata is longer than the client believes what it knows of topics.
const staleMetadata = 20 * time.Millisecond

// Ranges is [Reader.Range] for every partition of a topic. The error is
// [ErrNoTopic] when there is none, which is asked twice: the client may remember
// it from before the topic was made.
func (r *Reader) Ranges(ctx context.Context, topic string) (map[TopicPartition]Range, error) {
	all, err := r.ranges(ctx, topic)
	if !errors.Is(err, ErrNoTopic) {
		return all, err
	}
	if Pause(ctx, staleMetadata); ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return r.ranges(ctx, topic)
}

func (r *Reader) ranges(ctx context.Context, topic string) (map[TopicPartition]Range, error) {
	starts, err := r.admin.ListStartOffsets(ctx, topic)
	if err != nil {
		return nil, fmt.Errorf("start offsets of %s: %w", topic, err)
	}
	from, err := offsetsOf(topic, starts)
	if err != nil {
		return nil, err
	}
	to, err := r.ends(ctx, topic)
	if err != nil {
		return nil, err
	}
	all := make(map[TopicPartition]Range, len(from))
	for p, start := range from {
		all[p] = Range{Start: start, End: to[p]}
	}
	return all, nil
}

// Ends is the end of every partition of a topic, with the errors of [Reader.Ranges].
func (r *Reader) Ends(ctx context.Context, topic string) (map[TopicPartition]int64, error) {
	ends, err := r.ends(ctx, topic)
	if !errors.Is(err, ErrNoTopic) {
		return ends, err
	}
	if Pause(ctx, staleMetadata); ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return r.ends(ctx, topic)
}

func (r *Reader) ends(ctx context.Context, topic string) (map[TopicPartition]int64, error) {
	listed, err := r.admin.ListEndOffsets(ctx, topic)
	if err != nil {
		return nil, fmt.Errorf("end offsets of %s: %w", topic, err)
	}
	return offsetsOf(topic, listed)
}

// OffsetsAt lists, for every partition of a topic, the first offset whose record
// is not older than at, or the end when there is none.
func (r *Reader) OffsetsAt(ctx context.Context, topic string, at time.Time) (map[TopicPartition]int64, error) {
	listed, err := r.admin.ListOffsetsAfterMilli(ctx, at.UnixMilli(), topic)
	if err != nil {
		return nil, fmt.Errorf("offsets of %s at %s: %w", topic, at.UTC().Format(time.RFC3339), err)
	}
	return offsetsOf(topic, listed)
}

func offsetsOf(topic string, listed kadm.ListedOffsets) (map[TopicPartition]int64, error) {
	all := make(map[TopicPartition]int64)
	for partition, o := range listed[topic] {
		switch {
		case errors.Is(o.Err, kerr.UnknownTopicOrPartition):
			return nil, fmt.Errorf("%q: %w", topic, ErrNoTopic)
		case o.Err != nil:
			return nil, fmt.Errorf("offset of %s/%d: %w", topic, partition, o.Err)
		}
		all[TopicPartition{topic, partition}] = o.Offset
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%q: %w", topic, ErrNoTopic)
	}
	return all, nil
}
