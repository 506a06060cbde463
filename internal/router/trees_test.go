package router

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/decide"
	"github.com/leat-io/leat/internal/registry"
	"github.com/leat-io/leat/internal/shard"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
	"github.com/leat-io/leat/pkg/topics"
)

// forest decides child workflows without a broker: each command in a transaction
// of its own, or some together, as a lane would.
type forest struct {
	t          rapid.TB
	lane       *lane
	machine    *fsm.Machine
	partitions int32
	limit      int // of a tree in a partition
	queue      []events.Command
	started    int
	refused    int
}

func newForest(t *testing.T, partitions int32, limit int, source string) *forest {
	t.Helper()
	l, _ := timerLane(t, epoch, partitions)
	l.registry = new(registry.Registry)
	return &forest{t: t, lane: l, machine: parse(t, source), partitions: partitions, limit: limit}
}

func (f *forest) at(c *events.Command) instance {
	p := shard.Partition{Topic: f.lane.config.Names.Commands(c.WorkflowType)}
	p.Partition = topics.Partition([]byte(c.InstanceID.String()), f.partitions)
	return instance{p, c.InstanceID}
}

// turn decides at most n commands that wait, in one transaction.
func (f *forest) turn(n int) {
	f.t.Helper()
	tx := f.lane.begin(&shard.Batch{Open: make(map[shard.Partition]int64)})
	batch := f.queue[:min(n, len(f.queue))]
	f.queue = f.queue[len(batch):]
	for i := range batch {
		c := &batch[i]
		c.Resolve(c.CommandID)
		at := f.at(c)
		e, err := tx.instance(at)
		if err != nil {
			f.t.Fatal(err)
		}
		in := decide.Input{Command: c, Explicit: true, Machine: f.machine, Now: epoch, Source: "r"}
		if asks := c.Command == events.CommandStart && c.Parent != nil && e.cur == nil; asks {
			if in.Crowded, err = tx.fills(tree{at.partition, c.Parent.Root}, f.limit); err != nil {
				f.t.Fatal(err)
			}
		}
		before := e.cur
		d, err := decide.Decide(in, e.cur)
		if err != nil {
			f.t.Fatalf("%s: %v", c.Command, err)
		}
		if d.Next != nil {
			e.cur, e.changed = d.Next, true
		}
		switch {
		case before == nil && e.cur != nil:
			f.started++
		case in.Crowded:
			f.refused++
		}
		f.queue = append(f.queue, d.Sends...)
	}
	f.commit(tx)
}

func (f *forest) commit(tx *transaction) {
	f.t.Helper()
	batch := f.lane.book.db.NewBatch()
	defer batch.Close()
	for _, e := range tx.overlay {
		if e.changed {
			var err error
			if e.record, err = avro.EncodeSnapshot(e.cur); err != nil {
				f.t.Fatal(err)
			}
		}
	}
	tx.apply(batch)
	if err := batch.Commit(); err != nil {
		f.t.Fatal(err)
	}
}

func (f *forest) snapshot(key string) *events.Snapshot {
	f.t.Helper()
	at := f.at(&events.Command{WorkflowType: f.machine.Type(), InstanceID: events.InstanceIDForKey(f.machine.Type(), key)})
	snap, _, err := f.lane.book.load(at.partition, at.id)
	if err != nil || snap == nil {
		f.t.Fatalf("load %s: %v, %v", key, snap, err)
	}
	return snap
}

func startOf(workflowType, key string) events.Command {
	c := events.Command{Command: events.CommandStart, WorkflowType: workflowType, Key: key}
	c.Resolve(events.DeriveUUID(events.Namespace, key))
	return c
}

// forking is a workflow that starts itself width times, and with abandon does
// not wait for them.
func forking(width int, semantics string) string {
	var text strings.Builder
	text.WriteString("leat: v1\ntype: fork\nversion: 1\ninitial: w\nstates:\n  w:\n    tasks:\n")
	for i := range width {
		fmt.Fprintf(&text, "      t%d: {workflow: {type: fork}, semantics: %s}\n", i, semantics)
	}
	return text.String() + "    onDone: d\n    onError: d\n  d: {type: final}\n"
}

// TestTreesEnd says that a workflow that starts itself makes no more instances
// than the partitions take, whether it waits for them or not, and that whoever
// is refused tells its parent, so that the whole tree ends.
func TestTreesEnd(t *testing.T) {
	const partitions, limit = 3, 40
	for _, semantics := range []string{"await", "fire_and_forget"} {
		for width := 2; width <= 4; width++ {
			for _, together := range []int{1, 50} {
				t.Run(fmt.Sprint(semantics, width, together), func(t *testing.T) {
					f := newForest(t, partitions, limit, forking(width, semantics))
					f.queue = append(f.queue, startOf("fork", "root"))
					for turns := 0; len(f.queue) > 0; turns++ {
						if f.turn(together); turns > 10_000 {
							t.Fatalf("%d instances and no end", f.started)
						}
					}
					if most := 1 + width + partitions*limit; f.started > most || f.refused == 0 {
						t.Errorf("%d instances, at most %d; %d refused", f.started, most, f.refused)
					}
					if s := f.snapshot("root"); !s.State.Finished() {
						t.Errorf("the root is %s", s.State)
					}
				})
			}
		}
	}
}

// TestOneChildAfterTheOther says that a workflow may start children for ever, if
// they end.
func TestOneChildAfterTheOther(t *testing.T) {
	f := newForest(t, 1, 5, `
leat: v1
type: fork
version: 1
data: {n: {type: long, default: 0}}
initial: choose
states:
  choose: {always: [{guard: has(input.leaf), target: over}, {target: asks}]}
  asks: {invoke: {id: c, workflow: {type: fork}, input: {leaf: true}, onDone: {target: again, actions: [{assign: {n: data.n + 1}}]}, onError: bad}}
  again: {always: [{guard: data.n < 50, target: asks}, {target: over}]}
  over: {type: final}
  bad: {type: final, outcome: failed}
`)
	c := startOf("fork", "root")
	c.Payload = []byte(`{}`)
	for f.queue = append(f.queue, c); len(f.queue) > 0; {
		f.turn(1)
	}
	if s := f.snapshot("root"); s.State != events.WorkflowCompleted || f.started != 51 {
		t.Errorf("the root is %s after %d instances: %v", s.State, f.started, s.Error)
	}
}

// TestTreeSizes says that what the lane remembers of trees, what the book has of
// them, and what the snapshots say are the same, whatever happens to them.
func TestTreeSizes(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		b := memory(t)
		sizes := newTrees(b)
		p := shard.Partition{Topic: "x"}
		now := make(map[string]*events.Snapshot)
		roots := []events.UUID{{}, events.DeriveUUID(events.Namespace, "a"), events.DeriveUUID(events.Namespace, "b")}
		for range rapid.IntRange(1, 40).Draw(r, "steps") {
			key := rapid.StringMatching("[a-f]").Draw(r, "key")
			old := now[key]
			next := someSnapshot(t)
			next.InstanceID, next.Key = events.InstanceIDForKey("order", key), key
			next.State = rapid.SampledFrom([]events.WorkflowState{events.WorkflowRunning, events.WorkflowCompleted}).Draw(r, "state")
			if rapid.Bool().Draw(r, "child") {
				next.Parent = &events.Parent{Root: rapid.SampledFrom(roots).Draw(r, "root"), Generation: rapid.Int32Range(1, 2).Draw(r, "generation")}
			}
			batch := b.db.NewBatch()
			if old != nil && rapid.IntRange(0, 5).Draw(r, "deleted") == 0 {
				b.remove(batch, p, old)
				next = nil
			} else {
				b.put(batch, p, old, next, []byte("record"))
			}
			sizes.note(p, old, next)
			now[key] = next
			if err := batch.Commit(); err != nil {
				t.Fatal(err)
			}
			batch.Close()
			of := tree{p, rapid.SampledFrom(roots).Draw(r, "looked at")}
			want := 0
			for _, s := range now {
				if root, counts := inTree(s); counts && root == of.root {
					want++
				}
			}
			limit := rapid.IntRange(1, 8).Draw(r, "limit")
			got, err := sizes.of(of, limit)
			if err != nil || min(got, limit) != min(want, limit) {
				r.Fatalf("tree of %d, %v, want %d (limit %d)", got, err, want, limit)
			}
		}
	})
}
