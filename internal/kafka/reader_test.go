package kafka_test

import (
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leat-io/leat/internal/kafka"
)

// Who stops near where it began has not fetched much of what lies behind, and who
// does not stop reads all.
func TestReadNearFetchesLittle(t *testing.T) {
	_, config := newCluster(t)
	const records, size = 200, 16 << 10
	p, err := kafka.NewProducer(config)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for range records {
		value := make([]byte, size)
		for i := range value { // there is nothing to compress
			value[i] = byte(rand.Uint32())
		}
		if err := p.Send(t.Context(), kafka.NewRecord("t", nil, value)); err != nil {
			t.Fatal(err)
		}
	}
	var read atomic.Int64
	config.Hooks = append(config.Hooks, kafka.Observer{Read: func(_ string, bytes int, _ time.Duration, _ error) { read.Add(int64(bytes)) }}.Hook())
	r, err := kafka.NewReader(config)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	at, enough := kafka.TopicPartition{Topic: "t"}, errors.New("enough")
	err = r.ReadNear(t.Context(), at, records/2, records, func(record *kafka.Record) error {
		if record.Offset != records/2 {
			t.Errorf("the first record is at %d", record.Offset)
		}
		return enough
	})
	// The client fetches once more while the first answer is looked at.
	if got := read.Load(); !errors.Is(err, enough) || got > 10*size {
		t.Errorf("%d bytes were read for one record of %d: %v", got, size, err)
	}
	seen := int64(0)
	err = r.ReadNear(t.Context(), at, 0, records, func(record *kafka.Record) error {
		if record.Offset != seen {
			t.Errorf("offset %d follows %d", record.Offset, seen-1)
		}
		seen++
		return nil
	})
	if err != nil || seen != records {
		t.Errorf("%d of %d records were read: %v", seen, records, err)
	}
}
