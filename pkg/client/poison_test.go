package client

import (
	"testing"
	"time"

	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
)

// What no engine wrote is on every topic, under keys of our own too: reading
// passes over it, and what was readable before it stays.
func TestReadingPassesOverPoison(t *testing.T) {
	c := withOrder(t)
	ctx := within(t, 60*time.Second)
	fiveOrders(ctx, t, c)
	producer, err := kafka.NewProducer(c.kafka)
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	id := []byte(events.InstanceIDForKey("order", "3").String())
	skipped := []byte("batch of offsets 1 to 1 of t/0 unpacks to more than 16777216 bytes; it was skipped")
	for _, topic := range []string{c.names.State("order"), c.names.Events("order"), c.names.Outcomes("order"), c.names.Audit(), c.names.Definitions(), c.names.Schedules()} {
		for _, value := range [][]byte{[]byte("garbage"), {}, {0xc3, 1}, skipped} {
			for _, key := range [][]byte{id, nil, []byte("order@1")} {
				if topic != c.names.Audit() && topic != c.names.Events("order") && topic != c.names.Outcomes("order") && key == nil {
					key = []byte("somebody") // the topic is compacted
				}
				if err := producer.Send(ctx, kafka.NewRecord(topic, key, value)); err != nil {
					t.Fatalf("%s: %v", topic, err)
				}
			}
		}
	}
	if s, err := c.Get(ctx, "order", "3", GetOptions{}); err != nil || s.State != events.WorkflowCompleted {
		t.Errorf("get: %+v, %v", s, err)
	}
	if page, err := c.List(ctx, ListRequest{Type: "order"}); err != nil || len(page.Items) != 5 {
		t.Errorf("list: %d, %v", len(page.Items), err)
	}
	if n, err := c.Counts(ctx, "order"); err != nil || n.Instances != 5 {
		t.Errorf("counts: %+v, %v", n, err)
	}
	if list, err := c.History(ctx, "order", "3", HistoryRequest{}); err != nil || len(list) != 4 {
		t.Errorf("history: %d, %v", len(list), err)
	}
	n := 0
	for _, err := range c.Follow(ctx, "order", "3", 1) {
		if err != nil {
			t.Error(err)
		}
		n++
	}
	if n != 4 {
		t.Errorf("followed %d events", n)
	}
	if _, err := c.Audit(ctx, AuditRequest{}); err != nil {
		t.Errorf("audit: %v", err)
	}
	if list, err := c.Schedules(ctx); err != nil || len(list) != 0 {
		t.Errorf("schedules: %v, %v", list, err)
	}
	if d, err := c.Definition(ctx, "order", 1); err != nil || d.Version != 1 {
		t.Errorf("definition: %+v, %v", d, err)
	}
	if d, err := c.Do(ctx, StartRequest{Type: "order", Key: "6"}); err != nil || len(d.Events) != 2 {
		t.Errorf("start: %+v, %v", d, err)
	}
}
