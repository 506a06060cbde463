package projector

import (
	"context"
	"testing"

	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/shard"
	"github.com/leat-io/leat/pkg/events"
)

// What no router wrote is counted once and passed over, on both kinds of topics,
// and the position moves on behind it.
func TestFoldPassesOverPoison(t *testing.T) {
	id := idFor(1)
	skipped := "batch of offsets 1 to 1 of t/0 unpacks to more than 16777216 bytes; it was skipped"
	for _, state := range []bool{true, false} {
		l := log{topic: names.Events("order")}
		if state {
			l.topic = names.State("order")
			l.snapshot(snapshotOf("order", id, 1, nil))
		} else {
			l.event(eventOf("order", id, 1))
		}
		for _, value := range []string{"garbage", "", "\xc3\x01", skipped} {
			for _, key := range []string{id.String(), "", "no id"} {
				l.append(key, []byte(value))
			}
		}
		l.append("", nil)
		l.append("no id", nil)
		poison := len(l.records) - 1
		counted := make(map[string]int)
		p, err := New(Config{Metrics: Metrics{Skipped: func(topic string) { counted[topic]++ }}})
		if err != nil {
			t.Fatal(err)
		}
		p.sources[l.topic] = sourceOfTest(l.topic, "order")
		w := &worker{Projector: p, folder: &folder{db: memory(t)}}
		if err := w.Process(context.Background(), &shard.Batch{Records: l.records}); err != nil {
			t.Fatal(err)
		}
		if counted[l.topic] != poison {
			t.Errorf("%s: counted %d of %d", l.topic, counted[l.topic], poison)
		}
		if at := p.position(kafka.TopicPartition{Topic: l.topic}); at.next != int64(len(l.records)) {
			t.Errorf("%s: at offset %d of %d", l.topic, at.next, len(l.records))
		}
		if state {
			if i, err := getInstance(w.folder.db, "order", id); err != nil || i == nil || i.workflow != events.WorkflowRunning {
				t.Errorf("the instance is %+v, %v", i, err)
			}
		} else if head, err := headOf(w.folder.db, "order", id); err != nil || head != 1 {
			t.Errorf("the history is at %d, %v", head, err)
		}
	}
}
