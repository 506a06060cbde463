package router

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/decide"
	"github.com/leat-io/leat/internal/shard"
	"github.com/leat-io/leat/internal/store"
	"github.com/leat-io/leat/pkg/events"
)

// storeLayout is the version of the keys below; see store.Options.
const storeLayout = 1

// book is the local copy of the state topics: snapshots, the timers that follow
// from them, and up to where both are known. It is written only with what is
// committed. A shard.Partition stands for the partition of the commands topic.
type book struct {
	db *store.DB
}

// position is up to where a partition is known.
type position struct {
	input int64 // next command to decide
	state int64 // next record of the state topic to restore
}

// Keys: a tag, the partition, and what follows orders within it.
const (
	tagInstance = 'i' // instance id → snapshot record
	tagTimer    = 't' // due, instance id, timer id → nothing
	tagPosition = 'o' // → position
	tagSchedule = 's' // schedule id → progress record
	tagTree     = 'r' // root, instance id → nothing
)

func partitionKey(tag byte, p shard.Partition) []byte {
	key := make([]byte, 0, 2+len(p.Topic)+4+32)
	key = append(key, tag, byte(len(p.Topic))) //nolint:gosec // topic names are at most 249 bytes
	key = append(key, p.Topic...)
	return binary.BigEndian.AppendUint32(key, uint32(p.Partition)) //nolint:gosec // partitions are not negative
}

func instanceKey(p shard.Partition, id events.UUID) []byte {
	return append(partitionKey(tagInstance, p), id[:]...)
}

// timerRef is what a timer key says.
type timerRef struct {
	due      time.Time
	instance events.UUID
	id       int64
}

func timerKey(p shard.Partition, r timerRef) []byte {
	key := binary.BigEndian.AppendUint64(partitionKey(tagTimer, p), uint64(r.due.UnixMicro()))
	key = append(key, r.instance[:]...)
	return binary.BigEndian.AppendUint64(key, uint64(r.id)) //nolint:gosec // ordinals are not negative
}

func parseTimerKey(key []byte) timerRef {
	tail := key[len(key)-32:]
	return timerRef{
		due:      time.UnixMicro(int64(binary.BigEndian.Uint64(tail))).UTC(), //nolint:gosec // see timerKey
		instance: events.UUID(tail[8:24]),
		id:       int64(binary.BigEndian.Uint64(tail[24:])), //nolint:gosec // see timerKey
	}
}

// after is the first key behind every key with this prefix.
func after(prefix []byte) []byte {
	end := append([]byte{}, prefix...)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}

// load is the committed snapshot of an instance, decoded and as it is in the state
// topic; nil when there is none.
func (b *book) load(p shard.Partition, id events.UUID) (*events.Snapshot, []byte, error) {
	value, err := b.record(p, id)
	if err != nil || value == nil {
		return nil, nil, err
	}
	snap, err := avro.DecodeSnapshot(value)
	if err != nil {
		return nil, nil, fmt.Errorf("snapshot of %s in %s: %w", id, p, err)
	}
	return &snap, value, nil
}

// record is the committed snapshot of an instance as it is in the state topic, nil
// when there is none.
func (b *book) record(p shard.Partition, id events.UUID) ([]byte, error) {
	value, ok, err := b.db.Get(instanceKey(p, id))
	if err != nil || !ok {
		return nil, err
	}
	return value, nil
}

// put replaces a snapshot (old may be nil) and moves the timers along. record is
// next as it is in the state topic.
func (b *book) put(batch *store.Batch, p shard.Partition, old, next *events.Snapshot, record []byte) {
	batch.Set(instanceKey(p, next.InstanceID), record)
	b.putTree(batch, p, old, next)
	// What stays is not written again: a grave for every step of an instance that
	// waits for something would lie in front of the timers that are due.
	was, is := indexed(old), indexed(next)
	if !slices.IsSortedFunc(was, byID) || !slices.IsSortedFunc(is, byID) { // no router writes that
		for i := range was {
			batch.Delete(timerKey(p, refOf(old, i)))
		}
		was = nil
	}
	for len(was) > 0 || len(is) > 0 {
		before, now := nextRef(old, was), nextRef(next, is)
		switch {
		case len(is) == 0 || len(was) > 0 && before.id < now.id:
			batch.Delete(timerKey(p, before))
			was = was[1:]
		case len(was) == 0 || now.id < before.id:
			batch.Set(timerKey(p, now), nil)
			is = is[1:]
		default:
			if !before.due.Equal(now.due) {
				batch.Delete(timerKey(p, before))
				batch.Set(timerKey(p, now), nil)
			}
			was, is = was[1:], is[1:]
		}
	}
}

func byID(a, b events.Timer) int { return cmp.Compare(a.ID, b.ID) }

// nextRef is the first of timers, which are in the order of their ids.
func nextRef(s *events.Snapshot, timers []events.Timer) timerRef {
	if len(timers) == 0 {
		return timerRef{}
	}
	return timerRef{due: timers[0].Due.UTC(), instance: s.InstanceID, id: timers[0].ID}
}

// indexed is the timers of an instance that may fire. While it holds, none does,
// and what is overdue fires first when it goes on.
func indexed(s *events.Snapshot) []events.Timer {
	if s == nil || decide.Behind(s) {
		return nil
	}
	return s.Chart.Timers
}

func refOf(s *events.Snapshot, i int) timerRef {
	t := &s.Chart.Timers[i]
	return timerRef{due: t.Due.UTC(), instance: s.InstanceID, id: t.ID}
}

// remove forgets an instance that was deleted from the state topic.
func (b *book) remove(batch *store.Batch, p shard.Partition, old *events.Snapshot) {
	batch.Delete(instanceKey(p, old.InstanceID))
	b.putTree(batch, p, old, nil)
	for i := range old.Chart.Timers {
		batch.Delete(timerKey(p, refOf(old, i)))
	}
}

func (b *book) setPosition(batch *store.Batch, p shard.Partition, at position) {
	value := binary.BigEndian.AppendUint64(nil, uint64(at.input))                                   //nolint:gosec // offsets are not negative
	batch.Set(partitionKey(tagPosition, p), binary.BigEndian.AppendUint64(value, uint64(at.state))) //nolint:gosec // see above
}

// position is that of p; ok is false when it is not known.
func (b *book) position(p shard.Partition) (at position, ok bool, err error) {
	value, ok, err := b.db.Get(partitionKey(tagPosition, p))
	if err != nil || !ok {
		return position{}, false, err
	}
	return position{
		input: int64(binary.BigEndian.Uint64(value)),     //nolint:gosec // see setPosition
		state: int64(binary.BigEndian.Uint64(value[8:])), //nolint:gosec // see setPosition
	}, true, nil
}

// wipe forgets everything about p.
func (b *book) wipe(p shard.Partition) error {
	batch := b.db.NewBatch()
	defer batch.Close()
	for _, tag := range []byte{tagInstance, tagTimer, tagPosition, tagSchedule, tagTree} {
		prefix := partitionKey(tag, p)
		batch.DeleteRange(prefix, after(prefix))
	}
	return batch.Commit()
}

// dueTimers lists the timers of p that are due at now, earliest first, at most
// limit of them, without those to skip. None is due before from.
func (b *book) dueTimers(p shard.Partition, from, now time.Time, limit int, skip func(timerRef) bool) ([]timerRef, error) {
	var due []timerRef
	err := b.db.Scan(dueKey(p, from), dueKey(p, now.Add(time.Microsecond)), func(key, _ []byte) (bool, error) {
		if ref := parseTimerKey(key); !skip(ref) {
			due = append(due, ref)
		}
		return len(due) < limit, nil
	})
	return due, err
}

// nextTimer is when the earliest timer of p is due, without those to skip; the
// zero time means never. None is due before from.
func (b *book) nextTimer(p shard.Partition, from time.Time, skip func(timerRef) bool) (due time.Time, err error) {
	err = b.db.Scan(dueKey(p, from), after(partitionKey(tagTimer, p)), func(key, _ []byte) (bool, error) {
		ref := parseTimerKey(key)
		if skip(ref) {
			return true, nil
		}
		due = ref.due
		return false, nil
	})
	return due, err
}

// dueKey sorts before every timer that is due at an instant or later.
func dueKey(p shard.Partition, at time.Time) []byte {
	prefix := partitionKey(tagTimer, p)
	if at.IsZero() {
		return prefix
	}
	return binary.BigEndian.AppendUint64(prefix, uint64(at.UnixMicro()))
}

func scheduleKey(p shard.Partition, id string) []byte {
	return append(partitionKey(tagSchedule, p), id...)
}

// putProgress replaces how far a schedule is; a nil record forgets it.
func (b *book) putProgress(batch *store.Batch, p shard.Partition, id string, record []byte) {
	if record == nil {
		batch.Delete(scheduleKey(p, id))
		return
	}
	batch.Set(scheduleKey(p, id), record)
}

// progress is how far each schedule of p is.
func (b *book) progress(p shard.Partition) (map[string]events.ScheduleProgress, error) {
	prefix := partitionKey(tagSchedule, p)
	all := make(map[string]events.ScheduleProgress)
	err := b.db.Scan(prefix, after(prefix), func(key, value []byte) (bool, error) {
		id := string(key[len(prefix):])
		progress, err := avro.DecodeProgress(value)
		if err != nil {
			return false, fmt.Errorf("progress of schedule %s in %s: %w", id, p, err)
		}
		all[id] = progress
		return true, nil
	})
	return all, err
}

// instance names an instance and where it lives.
type instance struct {
	partition shard.Partition
	id        events.UUID
}

// cache keeps the decoded snapshots of instances that decide often. It holds two
// generations: what was used since the last turn-over, and what was used in the
// one before. Snapshots in it are never changed. It is for one goroutine.
type cache struct {
	limit     int // of one generation
	hot, warm map[instance]cached
}

type cached struct {
	snap *events.Snapshot // nil: not known
	size int              // of its record
}

func newCache(limit int) *cache {
	return &cache{limit: limit, hot: make(map[instance]cached), warm: make(map[instance]cached)}
}

func (c *cache) get(i instance) cached {
	if s, ok := c.hot[i]; ok {
		return s
	}
	s, ok := c.warm[i]
	if ok {
		c.put(i, s)
	}
	return s
}

func (c *cache) put(i instance, s cached) {
	if len(c.hot) >= c.limit {
		c.warm, c.hot = c.hot, make(map[instance]cached, c.limit)
	}
	c.hot[i] = s
}

// clear forgets everything, as when partitions are revoked.
func (c *cache) clear() {
	c.hot, c.warm = make(map[instance]cached), make(map[instance]cached)
}
