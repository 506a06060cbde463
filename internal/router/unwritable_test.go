package router_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/leat-io/leat/pkg/events"
)

const calling = `
leat: v1
type: order
version: 1
initial: open
states:
  open: {on: {call: calling, done: closed}}
  calling: {invoke: {task: mail.send, onDone: closed, onError: closed}}
  closed: {type: final}
`

// TestTopicsThatAreGoneAreMadeAgain deletes each kind of topic that a router
// writes: what needs it is decided, and so is what comes after.
func TestTopicsThatAreGoneAreMadeAgain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		topic func(*world) string
	}{
		{"tasks", func(w *world) string { return w.names.Tasks("mail") }},
		{"outcomes", func(w *world) string { return w.names.Outcomes("order") }},
		{"dead letters", func(w *world) string { return w.names.DeadLetters(w.names.Commands("order")) }},
		{"audit", func(w *world) string { return w.names.Audit() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, calling)
			w.router("r1")
			w.start("first")
			w.history(2)
			w.remove(c.topic(w))
			w.everything("a")
			w.start("last")
			w.hasStarted("last")
			w.read(c.topic(w), 1)
		})
	}
}

// TestForbiddenTopicsStopNobody has the broker refuse whatever goes to a topic.
func TestForbiddenTopicsStopNobody(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		topic func(*world) string
		code  *kerr.Error
	}{
		{"tasks", func(w *world) string { return w.names.Tasks("mail") }, kerr.TopicAuthorizationFailed},
		{"tasks, too large", func(w *world) string { return w.names.Tasks("mail") }, kerr.MessageTooLarge},
		{"outcomes", func(w *world) string { return w.names.Outcomes("order") }, kerr.TopicAuthorizationFailed},
		{"dead letters", func(w *world) string { return w.names.DeadLetters(w.names.Commands("order")) }, kerr.TopicAuthorizationFailed},
		{"audit", func(w *world) string { return w.names.Audit() }, kerr.InvalidRecord},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, calling)
			refused := w.forbid(c.topic(w), c.code)
			w.router("r1")
			w.start("first")
			w.everything("a")
			w.start("last")
			w.hasStarted("last")
			if !refused.Load() {
				t.Error("nothing was refused")
			}
		})
	}
}

// start starts the instance of a key.
func (w *world) start(key string) {
	w.t.Helper()
	w.say(events.InstanceIDForKey("order", key).String(), `{"command":"start","type":"order","key":%q}`, key)
}

// hasStarted waits until the history has an instance, and checks all before it.
func (w *world) hasStarted(key string) {
	w.t.Helper()
	id := events.InstanceIDForKey("order", key)
	for n := 2; len(w.history(n)[id]) < 2; n++ {
		continue
	}
}

// everything makes an instance write to every kind of topic.
func (w *world) everything(key string) {
	w.t.Helper()
	id := events.InstanceIDForKey("order", key).String()
	w.start(key)
	w.say(id, "garbage")
	w.say(id, `{"command":"pause","type":"order","key":%q,"reason":"a look"}`, key)
	w.say(id, `{"command":"resume","type":"order","key":%q}`, key)
	w.say(id, `{"command":"signal","type":"order","key":%q,"event":"nobody"}`, key)
	w.say(id, `{"command":"signal","type":"order","key":%q,"event":"call"}`, key)
}

func (w *world) remove(topic string) {
	w.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(w.config.Brokers...))
	if err != nil {
		w.t.Fatal(err)
	}
	defer client.Close()
	if _, err := kadm.NewClient(client).DeleteTopic(w.t.Context(), topic); err != nil {
		w.t.Fatal(fmt.Errorf("delete %s: %w", topic, err))
	}
}

// forbid answers every write of a router to a topic with code, and so the others
// of the same request as a broker does that aborts.
func (w *world) forbid(topic string, code *kerr.Error) (refused *atomic.Bool) {
	refused = new(atomic.Bool)
	w.cluster.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		w.cluster.KeepControl()
		p, ok := req.(*kmsg.ProduceRequest)
		if !ok || p.TransactionID == nil || !w.writesTo(p, topic) {
			return nil, nil, false
		}
		refused.Store(true)
		resp := req.ResponseKind().(*kmsg.ProduceResponse) //nolint:forcetypeassert // by protocol
		for _, asked := range p.Topics {
			rt := kmsg.NewProduceResponseTopic()
			rt.Topic, rt.TopicID = asked.Topic, asked.TopicID
			for _, part := range asked.Partitions {
				rp := kmsg.NewProduceResponseTopicPartition()
				if rp.Partition = part.Partition; w.is(asked, topic) {
					rp.ErrorCode = code.Code
				}
				rt.Partitions = append(rt.Partitions, rp)
			}
			resp.Topics = append(resp.Topics, rt)
		}
		return resp, nil, true
	})
	return refused
}

func (w *world) writesTo(p *kmsg.ProduceRequest, topic string) bool {
	for _, asked := range p.Topics {
		if w.is(asked, topic) {
			return true
		}
	}
	return false
}

func (w *world) is(asked kmsg.ProduceRequestTopic, topic string) bool {
	if info := w.cluster.TopicInfo(topic); info != nil && asked.TopicID != [16]byte{} {
		return asked.TopicID == info.TopicID
	}
	return asked.Topic == topic
}
