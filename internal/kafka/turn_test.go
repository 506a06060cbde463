package kafka_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/leat-io/leat/internal/kafka"
)

// lastOf reads partition 0 of topic t and counts its records.
func lastOf(ctx context.Context, r *kafka.Reader) (last string, n int, err error) {
	p := kafka.TopicPartition{Topic: "t"}
	bounds, err := r.Range(ctx, p)
	if err != nil {
		return "", 0, err
	}
	err = r.ReadTo(ctx, p, bounds.Start, bounds.End, func(record *kafka.Record) error {
		last = string(record.Value)
		n++
		return nil
	})
	return last, n, err
}

// Each of many counts what is there and writes the next number; all at once.
func TestTurnsSeeEachOther(t *testing.T) {
	_, config := newCluster(t)
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	const writers = 8
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			reader, err := kafka.NewReader(config)
			if err != nil {
				t.Error(err)
				return
			}
			defer reader.Close()
			if err := kafka.InTurn(ctx, config, "counter", func(ctx context.Context) ([]*kafka.Record, error) {
				_, n, err := lastOf(ctx, reader)
				return []*kafka.Record{kafka.NewRecord("t", []byte("k"), fmt.Append(nil, n+1))}, err
			}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	reader, err := kafka.NewReader(config)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	last, n, err := lastOf(ctx, reader)
	if err != nil || n != writers || last != strconv.Itoa(writers) {
		t.Fatalf("got %d records, the last is %q, %v; want %d of them, counted through", n, last, err, writers)
	}
}

// Somebody else takes the turn, and ends it, between looking and writing.
func TestTurnThatWasOvertakenLooksAgain(t *testing.T) {
	_, config := newCluster(t)
	write := func(value string) []*kafka.Record {
		return []*kafka.Record{kafka.NewRecord("t", []byte("k"), []byte(value))}
	}
	reader, err := kafka.NewReader(config)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	overtaken := false
	err = kafka.InTurn(t.Context(), config, "x", func(ctx context.Context) ([]*kafka.Record, error) {
		last, _, err := lastOf(ctx, reader)
		if err != nil || last == "other" {
			return nil, err // it is taken
		}
		if !overtaken {
			overtaken = true
			if err := kafka.InTurn(ctx, config, "x", func(context.Context) ([]*kafka.Record, error) { return write("other"), nil }); err != nil {
				return nil, err
			}
		}
		return write("mine"), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if last, n, err := lastOf(t.Context(), reader); err != nil || n != 1 || last != "other" {
		t.Fatalf("got %d records, the last is %q, %v", n, last, err)
	}
}

func TestTurnEndsWhenItCannotWrite(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	config := kafka.Config{Brokers: c.ListenAddrs()}
	if err := kafka.InTurn(ctx, config, "x", func(context.Context) ([]*kafka.Record, error) {
		return []*kafka.Record{kafka.NewRecord("nowhere", nil, nil)}, nil
	}); err == nil {
		t.Fatal("a record for a topic that is not there was written")
	}
}
