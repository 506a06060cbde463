package router

import (
	"strings"
	"testing"
	"time"

	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/registry"
	"github.com/leat-io/leat/internal/shard"
	"github.com/leat-io/leat/pkg/events"
)

// followWorld is a transaction without a broker, in which one type is deployed
// and no other.
func followWorld(t *testing.T, source string) (*transaction, *entry, func(c events.Command) followed) {
	t.Helper()
	config, err := Config{Slot: "slot"}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	l := newLane(config, registry.New(registry.Config{Kafka: kafka.Config{Brokers: []string{"127.0.0.1:1"}}}), nil, memory(t))
	tx := l.begin(&shard.Batch{})
	tx.synced = true
	machine := parse(t, source)
	at := instance{shard.Partition{Topic: config.Names.Commands("bad")}, events.InstanceIDForKey("bad", "k")}
	e := &entry{key: []byte(at.id.String())}
	follow := func(c events.Command) followed {
		t.Helper()
		c.WorkflowType, c.InstanceID = "bad", at.id
		c.Resolve(events.DeriveUUID(at.id, string(c.Command)+c.Event))
		f, err := tx.follow(t.Context(), at, e, input{command: &c, machine: machine, now: time.UnixMicro(1).UTC(), source: "slot"})
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	return tx, e, follow
}

// TestWhatCannotBeWrittenIsAnIncident goes through what can keep a decision from
// being written.
func TestWhatCannotBeWrittenIsAnIncident(t *testing.T) {
	for _, c := range []struct{ name, action, code string }{
		{"a type that is not deployed", `{send: {to: "'x'", type: other, event: hi}}`, CodeUnknownType},
		{"a state that is too large", `{assign: {a: input.big, b: input.big, c: input.big, d: input.big}}`, CodeTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			tx, e, follow := followWorld(t, `
leat: v1
type: bad
version: 1
payloads: {a: {}, b: {}, c: {}, d: {}}
states:
  a: {on: {go: {target: b, actions: [`+c.action+`]}}}
  b: {}
`)
			follow(events.Command{Command: events.CommandStart, Key: "k", Payload: []byte(`{"big":"` + strings.Repeat("x", 250<<10) + `"}`)})
			tx.careful = true // as the transaction is decided when its snapshots turn out not to be writable
			f := follow(events.Command{Command: events.CommandSignal, Event: "go"})
			if f.lost != nil || f.replaced != nil {
				t.Fatalf("lost %v, replaced %v", f.lost, f.replaced)
			}
			i := e.cur.Incident
			if i == nil || i.Code != c.code || i.Input == nil || i.Input.Command.Event != "go" {
				t.Fatalf("the incident is %+v, of %+v", i, f.outcome)
			}
			// The way out does not lead into a dead end either.
			follow(events.Command{Command: events.CommandRetry})
			if again := e.cur.Incident; again == nil || again.Code != c.code {
				t.Errorf("after a retry that changed nothing: %+v", again)
			}
			follow(events.Command{Command: events.CommandTerminate})
			if e.cur.State != events.WorkflowCancelled {
				t.Errorf("it cannot be ended: %s", e.cur.State)
			}
		})
	}
}
