package client

import (
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/topics"
)

// What lies before and behind an instance's events is not fetched with them.
func TestHistoryFetchesLittle(t *testing.T) {
	c := withOrder(t)
	ctx := within(t, 30*time.Second)
	key := []byte(events.InstanceIDForKey("order", "1").String())
	const size, records = 16 << 10, 100
	producer, err := c.producing()
	if err != nil {
		t.Fatal(err)
	}
	crowd := func() {
		for range records {
			value := make([]byte, size)
			for i := range value { // there is nothing to compress
				value[i] = byte(rand.Uint32())
			}
			r := kafka.NewRecordAt(c.names.Events("order"), topics.Partition(key, 4), []byte("another"), value)
			if err := producer.Send(ctx, r); err != nil {
				t.Fatal(err)
			}
		}
	}
	crowd()
	for _, r := range []Request{StartRequest{Type: "order", Key: "1"}, SignalRequest{Type: "order", Key: "1", Event: "finish"}} {
		if _, err := c.Do(ctx, r); err != nil {
			t.Fatal(err)
		}
	}
	crowd()
	other, err := New(Config{Brokers: c.config.Brokers, Prefix: c.config.Prefix})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	var read atomic.Int64
	other.kafka.Hooks = append(other.kafka.Hooks, kafka.Observer{Read: func(_ string, bytes int, _ time.Duration, _ error) { read.Add(int64(bytes)) }}.Hook())
	list, err := other.History(ctx, "order", "1", HistoryRequest{})
	if err != nil || len(list) != 4 {
		t.Fatalf("got %d events, %v", len(list), err)
	}
	if got := read.Load(); got > 12*size {
		t.Errorf("%d bytes were read for a history of four events", got)
	}
}
