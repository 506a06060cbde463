package router_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
)

const ticking = `
leat: v1
type: order
version: 1
initial: a
states:
  a: {after: {50ms: b}}
  b: {after: {"duration(input.wait)": c}}
  c: {type: final}
`

func TestTimersFireInOrderAndNeverEarly(t *testing.T) {
	w := newWorld(t, ticking)
	w.router("r1")
	const n = 20
	for i := range n {
		id := events.InstanceIDForKey("order", fmt.Sprint("k", i)).String()
		w.say(id, `{"command":"start","type":"order","key":"k%d","input":{"wait":"%dms"}}`, i, 10*i)
	}
	for id, list := range w.history(5 * n) {
		if got := list[3].Timestamp.Sub(list[1].Timestamp); got < 50*time.Millisecond {
			t.Errorf("%s: the second timer was set %v after the start, want 50ms or more", id, got)
		}
		if list[4].EventType != events.EventWorkflowCompleted {
			t.Errorf("%s: %v", id, types(list))
		}
	}
}

func TestTimersSurviveARestart(t *testing.T) {
	w := newWorld(t, ticking)
	stop := w.router("r1")
	id := events.InstanceIDForKey("order", "k").String()
	w.say(id, `{"command":"start","type":"order","key":"k","input":{"wait":"300ms"}}`)
	w.history(3)
	stop()
	w.router("r2")
	w.history(5)
}

// TestFaultsLoseAndDoubleNothing breaks every request that a transaction needs,
// before and after the broker has done what it was asked for.
func TestFaultsLoseAndDoubleNothing(t *testing.T) {
	t.Parallel()
	for _, fault := range []struct {
		name string
		key  kmsg.Key
		err  error // nil: the connection is cut
	}{
		{"produce refused", kmsg.Produce, kerr.InvalidTxnState},
		{"produce cut", kmsg.Produce, nil},
		{"fence refused", kmsg.TxnOffsetCommit, kerr.IllegalGeneration},
		{"fence concurrent", kmsg.TxnOffsetCommit, kerr.ConcurrentTransactions},
		{"fence cut", kmsg.TxnOffsetCommit, nil},
		{"commit refused", kmsg.EndTxn, kerr.InvalidProducerEpoch},
		{"commit cut", kmsg.EndTxn, nil},
		{"takeover refused", kmsg.InitProducerID, kerr.CoordinatorNotAvailable},
	} {
		t.Run(fault.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, waiting)
			w.router("r1")
			const n = 30
			for i := range n {
				if i%10 == 5 {
					w.fault(fault.key, fault.err)
				}
				id := events.InstanceIDForKey("order", fmt.Sprint("k", i)).String()
				w.say(id, `{"command":"start","type":"order","key":"k%d"}`, i)
				w.say(id, `{"command":"signal","type":"order","key":"k%d","event":"done"}`, i)
			}
			if got := len(w.history(4 * n)); got != n {
				t.Errorf("%d instances, want %d", got, n)
			}
		})
	}
}

// fault breaks the next request of a kind that comes from a transactional
// producer.
func (w *world) fault(key kmsg.Key, err error) {
	var used atomic.Bool
	w.cluster.ControlKey(key.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
		w.cluster.KeepControl()
		if p, ok := req.(*kmsg.ProduceRequest); ok && p.TransactionID == nil || used.Swap(true) {
			return nil, nil, false
		}
		if err == nil {
			return nil, errors.New("cut"), true
		}
		code := err.(*kerr.Error).Code //nolint:errorlint,forcetypeassert // the table holds these
		switch req := req.(type) {
		case *kmsg.ProduceRequest:
			resp := req.ResponseKind().(*kmsg.ProduceResponse) //nolint:forcetypeassert // by protocol
			for _, topic := range req.Topics {
				rt := kmsg.NewProduceResponseTopic()
				rt.Topic, rt.TopicID = topic.Topic, topic.TopicID
				for _, p := range topic.Partitions {
					rp := kmsg.NewProduceResponseTopicPartition()
					rp.Partition, rp.ErrorCode = p.Partition, code
					rt.Partitions = append(rt.Partitions, rp)
				}
				resp.Topics = append(resp.Topics, rt)
			}
			return resp, nil, true
		case *kmsg.TxnOffsetCommitRequest:
			resp := req.ResponseKind().(*kmsg.TxnOffsetCommitResponse) //nolint:forcetypeassert // by protocol
			for _, topic := range req.Topics {
				rt := kmsg.NewTxnOffsetCommitResponseTopic()
				rt.Topic = topic.Topic
				for _, p := range topic.Partitions {
					rp := kmsg.NewTxnOffsetCommitResponseTopicPartition()
					rp.Partition, rp.ErrorCode = p.Partition, code
					rt.Partitions = append(rt.Partitions, rp)
				}
				resp.Topics = append(resp.Topics, rt)
			}
			return resp, nil, true
		case *kmsg.EndTxnRequest:
			resp := req.ResponseKind().(*kmsg.EndTxnResponse) //nolint:forcetypeassert // by protocol
			resp.ErrorCode = code
			return resp, nil, true
		case *kmsg.InitProducerIDRequest:
			resp := req.ResponseKind().(*kmsg.InitProducerIDResponse) //nolint:forcetypeassert // by protocol
			resp.ErrorCode = code
			return resp, nil, true
		}
		return nil, nil, false
	})
}

// TestZombieCannotWrite says that a router whose partitions are another's can
// commit nothing, however late it wakes up.
func TestZombieCannotWrite(t *testing.T) {
	w := newWorld(t, waiting)
	w.router("r1")
	id := events.InstanceIDForKey("order", "k")
	w.say(id.String(), `{"command":"start","type":"order","key":"k"}`)
	w.history(2)

	zombie, err := kafka.NewTransactor(t.Context(), w.config, "zombie", kafka.TransactorConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer zombie.Close()
	at := kafka.TopicPartition{Topic: w.names.Commands("order")}
	for name, fence := range map[string]kafka.Fence{
		"a stranger":        {Group: "leat.router", MemberID: "nobody", Generation: 1},
		"an old generation": {Group: "leat.router", InstanceID: "r1", MemberID: "r1-old", Generation: 0},
	} {
		fence.Next = map[kafka.TopicPartition]int64{at: 1}
		record := kafka.NewRecordAt(w.names.Events("order"), 0, []byte(id.String()), []byte("forged"))
		err := zombie.Commit(t.Context(), []*kafka.Record{record}, fence)
		if failed, ok := err.(*kafka.TransactionError); !ok || !failed.Stale() || !failed.Aborted { //nolint:errorlint // exactly this type
			t.Errorf("%s: %v, want a stale, aborted transaction", name, err)
		}
	}
	w.say(id.String(), `{"command":"signal","type":"order","key":"k","event":"done"}`)
	w.history(4) // decodes: nothing forged is in it
}

// TestDowntimeDecidesNothing says that a signal which came in time wins over
// the timer that became due while no router was there.
func TestDowntimeDecidesNothing(t *testing.T) {
	w := newWorld(t, `
leat: v1
type: order
version: 1
initial: open
states:
  open: {on: {done: closed}, after: {2s: late}}
  late: {type: final, outcome: failed}
  closed: {type: final}
`)
	const n = 20
	stop := w.router("r1")
	for i := range n {
		id := events.InstanceIDForKey("order", fmt.Sprint("k", i)).String()
		w.say(id, `{"command":"start","type":"order","key":"k%d"}`, i)
	}
	w.history(2 * n)
	stop()
	due := time.NewTimer(2 * time.Second) // from here on every timer is due
	for i := range n {
		id := events.InstanceIDForKey("order", fmt.Sprint("k", i)).String()
		w.say(id, `{"command":"signal","type":"order","key":"k%d","event":"done"}`, i)
	}
	<-due.C
	w.router("r1")
	late := 0
	for _, list := range w.history(4 * n) {
		if list[3].EventType == events.EventWorkflowFailed {
			late++
		}
	}
	if late > 0 {
		t.Errorf("%d of %d instances were late although their signal was there first", late, n)
	}
}
