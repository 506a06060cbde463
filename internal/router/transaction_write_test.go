package router_test

import (
	"fmt"
	"testing"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/pkg/events"
)

// placed is where the events of each instance stand in the event topic.
func (w *world) placed() map[events.UUID][]int64 {
	w.t.Helper()
	offsets := make(map[events.UUID][]int64)
	for _, r := range w.all(w.names.Events("order")) {
		e, err := avro.DecodeEvent(r.Value)
		if err != nil {
			w.t.Fatal(err)
		}
		offsets[e.InstanceID] = append(offsets[e.InstanceID], r.Offset)
	}
	return offsets
}

// TestSnapshotsKnowWhereTheirEventsAre: none of an instance's events is below the
// offset that its snapshot names, and not much else is between them; whoever
// decides, and whatever was done to the topic.
func TestSnapshotsKnowWhereTheirEventsAre(t *testing.T) {
	w := newWorld(t, unhurried)
	stop := w.router("r1")
	keys := w.keysOf(0, 12)
	below := int64(0) // where the log ended, but for the marker of the transaction, before the newest was decided
	check := func(key, when string) {
		t.Helper()
		_, s := w.described(key, when)
		offsets := w.placed()[s.InstanceID]
		first, newest := offsets[0], offsets[len(offsets)-1]
		if s.FirstOffset > first || s.NewestOffset > newest {
			t.Errorf("%s, %s: events at %v, the snapshot says from %d on, the newest from %d on", key, when, offsets, s.FirstOffset, s.NewestOffset)
		}
		if s.NewestOffset < below {
			t.Errorf("%s, %s: the newest event is at %d or behind, the snapshot says %d and could know %d", key, when, newest, s.NewestOffset, below)
		}
		below = newest + 1
	}
	first := int64(0)
	for i, key := range keys[:6] {
		w.start(key)
		check(key, "started")
		if _, s := w.described(key, "first"); i > 0 && s.FirstOffset <= first {
			t.Errorf("%s begins at %d, and the one before it at %d", key, s.FirstOffset, first)
		} else {
			first = s.FirstOffset
		}
	}
	before := func(key string) int64 { _, s := w.described(key, fmt.Sprint("before ", below)); return s.FirstOffset }
	old := before(keys[2])
	w.say(events.InstanceIDForKey("order", keys[2]).String(), `{"command":"signal","type":"order","key":%q,"event":"more"}`, keys[2])
	check(keys[2], "told more")
	if now := before(keys[2]); now != old {
		t.Errorf("its first event is from %d on, and was from %d on", now, old)
	}
	w.say(events.InstanceIDForKey("order", keys[2]).String(), `{"command":"signal","type":"order","key":%q,"event":"nobody","command_id":"11111111-1111-4111-8111-111111111111"}`, keys[2])
	if _, s := w.described(keys[2], "told nothing"); s.NewestOffset >= below || s.FirstOffset != old || len(s.Seen) != 1 {
		t.Errorf("a command without an event moved the offsets: %+v", s)
	}

	stop()
	stop = w.router("r2") // it asks where the log ends
	w.start(keys[6])
	check(keys[6], "after a restart")
	if now := before(keys[2]); now != old {
		t.Errorf("after a restart its first event is from %d on, and was from %d on", now, old)
	}

	w.remove(w.names.Events("order")) // what was in it is lost, and its offsets begin anew
	w.start(keys[7])
	below = 0
	check(keys[7], "after the topic was made again")
	w.start(keys[8])
	check(keys[8], "after that")
	stop()
}
