package router_test

import (
	"testing"

	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/topics"
)

const limited = `leat: v1
type: order
version: 1
limits: {max_events: 6, max_runtime_seconds: 1}
states:
  a: {on: {more: {actions: [{emit: {event: noted}}]}, done: b}}
  b: {type: final}
`

// An instance that goes over a limit ends; its neighbour in the same partition
// does not notice.
func TestLimitsEndOneInstanceOnly(t *testing.T) {
	w := newWorld(t, limited)
	w.router("r1")
	greedy, slow := events.InstanceIDForKey("order", "greedy"), events.InstanceIDForKey("order", "slow")
	var modest events.UUID // lives where greedy lives
	var key string
	for n := 'a'; ; n++ {
		key = string(n)
		modest = events.InstanceIDForKey("order", key)
		if topics.Partition([]byte(modest.String()), partitions) == topics.Partition([]byte(greedy.String()), partitions) {
			break
		}
	}
	w.say(greedy.String(), `{"command":"start","type":"order","key":"greedy"}`)
	w.say(modest.String(), `{"command":"start","type":"order","key":%q}`, key)
	for range 9 {
		w.say(greedy.String(), `{"command":"signal","type":"order","key":"greedy","event":"more"}`)
	}
	w.say(modest.String(), `{"command":"signal","type":"order","key":%q,"event":"done"}`, key)
	w.say(slow.String(), `{"command":"start","type":"order","key":"slow"}`)

	all := w.history(9 + 4 + 3)
	for id, want := range map[events.UUID]events.EventType{
		greedy: events.EventWorkflowFailed, modest: events.EventWorkflowCompleted, slow: events.EventWorkflowTimeout,
	} {
		list := all[id]
		if len(list) == 0 || list[len(list)-1].EventType != want {
			t.Errorf("history is %v, want it to end with %s", types(list), want)
		}
	}
	if e := all[greedy][len(all[greedy])-1]; e.Data["error_code"].Str() != "LIMIT_EXCEEDED" || e.SequenceNumber != 9 {
		t.Errorf("the end is %+v", e)
	}
}
