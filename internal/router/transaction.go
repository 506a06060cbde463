package router

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/leat-io/leat/internal/decide"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/shard"
	"github.com/leat-io/leat/internal/store"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

// transaction collects what follows from one batch: an overlay on the book, and
// the records that will make it true.
type transaction struct {
	lane             *lane
	batch            *shard.Batch
	now              time.Time
	overlay          map[instance]*entry
	touched          map[shard.Partition]bool
	records          []*kafka.Record
	stale            []dueTimer // index entries whose timer is no more
	undecided        []dueTimer // timers that cannot be decided now
	driven           map[scheduleAt]*driven
	orphans          []scheduleAt // schedules that are no more, and whose progress goes
	synced           bool         // the registry was brought up to date for this transaction
	careful          bool         // every decision's snapshot is encoded, to find the one that cannot be
	commands, timers int
	started          time.Time    // by the machine's clock
	began            time.Time    // the same, for the budget: of commands, timers or schedules
	decided          int          // inputs, of any kind
	seed             []byte       // of the tokens of attempts that are issued
	last             *entry       // the instance of the decision under way
	begun            map[tree]int // children that begin in this transaction
	counted, bytes   int          // of the records: how many are counted, and their size
}

// entry is an instance as the transaction leaves it.
type entry struct {
	old, cur *events.Snapshot
	key      []byte        // of its records
	changed  bool          // cur is not old
	spent    time.Duration // on its decisions
	size     int           // of old as a record: about what cur will take
	room     int           // how large cur may be as a record
	asked    bool          // a describe asked where it is
	told     int           // bytes of the answers to those, if each is large

	record   []byte           // an instance as it is in the state topic, or goes there; made when it is asked for, or when all is decided
	recorded *events.Snapshot // what record is of: no longer of cur, when that is another
}

// seedLength is that of the secret from which the tokens of a transaction derive.
const seedLength = 32

func (l *lane) begin(b *shard.Batch) *transaction {
	seed := make([]byte, seedLength)
	_, _ = rand.Read(seed) // never fails
	began := time.Now()
	return &transaction{
		seed: seed, lane: l, batch: b, now: events.Instant(l.config.Clock()), started: began, began: began,
		overlay: make(map[instance]*entry, len(b.Records)), touched: make(map[shard.Partition]bool),
		records: make([]*kafka.Record, 0, 8*len(b.Records)),
	}
}

// command decides one record of a commands topic. An error is about the local
// store or the definitions, never about the record.
func (t *transaction) command(ctx context.Context, r *kafka.Record) error {
	p := shard.Partition{Topic: r.Topic, Partition: r.Partition}
	t.touched[p] = true
	t.commands++
	workflowType, _ := t.lane.config.Names.TypeOfCommands(r.Topic)
	in, err := t.read(workflowType, r)
	if err != nil {
		t.deadLetter(r, err)
		return nil
	}
	if home := t.home(workflowType, in.Command.InstanceID); home != p.Partition {
		t.move(r, in.Command, home)
		return nil
	}
	at := instance{p, in.Command.InstanceID}
	e, err := t.instance(at)
	if err != nil {
		return err
	}
	if decide.Reads(in.Command) {
		return t.describe(ctx, r, at, e, in)
	}
	if id := scheduleAsked(in.Command); id != "" {
		d, err := t.askSchedule(ctx, p, id, in)
		if err != nil {
			return err
		}
		if err := t.add(at, e, d, maxRecord); err != nil {
			t.deadLetter(r, err)
		}
		return nil
	}
	f, err := t.decide(ctx, request{at: at, entry: e, in: in})
	if err != nil {
		return err
	}
	if f.replaced != nil {
		t.deadLetter(r, f.replaced) // the result itself is kept here
	}
	if f.lost != nil {
		return t.giveUp(ctx, r, in, e, f.lost)
	}
	t.tellOperator(r, in.Command, f.Outcome)
	t.logDecided(ctx, r, in.Command, f.Decision)
	return nil
}

// giveUp keeps a command in the dead letter topic, of which nothing else could
// be kept, and answers the client that waits for it. Its neighbours and later ones go on.
func (t *transaction) giveUp(ctx context.Context, r *kafka.Record, in decide.Input, e *entry, why error) error {
	if !decide.OfOperator(in.Command) { // the operator gets the reason, and sends another command
		t.deadLetter(r, why)
	}
	d := decide.GiveUp(in, e.cur, why)
	if err := t.settle(ctx, in, &d); err != nil {
		return err
	}
	p := shard.Partition{Topic: r.Topic, Partition: r.Partition}
	if err := t.add(instance{p, in.Command.InstanceID}, e, d, maxRecord); err != nil {
		t.lane.config.Logger.LogAttrs(ctx, slog.LevelError, "the outcome of a command that cannot be decided cannot be written",
			slog.String("topic", r.Topic), slog.Int64("offset", r.Offset), slog.Any("error", err))
	}
	return nil
}

// tellOperator keeps a signal that another instance sent and that is refused
// here: its sender went on long ago, so it goes where operators look.
func (t *transaction) tellOperator(r *kafka.Record, c *events.Command, o *events.Outcome) {
	sent := c.Command == events.CommandSignal && !c.CausationID.IsNil() && strings.Contains(c.Source, "/")
	if sent && o != nil && o.Status == events.OutcomeRejected && o.Error != nil {
		t.deadLetter(r, fmt.Errorf("the signal %q of %s is refused: %w", c.Event, c.Source, o.Error))
	}
}

// logDecided logs, for debugging, what a command led to and its place.
func (t *transaction) logDecided(ctx context.Context, r *kafka.Record, c *events.Command, d decide.Decision) {
	logger := t.lane.config.Logger
	if !logger.Enabled(ctx, slog.LevelDebug) {
		return
	}
	attrs := []slog.Attr{
		slog.String("command", string(c.Command)), slog.String("type", c.WorkflowType),
		slog.String("instance", c.InstanceID.String()), slog.String("command_id", c.CommandID.String()),
		slog.Int("partition", int(r.Partition)), slog.Int64("offset", r.Offset), slog.Int("events", len(d.Events)),
	}
	if d.Next != nil {
		attrs = append(attrs, slog.Int64("sequence", d.Next.SequenceNumber), slog.String("correlation_id", d.Next.CorrelationID.String()))
	}
	if d.Outcome != nil {
		attrs = append(attrs, slog.String("outcome", string(d.Outcome.Status)))
	}
	logger.LogAttrs(ctx, slog.LevelDebug, "command decided", attrs...)
}

// instance is an instance as this transaction sees it.
func (t *transaction) instance(at instance) (*entry, error) {
	if e, ok := t.overlay[at]; ok {
		t.last = e
		return e, nil
	}
	known := t.lane.cache.get(at)
	e := &entry{old: known.snap, size: known.size, key: []byte(at.id.String())}
	if known.snap == nil {
		var err error
		if e.old, e.record, err = t.lane.book.load(at.partition, at.id); err != nil {
			return nil, err
		}
		e.recorded, e.size = e.old, len(e.record)
	}
	e.cur = e.old
	t.overlay[at], t.last = e, e
	return e, nil
}

// machine is the definition to decide with, nil when it is not deployed. Before
// it says that, it makes sure to know everything that is; the error is that it
// cannot, and then nothing may be decided for want of a definition.
func (t *transaction) machine(ctx context.Context, workflowType string, version int32) (*fsm.Machine, error) {
	m, ok := t.lane.registry.Machine(workflowType, version)
	if ok || t.synced {
		return m, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := t.lane.registry.Sync(ctx); err != nil {
		return nil, err
	}
	t.synced = true
	m, _ = t.lane.registry.Machine(workflowType, version)
	return m, nil
}

// fence is what the coordinator checks before it lets the transaction commit.
func (t *transaction) fence() kafka.Fence {
	f := t.batch.Fence
	f.Next = make(map[kafka.TopicPartition]int64, len(t.touched))
	for p := range t.touched {
		f.Next[p] = t.batch.Open[p]
	}
	return f
}

// apply writes what was committed into the book.
func (t *transaction) apply(batch *store.Batch) {
	for at, e := range t.overlay {
		if e.changed {
			t.lane.book.put(batch, at.partition, e.old, e.cur, e.record)
			t.lane.trees.note(at.partition, e.old, e.cur)
			t.lane.cache.put(at, cached{e.cur, len(e.record)})
		}
	}
	t.applySchedules(batch)
	for _, s := range t.stale {
		batch.Delete(timerKey(s.partition, s.ref))
	}
	ends := make(map[shard.Partition]int64, 2*len(t.touched)) // of what was written, in every topic
	for _, r := range t.records {
		p := shard.Partition{Topic: r.Topic, Partition: r.Partition}
		ends[p] = max(ends[p], r.Offset+1)
	}
	for p := range t.touched {
		at := position{input: t.batch.Open[p], state: ends[shard.Partition{Topic: t.stateTopic(p), Partition: p.Partition}]}
		t.lane.book.setPosition(batch, p, at)
		if end := ends[shard.Partition{Topic: t.eventTopic(p), Partition: p.Partition}]; end > 0 {
			t.lane.noteEventEnd(p, end)
		}
	}
}
