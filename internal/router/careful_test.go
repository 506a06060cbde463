package router_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/topics"
)

// collecting keeps what each signal brings, and that of "look" only once.
func collecting(rounds int) string {
	var data, on strings.Builder
	for i := range rounds {
		fmt.Fprintf(&data, "  v%d: {type: string, default: \"\"}\n", i)
		fmt.Fprintf(&on, "      keep%d: {assign: {v%d: event.data}}\n", i, i)
	}
	return "leat: v1\ntype: order\nversion: 1\ndata:\n" + data.String() + "initial: open\nstates:\n  open:\n    on:\n" + on.String() + "      look: {assign: {v0: event.data}}\n"
}

// TestBatchIsDecidedAgainWhole has an instance outgrow its snapshot within one
// batch that is more than one transaction takes: it is parked, the batch is
// decided again, and its neighbours' inputs are decided once and in order,
// whatever the first try left.
func TestBatchIsDecidedAgainWhole(t *testing.T) {
	const others, rounds = 5, 14
	w := newWorld(t, collecting(rounds))
	say := func(key, command, more string) *kafka.Record {
		value := fmt.Appendf(nil, `{"command":%q,"type":"order","key":%q%s}`, command, key, more)
		return kafka.NewRecordAt(w.names.Commands("order"), 0, nil, value)
	}
	keys := w.keysOf(0, others+1)
	big, small := keys[0], keys[1:]
	data := func(event string, kib int) string {
		return fmt.Sprintf(`,"event":%q,"data":%q`, event, strings.Repeat("x", kib<<10))
	}
	var all []*kafka.Record
	for _, key := range keys {
		all = append(all, say(key, "start", ""))
	}
	for i := range rounds {
		all = append(all, say(big, "signal", data(fmt.Sprint("keep", i), 100)))
		for _, key := range small {
			all = append(all, say(key, "signal", data("look", 100)))
		}
	}
	w.send(all...)
	w.router("r1")
	want := others*(2+rounds) + 2 + 8 // of the large one, before it is full
	history := w.history(want + 1)
	for _, key := range small {
		list := history[events.InstanceIDForKey("order", key)]
		if len(list) != 2+rounds {
			t.Errorf("%s has %d events, want %d", key, len(list), 2+rounds)
		}
	}
	list := history[events.InstanceIDForKey("order", big)]
	if last := list[len(list)-1]; last.EventType != events.EventErrorOccurred {
		t.Errorf("the history of the large one ends with %s: %v", last.EventType, types(list))
	}
}

// keysOf are n keys whose instances are in one partition.
func (w *world) keysOf(partition int32, n int) (keys []string) {
	for i := 0; len(keys) < n; i++ {
		key := fmt.Sprint("k", i)
		if topics.Partition([]byte(events.InstanceIDForKey("order", key).String()), partitions) == partition {
			keys = append(keys, key)
		}
	}
	return keys
}
