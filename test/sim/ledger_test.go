//go:build synctests

package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/shard"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/topics"
)

// ledger is what the world outside knows for certain: what was asked for and
// acknowledged, and what was done.
type ledger struct {
	mu    sync.Mutex
	asked map[events.UUID]*asked      // by instance
	runs  map[events.UUID]map[int]int // task id → attempt → how often its handler ran
	acked map[events.UUID]int         // command id → acknowledged records
}

// asked is one instance as its client knows it.
type asked struct {
	key     string
	need    int           // signals that it waits for
	start   events.UUID   // command id
	signals []events.UUID // command ids
}

func newLedger() *ledger {
	return &ledger{
		asked: make(map[events.UUID]*asked), runs: make(map[events.UUID]map[int]int), acked: make(map[events.UUID]int),
	}
}

func (l *ledger) ran(t *events.Task) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.runs[t.TaskID] == nil {
		l.runs[t.TaskID] = make(map[int]int)
	}
	l.runs[t.TaskID][int(t.Attempt)]++
}

func (l *ledger) ack(command events.UUID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acked[command]++
}

// customer starts instances and signals them, over a network with faults. It
// asks again, with the same command id, until it has an acknowledgement, as the
// documentation of pkg/client tells users to.
type customer struct {
	world    *world
	producer *kafka.Producer
	rng      *rand.Rand
}

// serve runs n customers' instances to the point where everything is asked for.
func (w *world) customers(ctx context.Context, n int) error {
	producer, err := kafka.NewProducer(w.config(w.network.host("client")))
	if err != nil {
		return err
	}
	defer producer.Close()
	var all sync.WaitGroup
	for i := range n {
		c := &customer{world: w, producer: producer, rng: rand.New(rand.NewPCG(w.seed, uint64(100+i)))}
		all.Go(func() { c.instance(ctx, i) })
	}
	all.Wait()
	return nil
}

func (c *customer) id() (id events.UUID) {
	for i := range id {
		id[i] = byte(c.rng.Uint32())
	}
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return id
}

func (c *customer) instance(ctx context.Context, i int) {
	key := fmt.Sprintf("k%d", i)
	id := events.InstanceIDForKey(workflowType, key)
	a := &asked{key: key, need: c.rng.IntN(4), start: c.id()}
	for range a.need {
		a.signals = append(a.signals, c.id())
	}
	c.world.ledger.mu.Lock()
	c.world.ledger.asked[id] = a
	c.world.ledger.mu.Unlock()

	pause(ctx, time.Duration(c.rng.Int64N(int64(chaosFor*3/4))))
	c.ask(ctx, &events.Command{
		CommandID: a.start, Command: events.CommandStart, WorkflowType: workflowType, InstanceID: id, Key: key,
		Payload: fmt.Appendf(nil, `{"need":%d}`, a.need),
	})
	for _, signal := range a.signals {
		pause(ctx, time.Duration(c.rng.Int64N(int64(8*time.Second))))
		command := &events.Command{
			CommandID: signal, Command: events.CommandSignal, WorkflowType: workflowType, InstanceID: id, Key: key, Event: "more",
		}
		c.ask(ctx, command)
		if c.rng.IntN(6) == 0 {
			c.world.seen.add("commands sent twice")
			c.ask(ctx, command)
		}
		if c.rng.IntN(3) == 0 {
			c.ask(ctx, &events.Command{CommandID: c.id(), Command: events.CommandDescribe, WorkflowType: workflowType, InstanceID: id, Key: key})
		}
	}
}

// ask writes a command until it is acknowledged.
func (c *customer) ask(ctx context.Context, command *events.Command) {
	value, err := avro.EncodeCommand(command)
	if err != nil {
		c.world.t.Errorf("encode command: %v", err)
		return
	}
	topic := c.world.names.Commands(workflowType)
	for ctx.Err() == nil {
		record := kafka.NewRecord(topic, []byte(command.InstanceID.String()), value)
		if command.Command == events.CommandSignal && c.rng.IntN(8) == 0 { // another producer hashes differently
			record = kafka.NewRecordAt(topic, c.rng.Int32N(partitions), nil, value)
		}
		if err := c.producer.Send(ctx, record); err == nil {
			c.world.ledger.ack(command.CommandID)
			return
		}
		c.world.seen.add("commands asked for again")
		pause(ctx, time.Duration(c.rng.Int64N(int64(time.Second))))
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

func home(id events.UUID) int32 { return topics.Partition([]byte(id.String()), partitions) }

func shardMetrics(retried func(reopened bool)) shard.Metrics { return shard.Metrics{Retried: retried} }
