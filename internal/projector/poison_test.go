package projector

import (
	"context"
	"testing"

	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/projector/logtest"
	"github.com/leat-io/leat/internal/projector/views"
	"github.com/leat-io/leat/internal/shard"
	"github.com/leat-io/leat/pkg/events"
)

// What no router wrote is counted once and passed over, on both kinds of topics,
// and the position moves on behind it.
func TestFoldPassesOverPoison(t *testing.T) {
	id := logtest.ID(1)
	skipped := "batch of offsets 1 to 1 of t/0 unpacks to more than 16777216 bytes; it was skipped"
	for _, state := range []bool{true, false} {
		l := logtest.Log{Topic: logtest.Names.Events("order")}
		if state {
			l.Topic = logtest.Names.State("order")
			l.Snapshot(logtest.Snapshot("order", id, 1, nil))
		} else {
			l.Event(logtest.Event("order", id, 1))
		}
		for _, value := range []string{"garbage", "", "\xc3\x01", skipped} {
			for _, key := range []string{id.String(), "", "no id"} {
				l.Append(key, []byte(value))
			}
		}
		l.Append("", nil)
		l.Append("no id", nil)
		poison := len(l.Records) - 1
		counted := make(map[string]int)
		p, err := New(Config{Metrics: Metrics{Skipped: func(topic string) { counted[topic]++ }}})
		if err != nil {
			t.Fatal(err)
		}
		p.sources[l.Topic] = views.Source{Type: "order", State: state}
		w := &worker{Projector: p, folder: &views.Folder{DB: memory(t)}}
		if err := w.Process(context.Background(), &shard.Batch{Records: l.Records}); err != nil {
			t.Fatal(err)
		}
		if counted[l.Topic] != poison {
			t.Errorf("%s: counted %d of %d", l.Topic, counted[l.Topic], poison)
		}
		if at := p.position(kafka.TopicPartition{Topic: l.Topic}); at.Next != int64(len(l.Records)) {
			t.Errorf("%s: at offset %d of %d", l.Topic, at.Next, len(l.Records))
		}
		if state {
			if i, err := views.Get(w.folder.DB, "order", id); err != nil || i == nil || i.Workflow != events.WorkflowRunning {
				t.Errorf("the instance is %+v, %v", i, err)
			}
		} else if head, err := views.HeadOf(w.folder.DB, "order", id); err != nil || head != 1 {
			t.Errorf("the history is at %d, %v", head, err)
		}
	}
}
