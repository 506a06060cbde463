package shard

import (
	"bytes"
	"slices"

	"github.com/leat-io/leat/internal/kafka"
)

// turnRecords is how many records of one partition stand together in a batch
// before those of the next: a partition with many waits behind the others' few.
const turnRecords = 8

// queue holds records that were read and are not processed yet: in order within
// each partition, and fair between partitions.
type queue struct {
	order []Partition // whose turn it is; each has records
	parts map[Partition][]*kafka.Record
	n     int
	bytes int
}

func idOf(r *kafka.Record) Partition { return Partition{Topic: r.Topic, Partition: r.Partition} }

// add puts records behind those of their partitions.
func (q *queue) add(records []*kafka.Record) {
	for _, r := range records {
		q.enter(idOf(r))
		q.parts[idOf(r)] = append(q.parts[idOf(r)], r)
		q.count(r, 1)
	}
}

// putBack puts records in front of those of their partitions.
func (q *queue) putBack(records []*kafka.Record) {
	for _, r := range slices.Backward(records) {
		q.enter(idOf(r))
		q.parts[idOf(r)] = slices.Insert(q.parts[idOf(r)], 0, r)
		q.count(r, 1)
	}
}

func (q *queue) enter(p Partition) {
	if q.parts == nil {
		q.parts = make(map[Partition][]*kafka.Record)
	}
	if len(q.parts[p]) == 0 {
		q.order = append(q.order, p)
	}
}

func (q *queue) count(r *kafka.Record, by int) {
	q.n += by
	q.bytes += by * len(r.Value)
}

// take gives at most limit records, a few of each partition in turn, but none of
// those that skip names.
func (q *queue) take(limit int, skip func(Partition) bool) (batch []*kafka.Record) {
	order := slices.DeleteFunc(slices.Clone(q.order), skip)
	for len(order) > 0 && len(batch) < limit {
		rest := order[:0]
		for _, p := range order {
			list := q.parts[p]
			n := min(turnRecords, len(list), limit-len(batch))
			batch = append(batch, list[:n]...)
			if q.parts[p] = list[n:]; n < len(list) {
				rest = append(rest, p)
			}
		}
		order = rest
	}
	for _, r := range batch {
		q.count(r, -1)
	}
	q.tidy()
	return batch
}

// lookAhead is how many records oneKey reads.
const lookAhead = 512

// oneKey reports whether the next records of p all have the same key, as far as
// is looked. What has none may be anybody's.
func (q *queue) oneKey(p Partition) bool {
	list := q.parts[p]
	for _, r := range list[:min(len(list), lookAhead)] {
		if len(r.Key) == 0 || !bytes.Equal(r.Key, list[0].Key) {
			return false
		}
	}
	return true
}

// tidy forgets partitions without records.
func (q *queue) tidy() {
	q.order = slices.DeleteFunc(q.order, func(p Partition) bool {
		empty := len(q.parts[p]) == 0
		if empty {
			delete(q.parts, p)
		}
		return empty
	})
}

// served puts partitions behind those that wait for their turn.
func (q *queue) served(had func(Partition) bool) {
	slices.SortStableFunc(q.order, func(a, b Partition) int {
		switch {
		case had(a) == had(b):
			return 0
		case had(a):
			return 1
		default:
			return -1
		}
	})
}

// drop forgets a partition.
func (q *queue) drop(p Partition) {
	for _, r := range q.parts[p] {
		q.count(r, -1)
	}
	delete(q.parts, p)
	q.tidy()
}

func (q *queue) clear() { *q = queue{} }
