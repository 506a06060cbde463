package registry

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
)

// skipped stands for a batch that unpacks to too much, see internal/kafka.
const skipped = "batch of offsets 1 to 1 of t/0 unpacks to more than 16777216 bytes; it was skipped"

var poison = map[string]*kafka.Record{
	"garbage":           {Key: []byte("order@1"), Value: []byte("garbage")},
	"empty":             {Key: []byte("order@1"), Value: []byte{}},
	"only a header":     {Key: []byte("order@1"), Value: []byte{0xc3, 1}},
	"without a key":     {Value: []byte("garbage")},
	"a skipped batch":   {Value: []byte(skipped)},
	"nothing at all":    {},
	"a nil of somebody": {Key: []byte("somebody")},
}

const order = "leat: v1\ntype: order\nversion: 1\ninitial: a\nstates:\n  a: {type: final}\n"

func TestRegistryPassesOverPoison(t *testing.T) {
	definition, err := avro.EncodeDefinition(&events.DefinitionRecord{
		WorkflowType: "order", Version: 1, Source: order, Partitions: 1, DeployedAt: time.Unix(1, 0),
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range poison {
		var log bytes.Buffer
		r := New(Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		r.apply(t.Context(), p)
		r.apply(t.Context(), &kafka.Record{Key: []byte("order@1"), Value: definition, Offset: 1})
		r.apply(t.Context(), p) // a version that is deployed stays deployed
		if _, ok := r.Machine("order", 1); !ok {
			t.Errorf("%s: the definition beside it is not there", name)
		}
		if got := strings.Count(log.String(), "level=ERROR"); got != 2 && p.Value != nil || got != 0 && p.Value == nil {
			t.Errorf("%s: %d lines\n%s", name, got, &log)
		}
	}
}

func TestSchedulesPassOverPoison(t *testing.T) {
	record := &events.ScheduleRecord{
		ScheduleID: "daily", WorkflowType: "order", Every: time.Hour, Overlap: events.OverlapSkip,
		Since: time.Unix(1, 0), CreatedAt: time.Unix(1, 0), UpdatedAt: time.Unix(1, 0), UpdatedBy: "test",
	}
	value, err := avro.EncodeSchedule(record)
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range poison {
		var log bytes.Buffer
		s := NewSchedules(Config{Logger: slog.New(slog.NewTextHandler(&log, nil))}, func() {})
		at := func(r *kafka.Record, offset int64) *kafka.Record {
			next := *r
			next.Offset = offset
			return &next
		}
		s.apply(t.Context(), at(p, 0), &kafka.Record{Key: []byte("daily"), Value: value, Offset: 1}, at(p, 2))
		list, _ := s.Of("order")
		if len(list) != 1 || s.next != 3 {
			t.Errorf("%s: %d schedules, next offset %d", name, len(list), s.next)
		}
		if got := strings.Count(log.String(), "level=ERROR"); got != 2 && p.Value != nil || got != 0 && p.Value == nil {
			t.Errorf("%s: %d lines\n%s", name, got, &log)
		}
	}
}
