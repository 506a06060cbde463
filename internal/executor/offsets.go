package executor

import "sort"

// offsets is the order of one partition's tasks while this executor owns it:
// which are handed over, and so up to where the group's offset may move. It is
// not safe for concurrent use.
type offsets struct {
	next    int64 // what the group should read next: everything below is handed over
	open    []entry
	highest int64 // highest offset that was begun, -1 for none
}

type entry struct {
	offset int64
	done   bool
}

func newOffsets(next int64) *offsets { return &offsets{next: next, highest: -1} }

// add tells that offset was read; offsets come in rising order.
func (o *offsets) add(offset int64) { o.open = append(o.open, entry{offset: offset}) }

// begin tells that the task at offset runs here, whatever happens to the partition.
func (o *offsets) begin(offset int64) { o.highest = max(o.highest, offset) }

// done marks offset as handed over: no executor needs it again. It may be called twice.
func (o *offsets) done(offset int64) {
	i := sort.Search(len(o.open), func(i int) bool { return o.open[i].offset >= offset })
	if i == len(o.open) || o.open[i].offset != offset {
		return // below next already
	}
	o.open[i].done = true
	for len(o.open) > 0 && o.open[0].done {
		o.next = o.open[0].offset + 1
		o.open = o.open[1:]
	}
}

// waiting is how many tasks hold the group's offset back.
func (o *offsets) waiting() int { return len(o.open) }
