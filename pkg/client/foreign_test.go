package client

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
)

// Events that no router wrote are in no history and end no stream; each time that one
// is read it is counted.
func TestForgedEventsAreCounted(t *testing.T) {
	c := withOrder(t)
	var skipped atomic.Int32
	c.config.Skipped = func(topic string) {
		if topic == c.names.Events("order") {
			skipped.Add(1)
		}
	}
	ctx := within(t, 30*time.Second)
	d, err := c.Do(ctx, StartRequest{Type: "order", Key: "3"})
	if err != nil {
		t.Fatal(err)
	}
	forged := d.Events[0]
	forged.SequenceNumber += 1000
	forged.EventID = events.EventID("order", forged.InstanceID, forged.SequenceNumber)
	value, err := avro.EncodeEvent(&forged)
	if err != nil {
		t.Fatal(err)
	}
	producer, err := kafka.NewProducer(c.kafka)
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	if err := producer.Send(ctx, kafka.NewRecord(c.names.Events("order"), []byte(forged.InstanceID.String()), value)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Do(ctx, SignalRequest{Type: "order", Key: "3", Event: "finish"}); err != nil {
		t.Fatal(err)
	}
	list, err := c.History(ctx, "order", "3", HistoryRequest{})
	if err != nil || len(list) != 4 || skipped.Load() != 1 {
		t.Fatalf("got %d events, %v; %d are counted", len(list), err, skipped.Load())
	}
	n := 0
	for _, err := range c.Follow(ctx, "order", "3", 1) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 4 {
		t.Errorf("a stream of %d events", n)
	}
}
