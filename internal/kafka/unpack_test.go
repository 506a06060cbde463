package kafka_test

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/leat-io/leat/internal/kafka"
)

// bomb writes a record, a small batch that unpacks to 20 MiB, and a record.
func bomb(t *testing.T, brokers []string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ProducerBatchCompression(kgo.GzipCompression()),
		kgo.ProducerBatchMaxBytes(64<<20), kgo.BrokerMaxWriteBytes(128<<20))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, value := range [][]byte{[]byte("before"), make([]byte, 20<<20), []byte("behind")} {
		if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: value}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

// checkSkipped holds what a reader gives against what bomb wrote.
func checkSkipped(t *testing.T, got []*kafka.Record) {
	t.Helper()
	if len(got) != 3 || string(got[0].Value) != "before" || string(got[2].Value) != "behind" {
		t.Fatalf("read %d records, want one before, one for the batch, one behind", len(got))
	}
	want := "batch of offsets 1 to 1 of t/0 unpacks to more than 16777216 bytes or 131072 records, or cannot be unpacked; it was skipped"
	if string(got[1].Value) != want || got[1].Offset != 1 || got[1].Topic != "t" {
		t.Errorf("the batch is %s@%d: %.200s", got[1].Topic, got[1].Offset, got[1].Value)
	}
}

func TestFetcherGoesOnBehindABatchThatUnpacksToTooMuch(t *testing.T) {
	_, config := newCluster(t)
	bomb(t, config.Brokers)
	f, err := kafka.NewFetcher(config)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	f.Add(kafka.TopicPartition{Topic: "t"}, 0)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var got []*kafka.Record
	for len(got) < 3 && ctx.Err() == nil {
		records, err := f.Poll(ctx, 10)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, records...)
	}
	checkSkipped(t, got)
}

func TestReaderGoesOnBehindABatchThatUnpacksToTooMuch(t *testing.T) {
	_, config := newCluster(t)
	bomb(t, config.Brokers)
	r, err := kafka.NewReader(config)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var got []*kafka.Record
	err = r.ReadTo(ctx, kafka.TopicPartition{Topic: "t"}, 0, 3, func(record *kafka.Record) error {
		got = append(got, record)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	checkSkipped(t, got)
}

func TestAChainOfBatchesThatUnpackToMuchIsReadInTurn(t *testing.T) {
	_, config := newCluster(t)
	client, err := kgo.NewClient(kgo.SeedBrokers(config.Brokers...), kgo.ProducerBatchCompression(kgo.ZstdCompression()),
		kgo.ProducerBatchMaxBytes(64<<20), kgo.BrokerMaxWriteBytes(128<<20))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	const chain = 12 // each is more than a third of what is unpacked ahead
	for range chain {
		if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: make([]byte, 12<<20)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	r, err := kafka.NewReader(config)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	f, err := kafka.NewFetcher(config)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	read := 0
	if err := r.ReadTo(ctx, kafka.TopicPartition{Topic: "t"}, 0, chain, func(*kafka.Record) error { read++; return nil }); err != nil || read != chain {
		t.Fatalf("the reader gives %d of %d: %v", read, chain, err)
	}
	f.Add(kafka.TopicPartition{Topic: "t"}, 0)
	for next := int64(0); next < chain; {
		records, err := f.Poll(ctx, 1)
		if err != nil || len(records) == 0 || records[0].Offset != next {
			t.Fatalf("the fetcher gives %v at offset %d: %v", records, next, err)
		}
		next++
	}
}
