package client

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
)

// follower reads topics from where they end and hands records to those who wait
// for them, by record key. There is one for each set of topics, from the first
// wait until the client is closed.
type follower struct {
	client  *Client
	fetcher *kafka.Fetcher
	stop    context.CancelFunc
	ended   chan struct{}

	mu      sync.Mutex
	waiting map[events.UUID]map[*watch]bool // by record key
}

// watch is one wait. Its funcs are called from the follower's goroutine.
type watch struct {
	keys   []events.UUID
	record func(*kafka.Record)
	// settled is called after record, when everything that was committed together
	// with it has been handed over too.
	settled func()
}

// pollLimit is how many records a follower takes at once.
const pollLimit = 5000

// starting is a follower that is being made: made is closed when follower and
// err are set.
type starting struct {
	made     chan struct{}
	follower *follower
	err      error
}

// follow gives the follower of topics. When it returns, everything that is
// committed from now on will be seen.
func (c *Client) follow(ctx context.Context, topics ...string) (*follower, error) {
	name := topics[0]
	for {
		c.mu.Lock()
		if err := c.usable(); err != nil {
			c.mu.Unlock()
			return nil, err
		}
		s := c.followers[name]
		mine := s == nil
		if mine {
			s = &starting{made: make(chan struct{})}
			c.followers[name] = s
		}
		c.mu.Unlock()
		if mine {
			c.begin(ctx, s, name, topics)
			return s.follower, s.err
		}
		select {
		case <-s.made:
		case <-ctx.Done():
			return nil, failed("follow "+name, ctx.Err())
		}
		if s.err == nil || ctx.Err() != nil || !errors.Is(s.err, ErrTimeout) {
			return s.follower, s.err
		}
		// The other's context ended, not ours: try for ourselves.
	}
}

func (c *Client) begin(ctx context.Context, s *starting, name string, topics []string) {
	defer close(s.made)
	if s.follower, s.err = c.newFollower(ctx, topics); s.err == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.followers[name] == s {
		delete(c.followers, name)
	}
}

func (c *Client) newFollower(ctx context.Context, topics []string) (*follower, error) {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	reader, err := c.reading()
	if err != nil {
		return nil, err
	}
	ends := make(map[kafka.TopicPartition]int64)
	for _, topic := range topics {
		ranges, err := reader.Ranges(ctx, topic)
		if err != nil {
			return nil, failed("follow "+topic, err)
		}
		for p, r := range ranges {
			ends[p] = r.End
		}
	}
	fetcher, err := kafka.NewFetcher(c.kafka)
	if err != nil {
		return nil, invalid(err)
	}
	fetcher.AddAll(ends)
	life, stop := context.WithCancel(c.life)
	f := &follower{
		client: c, fetcher: fetcher, stop: stop, ended: make(chan struct{}), waiting: make(map[events.UUID]map[*watch]bool),
	}
	go f.run(life)
	return f, nil
}

func (f *follower) close() {
	f.stop()
	<-f.ended
	f.fetcher.Close()
}

func (f *follower) run(ctx context.Context) {
	defer close(f.ended)
	touched := make(map[*watch]bool)
	for ctx.Err() == nil {
		records, err := f.fetcher.Poll(ctx, pollLimit)
		if err != nil && ctx.Err() == nil {
			f.client.config.Logger.Warn("cannot read what is waited for, trying again", slog.Any("error", err))
			kafka.Pause(ctx, 100*time.Millisecond)
		}
		for _, r := range records {
			f.hand(r, touched)
		}
		// A transaction becomes visible at once, so what belongs together is behind
		// us unless the poll was cut.
		if len(records) == pollLimit {
			continue
		}
		for w := range touched {
			w.settled()
		}
		clear(touched)
	}
}

func (f *follower) hand(r *kafka.Record, touched map[*watch]bool) {
	key, err := events.ParseUUID(string(r.Key))
	if err != nil {
		return // a checkpoint
	}
	f.mu.Lock()
	watches := make([]*watch, 0, len(f.waiting[key]))
	for w := range f.waiting[key] {
		watches = append(watches, w)
	}
	f.mu.Unlock()
	for _, w := range watches {
		w.record(r)
		touched[w] = true
	}
}

// watch hands records with the watch's keys over until the returned func is called.
func (f *follower) watch(w *watch) (forget func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, key := range w.keys {
		if f.waiting[key] == nil {
			f.waiting[key] = make(map[*watch]bool)
		}
		f.waiting[key][w] = true
	}
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, key := range w.keys {
			if delete(f.waiting[key], w); len(f.waiting[key]) == 0 {
				delete(f.waiting, key)
			}
		}
	}
}
