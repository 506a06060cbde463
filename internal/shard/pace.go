package shard

import (
	"time"

	"github.com/leat-io/leat/internal/kafka"
)

// Bounds of what is read and not processed. Beyond them nothing more is read.
const (
	queueRecords = 32 << 10
	queueBytes   = 64 << 20
	// slowQueue is how long the records in the queue may take before partitions
	// with many of them are read no further: what others have comes through.
	slowQueue = 500 * time.Millisecond
	greedy    = 32 // records of a partition that are read in any case
)

// pace knows how fast records are processed, and which partitions have more than
// their share. Only the run loop uses it, with the turn held.
type pace struct {
	each   time.Duration // that one record took lately
	paused map[Partition]bool
}

func (p *pace) processed(records int, took time.Duration) {
	if records > 0 {
		p.each = (3*p.each + took/time.Duration(records)) / 4
	}
}

// share stops and goes on to read partitions. blocked names those of which
// nothing can be processed now. The turn is held.
func (s *Shard) share(blocked func(Partition) bool) {
	slow := time.Duration(s.queue.n)*s.pace.each > slowQueue
	for _, p := range s.queue.order {
		much := slow && len(s.queue.parts[p]) > greedy
		if (much || blocked(p)) && !s.pace.paused[p] {
			if s.pace.paused == nil {
				s.pace.paused = make(map[Partition]bool)
			}
			s.pace.paused[p] = true
			s.fetcher.Pause(p)
		}
	}
	for p := range s.pace.paused {
		if !blocked(p) && len(s.queue.parts[p]) <= greedy {
			delete(s.pace.paused, p)
			s.fetcher.Resume(p)
		}
	}
}

// pull takes what was read into the queue, without waiting for more.
func (s *Shard) pull(read func() ([]*kafka.Record, error)) error {
	if s.queue.n >= queueRecords || s.queue.bytes >= queueBytes {
		return nil
	}
	records, err := read()
	s.queue.add(records)
	return err
}
