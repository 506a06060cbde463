package router

import (
	"github.com/leat-io/leat/internal/decide"
	"github.com/leat-io/leat/internal/shard"
	"github.com/leat-io/leat/internal/store"
	"github.com/leat-io/leat/pkg/events"
)

// tree is the part of a tree of child workflows that lies in a partition.
type tree struct {
	partition shard.Partition
	root      events.UUID
}

// inTree reports whether an instance counts as a part of its tree, and of which.
// A child of the root counts while it lives: a workflow that starts one child
// after the other, for years, grows no tree. Further below everything counts until
// it is forgotten, because those that end make room for others without an end.
func inTree(s *events.Snapshot) (root events.UUID, counts bool) {
	if s == nil || s.Parent == nil || s.Parent.Root.IsNil() {
		return events.UUID{}, false
	}
	return s.Parent.Root, s.Parent.Generation > 1 || !s.State.Finished()
}

func treeKey(p shard.Partition, root events.UUID) []byte {
	return append(partitionKey(tagTree, p), root[:]...)
}

// putTree keeps the members of trees along with their snapshots.
func (b *book) putTree(batch *store.Batch, p shard.Partition, old, next *events.Snapshot) {
	before, was := inTree(old)
	now, is := inTree(next)
	if was == is && before == now {
		return
	}
	if was {
		batch.Delete(append(treeKey(p, before), old.InstanceID[:]...))
	}
	if is {
		batch.Set(append(treeKey(p, now), next.InstanceID[:]...), nil)
	}
}

// treeSize counts the members of a tree in its partition, up to limit.
func (b *book) treeSize(at tree, limit int) (n int, err error) {
	prefix := treeKey(at.partition, at.root)
	err = b.db.Scan(prefix, after(prefix), func([]byte, []byte) (bool, error) {
		n++
		return n < limit, nil
	})
	return n, err
}

// trees remembers the sizes of trees that grow. It is the lane's alone.
type trees struct {
	book *book
	size map[tree]int // as committed
}

const treesKept = 4096

func newTrees(b *book) trees { return trees{book: b, size: make(map[tree]int)} }

func (t *trees) clear() { clear(t.size) }

func (t *trees) of(at tree, limit int) (int, error) {
	if n, ok := t.size[at]; ok {
		return n, nil
	}
	n, err := t.book.treeSize(at, limit)
	if err != nil {
		return 0, err
	}
	if len(t.size) >= treesKept {
		clear(t.size)
	}
	if n < limit { // beyond it, it is counted anew
		t.size[at] = n
	}
	return n, nil
}

// note follows what is committed.
func (t *trees) note(p shard.Partition, old, next *events.Snapshot) {
	before, was := inTree(old)
	now, is := inTree(next)
	if was == is && before == now {
		return
	}
	t.add(tree{p, before}, was, -1)
	t.add(tree{p, now}, is, 1)
}

func (t *trees) add(at tree, counts bool, by int) {
	if n, ok := t.size[at]; ok && counts {
		t.size[at] = n + by
	}
}

// treeLimit is how many instances of one tree a partition takes.
func treeLimit(partitions int32) int {
	return max(decide.MinTree, decide.MaxTree/int(max(1, partitions)))
}

// crowded reports whether an input is the start of a child whose tree is as
// large as it may be in this partition.
func (t *transaction) crowded(r *request) (bool, error) {
	c := r.in.Command
	if c == nil || c.Command != events.CommandStart || c.Parent == nil || c.Parent.Root.IsNil() || r.entry.cur != nil {
		return false, nil
	}
	return t.fills(tree{r.at.partition, c.Parent.Root}, treeLimit(t.lane.registry.Partitions(c.WorkflowType)))
}

// fills reports whether a tree has limit members; if not, it gets one more.
func (t *transaction) fills(of tree, limit int) (bool, error) {
	n, err := t.lane.trees.of(of, limit)
	if err != nil || n+t.begun[of] >= limit {
		return true, err
	}
	if t.begun == nil {
		t.begun = make(map[tree]int)
	}
	t.begun[of]++ // even if it is refused for another reason
	return false, nil
}
