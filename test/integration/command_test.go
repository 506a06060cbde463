package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/test/audit"
)

const door = `
leat: v1
type: door
version: 1
data: {n: {type: long, default: 0}}
initial: open
states:
  open:
    on:
      knock: {assign: {n: data.n + 1}, target: open}
      shut: closed
  closed: {type: final, output: {n: data.n}}
`

// One start of a business key counts, however many come, through whatever door,
// at once or later, and whichever router decides.
func TestStartIsIdempotentByBusinessKey(t *testing.T) {
	each(t, func(w *world) {
		w.deploy(door)
		r, _ := w.router("r1")
		url, p := w.projector()
		w.until(p.Ready)
		var fresh, duplicates atomic.Int32
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				if i%4 == 0 { // over HTTP, where the answer comes before the decision
					if status, body := w.post(url+"/api/v1/instances/door", `{"key":"front"}`, ""); status != http.StatusAccepted {
						w.Errorf("%d %v", status, body)
					}
					return
				}
				d, err := w.direct.Do(w.ctx, client.StartRequest{Type: "door", Key: "front"})
				switch {
				case err != nil:
					w.Error(err)
				case d.Duplicate():
					duplicates.Add(1)
				default:
					fresh.Add(1)
				}
			})
		}
		all.Wait()
		if f := fresh.Load(); f > 1 || f+duplicates.Load() != 15 {
			w.Errorf("%d started it, %d were duplicates", f, duplicates.Load())
		}
		w.do(client.SignalRequest{Type: "door", Key: "front", Event: "knock"})
		r.stop()
		w.router("r1") // restores from the topics
		d := w.do(client.StartRequest{Type: "door", Key: "front"})
		if !d.Duplicate() || d.Outcome.SequenceNumber != 1 || d.Outcome.EventID != events.EventID("door", d.Receipt.InstanceID, 1) {
			w.Errorf("after the restart: %+v", d.Outcome)
		}
		if short := kinds(w.history("door", "front")); len(short) != 3 {
			w.Errorf("history %v", short)
		}
		b := w.audit()
		if len(b.Events) != 1 || len(b.Commands) != 22+1 { // and the describe of the history
			w.Errorf("%d instances of %d commands", len(b.Events), len(b.Commands))
		}
	})
}

func (w *world) post(url, body, idempotencyKey string) (status int, answer map[string]any) {
	w.Helper()
	r, err := http.NewRequestWithContext(w.ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		w.Error(err)
		return 0, nil
	}
	r.Header.Set("Content-Type", "application/json")
	if idempotencyKey != "" {
		r.Header.Set("Idempotency-Key", idempotencyKey)
	}
	return w.roundTrip(r, &answer), answer
}

func TestCommandsAreIdempotentByIdempotencyKey(t *testing.T) {
	each(t, func(w *world) {
		w.deploy(door)
		r, _ := w.router("r1")
		url, p := w.projector()
		w.until(p.Ready)
		start := client.StartRequest{Type: "door", IdempotencyKey: "request-1"}
		first := w.do(start)
		id := first.Receipt.InstanceID
		knock := client.SignalRequest{Type: "door", InstanceID: id, Event: "knock", IdempotencyKey: "knock-1"}
		var all sync.WaitGroup
		for i := range 12 {
			all.Go(func() {
				switch i % 3 {
				case 0:
					if _, err := w.direct.Do(w.ctx, start); err != nil {
						w.Error(err)
					}
				case 1:
					if _, err := w.direct.Do(w.ctx, knock); err != nil {
						w.Error(err)
					}
				case 2:
					status, body := w.post(fmt.Sprintf("%s/api/v1/instances/door/id:%s/signals", url, id), `{"event":"knock"}`, "knock-1")
					if status != http.StatusAccepted {
						w.Errorf("%d %v", status, body)
					}
				}
			})
		}
		all.Wait()
		r.stop()
		w.router("r2")
		for _, again := range []client.Request{start, knock} {
			if d := w.do(again); !d.Duplicate() {
				w.Errorf("%+v after the restart: %+v", again, d)
			}
		}
		s := w.do(client.SignalRequest{Type: "door", InstanceID: id, Event: "shut"})
		if got, want := s.Sequence(), int64(5); got != want { // created, started, one knock, transitioned, completed
			w.Errorf("the history ends at %d, want %d: %v", got, want, kinds(w.history("door", id.String())))
		}
		if i := w.end("door", id.String()); string(i.Output) != `{"n":1}` {
			w.Errorf("output %s, want one knock", i.Output)
		}
		w.audit(finished(1))
	})
}

func TestAnExpectedSequenceThatIsNotTheNewestIsAConflict(t *testing.T) {
	each(t, func(w *world) {
		w.deploy(door)
		w.router("r1")
		d := w.do(client.StartRequest{Type: "door", Key: "k"})
		at := d.Sequence()
		stale, none := at-1, int64(0)
		w.refused(client.SignalRequest{Type: "door", Key: "k", Event: "knock", ExpectedSequence: &stale},
			client.ErrConflict, "expected_sequence is 1", "at 2")
		w.refused(client.StartRequest{Type: "door", Key: "k", ExpectedSequence: &none}, client.ErrConflict)

		// Of many that expect the same, one wins.
		var won, lost atomic.Int32
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				switch _, err := w.direct.Do(w.ctx, client.SignalRequest{Type: "door", Key: "k", Event: "knock", ExpectedSequence: &at}); {
				case err == nil:
					won.Add(1)
				case errors.Is(err, client.ErrConflict):
					lost.Add(1)
				default:
					w.Error(err)
				}
			})
		}
		all.Wait()
		if won.Load() != 1 || lost.Load() != 9 {
			w.Errorf("%d won, %d lost", won.Load(), lost.Load())
		}
		w.audit()
	})
}

// Other producers hash keys differently, or give none.
func TestCommandsOnTheWrongPartitionAreMoved(t *testing.T) {
	each(t, func(w *world) {
		w.deploy(door)
		w.router("r1")
		const n = 8
		for i := range n {
			for p := range int32(partitions) {
				w.send(kafka.NewRecordAt(w.names.Commands("door"), p, nil, fmt.Appendf(nil, `{"command":"start","type":"door","key":"k%d"}`, i)))
			}
		}
		// Here order is kept within the instance's own partition only.
		w.until(func() error {
			b, err := audit.Read(w.ctx, w.kafka.Brokers, w.names, "door")
			if err == nil && len(b.Events) < n {
				return fmt.Errorf("%d of %d instances", len(b.Events), n)
			}
			return err
		})
		for i := range n {
			w.send(kafka.NewRecordAt(w.names.Commands("door"), int32(i%partitions), fmt.Append(nil, "some key"),
				fmt.Appendf(nil, `{"command":"signal","type":"door","key":"k%d","event":"shut"}`, i)))
		}
		b := w.audit(finished(n))
		if len(b.Events) != n || len(b.Commands) <= n*(partitions+1) {
			w.Errorf("%d instances of %d commands", len(b.Events), len(b.Commands))
		}
	})
}

// What cannot be read is kept, with the reason; its neighbours go on.
func TestRecordsThatCannotBeReadAreKeptAndThePartitionGoesOn(t *testing.T) {
	each(t, func(w *world) {
		w.deploy(door)
		w.router("r1")
		w.do(client.StartRequest{Type: "door", Key: "k"})
		large := func(key string, size int) string {
			return `{"command":"start","type":"door","key":"` + key + `","input":"` + strings.Repeat("x", size) + `"}`
		}
		bad := map[string]struct{ value, reason string }{
			"garbage":           {"no JSON and no Avro", "neither Avro"},
			"wrong fingerprint": {string([]byte{0xc3, 1, 0, 0, 0, 0, 0, 0, 0, 0, 'x'}), "fingerprint"},
			"truncated":         {string([]byte{0xc3, 1, 0}), "too early"},
			"unknown field":     {`{"command":"start","type":"door","key":"k","colour":"red"}`, "colour"},
			"unknown kind":      {`{"command":"stop","type":"door","key":"k"}`, "stop"},
			"nil UUID":          {`{"command":"start","type":"door","instance_id":"00000000-0000-0000-0000-000000000000"}`, "nil UUID"},
			"no instance":       {`{"command":"start","type":"door"}`, "instance_id"},
			"another type":      {`{"command":"start","type":"window","key":"k"}`, "window"},
			"300 KiB":           {large("big", 300<<10), "at most"},
			"2 MiB":             {large("huge", 2<<20), "at most"},
			"nothing":           {"", "neither Avro"},
		}
		id := events.InstanceIDForKey("door", "k")
		for _, b := range bad {
			w.squeeze(&kgo.Record{Topic: w.names.Commands("door"), Key: []byte(id.String()), Value: []byte(b.value)})
			w.say("door", "k", `{"command":"signal","type":"door","key":"k","event":"knock"}`)
		}
		w.do(client.SignalRequest{Type: "door", Key: "k", Event: "shut"})
		books := w.audit(finished(1))
		kept := make(map[string]string)
		for _, d := range books.Dead {
			kept[string(d.Value)] = d.Reason
		}
		for name, b := range bad {
			reason, ok := kept[b.value]
			if !ok || !strings.Contains(reason, b.reason) {
				w.Errorf("%s: kept=%t, reason %q, want one with %q", name, ok, reason, b.reason)
			}
			w.Logf("%s: %s", name, reason)
		}
		if i := w.end("door", "k"); string(i.Output) != fmt.Sprintf(`{"n":%d}`, len(bad)) {
			w.Errorf("output %s, want %d knocks", i.Output, len(bad))
		}
	})
}

// squeeze writes a compressed record: how large it is inside, the broker does
// not ask.
func (w *world) squeeze(r *kgo.Record) {
	w.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(w.kafka.Brokers...), kgo.ProducerBatchCompression(kgo.GzipCompression()), kgo.ProducerBatchMaxBytes(8<<20))
	if err != nil {
		w.Fatal(err)
	}
	defer c.Close()
	if err := c.ProduceSync(w.ctx, r).FirstErr(); err != nil {
		w.Fatal(err)
	}
}

func TestWhatIsNotThereIsSaid(t *testing.T) {
	each(t, func(w *world) {
		w.deploy(door)
		w.router("r1")
		url, p := w.projector()
		w.until(p.Ready)
		w.refused(client.StartRequest{Type: "window", Key: "k"}, client.ErrUnknownType, "window")
		if status, body := w.post(url+"/api/v1/instances/window", `{"key":"k"}`, ""); status != http.StatusNotFound || body["code"] != "LEAT-F002" {
			w.Errorf("%d %v", status, body)
		}
		w.refused(client.StartRequest{Type: "door", Key: "k", Version: 7}, client.ErrRejected, "version 7", "not deployed")
		w.refused(client.SignalRequest{Type: "door", Key: "k", Event: "knock"}, client.ErrRejected, "no such instance")
		if _, err := w.direct.Get(w.ctx, "door", "k", client.GetOptions{}); !errors.Is(err, client.ErrNotFound) {
			w.Errorf("got %v", err)
		}
		w.audit()
	})
}

func TestAFinishedInstanceTakesNoMoreCommands(t *testing.T) {
	each(t, func(w *world) {
		w.deploy(door)
		w.router("r1")
		w.do(client.StartRequest{Type: "door", Key: "k"})
		w.do(client.SignalRequest{Type: "door", Key: "k", Event: "shut"})
		before := kinds(w.history("door", "k"))
		w.refused(client.SignalRequest{Type: "door", Key: "k", Event: "knock"}, client.ErrRejected, "completed", "no more signals")
		if d := w.do(client.StartRequest{Type: "door", Key: "k"}); !d.Duplicate() {
			w.Errorf("got %+v", d)
		}
		w.say("door", "k", `{"command":"result","type":"door","key":"k","task_id":"11111111-2222-4333-8444-555555555555","attempt":1,"state":"completed"}`)
		w.audit(finished(1))
		if after := kinds(w.history("door", "k")); !slices.Equal(before, after) {
			w.Errorf("the history went on: %v", after)
		}
	})
}

// A version never changes; a new one is for new instances.
func TestInstancesStayOnTheirVersion(t *testing.T) {
	each(t, func(w *world) {
		w.deploy(door)
		w.router("r1")
		w.do(client.StartRequest{Type: "door", Key: "old"})
		w.deploy(strings.Replace(strings.Replace(door, "version: 1", "version: 2", 1), "{n: data.n}", "{n: data.n, v: 2}", 1))
		w.do(client.StartRequest{Type: "door", Key: "new", Version: 2})
		for key, want := range map[string]string{"old": `{"n":0}`, "new": `{"n":0,"v":2}`} {
			w.do(client.SignalRequest{Type: "door", Key: key, Event: "shut"})
			var got, expected any
			if err := errors.Join(json.Unmarshal(w.end("door", key).Output, &got), json.Unmarshal([]byte(want), &expected)); err != nil {
				w.Fatal(err)
			}
			if fmt.Sprint(got) != fmt.Sprint(expected) {
				w.Errorf("%s: output %v, want %v", key, got, expected)
			}
		}
		w.audit(finished(2))
	})
}
