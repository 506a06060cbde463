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
	// with many of them are read no further: what others have comes through. They
	// are read again while there still is work: a fetch that waits for records at the
	// broker asks for them only when it returns.
	slowQueue  = 500 * time.Millisecond
	enoughWork = kafka.FetchWait / 5
	greedy     = 32      // records of a partition that are read in any case
	restful    = 4 << 10 // the same of one that rests: enough for when it goes on
)

// pace knows how fast records are processed, and which partitions have more than
// their share. Only the run loop uses it, with the turn held.
type pace struct {
	each   time.Duration // that one record took lately
	paused map[Partition]bool
	put    map[Partition]bool // aside: nothing of them is read or kept, their position does not move
}

func (p *pace) processed(records int, took time.Duration) {
	if records > 0 {
		p.each = (3*p.each + took/time.Duration(records)) / 4
	}
}

// forget forgets a partition that was revoked.
func (p *pace) forget(id Partition) {
	delete(p.paused, id)
	delete(p.put, id)
}

// share stops and goes on to read partitions. blocked names those of which
// nothing can be processed now. The turn is held.
func (s *Shard) share(blocked func(Partition) bool) {
	s.putAside(blocked)
	left := time.Duration(s.queue.n) * s.pace.each
	for _, p := range s.queue.order {
		if s.tooMany(p, left, slowQueue) && !s.pace.paused[p] {
			if s.pace.paused == nil {
				s.pace.paused = make(map[Partition]bool)
			}
			s.pace.paused[p] = true
			s.fetcher.Pause(p)
		}
	}
	for p := range s.pace.paused {
		if !s.tooMany(p, left, enoughWork) {
			delete(s.pace.paused, p)
			s.fetcher.Resume(p)
		}
	}
}

// tooMany reports whether more of p waits than is good for the others, when all
// that waits takes left.
func (s *Shard) tooMany(p Partition, left, most time.Duration) bool {
	n := len(s.queue.parts[p])
	_, rests := s.resting[p]
	return left > most && n > greedy || rests && n > restful
}

// putAside drops what was read of blocked partitions, however many there are:
// the queue is for the others. When one goes on, it is read again from where it
// stands. The turn is held.
func (s *Shard) putAside(blocked func(Partition) bool) {
	for p := range s.pace.put {
		if next, serving := s.position(p); !blocked(p) {
			delete(s.pace.put, p)
			if serving {
				s.fetcher.Add(p, next)
			}
		}
	}
	for p := range s.blocked {
		if _, serving := s.position(p); s.pace.put[p] || !serving || !blocked(p) {
			continue
		}
		if s.pace.put == nil {
			s.pace.put = make(map[Partition]bool)
		}
		s.pace.put[p] = true
		delete(s.pace.paused, p)
		s.queue.drop(p)
		s.fetcher.Remove(p)
	}
}

// position is the next offset of a partition that is being served.
func (s *Shard) position(id Partition) (next int64, serving bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.parts[id]
	if p == nil || !p.serving {
		return 0, false
	}
	return p.next, true
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
