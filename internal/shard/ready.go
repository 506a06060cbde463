package shard

import (
	"fmt"
	"sync"
	"time"
)

const (
	// unreadLimit is how long reading may fail before it is more than an accident.
	unreadLimit = 10 * time.Second
	// unreadPause is how long after a failure reading counts as well again: what
	// cannot be read fails with every fetch.
	unreadPause = 5 * time.Second
)

// reading is since when reads fail, and why. Safe for concurrent use.
type reading struct {
	mu          sync.Mutex
	first, last time.Time
	cause       error
}

func (r *reading) failed(now time.Time, cause error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Sub(r.last) > unreadPause {
		r.first = now
	}
	r.last, r.cause = now, cause
}

func (r *reading) ready(now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cause == nil || now.Sub(r.last) > unreadPause || now.Sub(r.first) < unreadLimit {
		return nil
	}
	return fmt.Errorf("reading fails for %v: %w", now.Sub(r.first).Round(time.Second), r.cause)
}

// Ready says why records of the partitions that are served do not come: they
// cannot be read, or an open transaction that does not end precedes them.
func (s *Shard) Ready() error {
	if err := s.reading.ready(s.config.Clock()); err != nil {
		return err
	}
	return s.held.Ready()
}

// servedTopics lists the topics of partitions that are assigned.
func (s *Shard) servedTopics() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []string
	seen := make(map[string]bool)
	for p := range s.parts {
		if !seen[p.Topic] {
			seen[p.Topic] = true
			list = append(list, p.Topic)
		}
	}
	return list
}
