package avro_test

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/pkg/events"
)

// What stands on an event topic and is no router's is foreign, and the history
// goes on behind it.
func TestForeignEventsAreNoHistory(t *testing.T) {
	id := events.DeriveUUID(events.Namespace, "history")
	key := []byte(id.String())
	bytes := func(sequence int64, edit func(*events.Event)) []byte {
		e := events.Event{
			EventID: events.EventID("order", id, sequence), EventType: events.EventStateTransitioned, WorkflowType: "order",
			InstanceID: id, CorrelationID: id, SequenceNumber: sequence, Timestamp: time.Unix(1, 0).UTC(), Source: "test",
			IdempotencyKey: "k", Metadata: map[string]events.ContextValue{events.MetadataCommandID: events.String(id.String())},
		}
		if edit != nil {
			edit(&e)
		}
		b, err := avro.EncodeEvent(&e)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, tt := range []struct {
		name   string
		key    []byte
		value  []byte
		offset int64
	}{
		{"nothing", key, nil, 5},
		{"garbage", key, []byte("garbage"), 5},
		{"a skipped batch", nil, []byte("batch of offsets 1 to 1 of t/0 unpacks to more than 16777216 bytes; it was skipped"), 5},
		{"cut", key, bytes(3, nil)[:40], 5},
		{"longer", key, append(bytes(3, nil), 0), 5},
		{"repeated", key, bytes(1, nil), 5},
		{"a gap", key, bytes(4, nil), 5},
		{"impossible", key, bytes(math.MaxInt64, nil), 5},
		{"higher than its offset allows", key, bytes(3, nil), 1},
		{"another id", key, bytes(3, func(e *events.Event) { e.EventID = id }), 5},
		{"another key", []byte(events.EventID("order", id, 9).String()), bytes(3, nil), 5},
		{"another type", key, bytes(3, func(e *events.Event) {
			e.WorkflowType, e.EventID = "pay", events.EventID("pay", id, 3)
		}), 5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := avro.History{Type: "order"}
			for n := range int64(2) {
				if _, err := h.Next(key, bytes(n+1, nil), n); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := h.Next(tt.key, tt.value, tt.offset); !errors.Is(err, avro.ErrForeign) {
				t.Fatalf("got %v, want ErrForeign", err)
			}
			if _, err := h.Next(key, bytes(3, nil), 6); err != nil {
				t.Fatalf("the next event: %v", err)
			}
		})
	}
}
