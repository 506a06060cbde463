package kafka_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/leat-io/leat/internal/kafka"
)

// TestPausedPartitionsLoseAndRepeatNothing pauses, resumes, removes and adds
// partitions while they are written and read: each offset comes exactly once, in
// order, whatever the client held of a partition when it was paused.
func TestPausedPartitionsLoseAndRepeatNothing(t *testing.T) {
	const parts, each = 4, 5000
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(parts, "t"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	config := kafka.Config{Brokers: c.ListenAddrs()}
	f, err := kafka.NewPositionFetcher(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	for p := range int32(parts) {
		f.Add(kafka.TopicPartition{Topic: "t", Partition: p}, 0)
	}
	written := make(chan error, 1)
	go func() { written <- write(t.Context(), config, parts, each) }()

	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	dice := rand.New(rand.NewPCG(1, 2))
	next := make([]int64, parts)
	paused := make(map[kafka.TopicPartition]bool)
	for left := parts * each; left > 0; {
		polling, enough := context.WithTimeout(ctx, 20*time.Millisecond)
		records, err := f.Poll(polling, 1+dice.IntN(300))
		enough()
		if err != nil || ctx.Err() != nil {
			t.Fatalf("%d records are missing, %v are paused: %v", left, paused, err)
		}
		for _, r := range records {
			if r.Offset != next[r.Partition] {
				t.Fatalf("partition %d gives offset %d, want %d", r.Partition, r.Offset, next[r.Partition])
			}
			next[r.Partition]++
			left--
		}
		p := kafka.TopicPartition{Topic: "t", Partition: int32(dice.IntN(parts))}
		switch {
		case paused[p]:
			f.Resume(p)
			delete(paused, p)
		case dice.IntN(10) == 0: // as a partition that is given up, and comes back
			f.Remove(p)
			f.Add(p, next[p.Partition])
		default:
			f.Pause(p)
			paused[p] = true
		}
	}
	if err := <-written; err != nil {
		t.Fatal(err)
	}
}

func write(ctx context.Context, c kafka.Config, parts, each int) error {
	p, err := kafka.NewProducer(c)
	if err != nil {
		return err
	}
	defer p.Close()
	const batch = 100
	for from := 0; from < each; from += batch {
		var records []*kafka.Record
		for i := range batch * parts {
			value := fmt.Appendf(nil, "%0100d", from+i)
			records = append(records, kafka.NewRecordAt("t", int32(i%parts), nil, value))
		}
		if err := p.Send(ctx, records...); err != nil {
			return err
		}
	}
	return nil
}
