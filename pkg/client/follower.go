package client

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
)

// follower reads one topic from where it ends and hands records to those who wait
// for them, by record key. All who wait on a topic share it: it begins with the
// first wait, and ends when nobody has waited for idleFor, or with the client.
type follower struct {
	client  *Client
	topic   string
	fetcher *kafka.Fetcher
	stop    context.CancelFunc
	ended   chan struct{}

	mu      sync.Mutex
	waiting map[events.UUID][]*watch // by record key
	idle    *time.Timer              // runs while nobody waits
	gone    bool                     // nobody can begin to wait any more
}

// watch is one wait, at one or more places. Its funcs are called from the
// followers' goroutines, of several at once.
type watch struct {
	record func(*kafka.Record)
	// settled, if it is not nil, is called after record, when everything of the
	// topic that was committed together with it has been handed over too.
	settled func()
	// over, if it is not nil, is called when the client is closed.
	over func()
}

// place is where a watch looks: for records of a topic that have the key.
type place struct {
	topic string
	key   events.UUID
}

const (
	// pollLimit is how many records a follower takes at once.
	pollLimit = 5000
	// idleFor is how long a topic is usually read on when nobody waits: beginning
	// again costs some requests, reading what nobody wants goes on costing.
	idleFor = 30 * time.Second
)

// watch begins to hand the records at places to w until forget is called. When it
// returns, everything that is committed from then on will be seen.
func (c *Client) watch(ctx context.Context, w *watch, places ...place) (forget func(), err error) {
	var begun sync.WaitGroup
	at := make([]*follower, len(places))
	errs := make([]error, len(places))
	for i := 1; i < len(places); i++ {
		begun.Go(func() { at[i], errs[i] = c.watchOne(ctx, w, places[i]) })
	}
	at[0], errs[0] = c.watchOne(ctx, w, places[0])
	begun.Wait()
	forget = func() {
		for i, f := range at {
			if f != nil {
				f.forget(w, places[i].key)
			}
		}
	}
	for _, err := range errs {
		if err != nil {
			forget()
			return nil, err
		}
	}
	return forget, nil
}

func (c *Client) watchOne(ctx context.Context, w *watch, at place) (*follower, error) {
	for {
		f, err := c.follow(ctx, at.topic)
		if err != nil || f.watch(w, at.key) {
			return f, err
		}
	}
}

// starting is a follower that is being made: made is closed when follower and
// err are set.
type starting struct {
	made     chan struct{}
	follower *follower
	err      error
}

// follow gives the follower of a topic, which may end before it is used.
func (c *Client) follow(ctx context.Context, topic string) (*follower, error) {
	for {
		c.mu.Lock()
		if err := c.usable(); err != nil {
			c.mu.Unlock()
			return nil, err
		}
		s := c.followers[topic]
		mine := s == nil
		if mine {
			s = &starting{made: make(chan struct{})}
			c.followers[topic] = s
		}
		c.mu.Unlock()
		if mine {
			c.begin(ctx, s, topic)
			return s.follower, s.err
		}
		select {
		case <-s.made:
		case <-ctx.Done():
			return nil, failed("follow "+topic, ctx.Err())
		}
		if s.err == nil || ctx.Err() != nil || !errors.Is(s.err, ErrTimeout) {
			return s.follower, s.err
		}
		// The other's context ended, not ours: try for ourselves.
	}
}

func (c *Client) begin(ctx context.Context, s *starting, topic string) {
	defer close(s.made)
	if s.follower, s.err = c.newFollower(ctx, topic, s); s.err == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.followers[topic] == s {
		delete(c.followers, topic)
	}
}

func (c *Client) newFollower(ctx context.Context, topic string, s *starting) (*follower, error) {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	reader, err := c.reading()
	if err != nil {
		return nil, err
	}
	ends, err := reader.Ends(ctx, topic)
	if err != nil {
		return nil, failed("follow "+topic, err)
	}
	fetcher, err := kafka.NewFetcher(c.kafka)
	if err != nil {
		return nil, invalid(err)
	}
	fetcher.AddAll(ends)
	life, stop := context.WithCancel(c.life)
	f := &follower{
		client: c, topic: topic, fetcher: fetcher, stop: stop, ended: make(chan struct{}), waiting: make(map[events.UUID][]*watch),
	}
	f.idle = time.AfterFunc(c.idleFor, func() { c.retire(f, s) })
	go f.run(life)
	return f, nil
}

// retire ends a follower for which nobody waits.
func (c *Client) retire(f *follower, s *starting) {
	c.mu.Lock()
	if c.closed || !f.leave() {
		c.mu.Unlock()
		return
	}
	if c.followers[f.topic] == s {
		delete(c.followers, f.topic)
	}
	c.background.Go(f.close)
	c.mu.Unlock()
}

// leave makes sure that nobody begins to wait any more, unless somebody waits.
func (f *follower) leave() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.waiting) > 0 || f.gone {
		return false
	}
	f.gone = true
	return true
}

// close ends the follower and tells those who wait.
func (f *follower) close() {
	f.mu.Lock()
	f.gone = true
	f.idle.Stop()
	var left []*watch
	for _, list := range f.waiting {
		left = append(left, list...)
	}
	f.mu.Unlock()
	f.stop()
	<-f.ended
	for _, w := range left {
		if w.over != nil {
			w.over()
		}
	}
	f.fetcher.Close()
}

func (f *follower) run(ctx context.Context) {
	defer close(f.ended)
	touched := make(map[*watch]bool)
	for ctx.Err() == nil {
		records, err := f.fetcher.Poll(ctx, pollLimit)
		if err != nil && ctx.Err() == nil {
			f.client.config.Logger.Warn("cannot read what is waited for, trying again", slog.Any("error", err))
			if errors.Is(err, kafka.ErrOffsetGone) {
				f.again(ctx)
			}
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

// again begins at the start of a topic that was deleted and made anew, so that all
// that is in it was written since, or that has lost what was not read yet.
func (f *follower) again(ctx context.Context) {
	reader, err := f.client.reading()
	if err != nil {
		return // the client is closed
	}
	for ctx.Err() == nil {
		ranges, err := reader.Ranges(ctx, f.topic)
		if err == nil {
			for p, r := range ranges {
				f.fetcher.Add(p, r.Start)
			}
			return
		}
		kafka.Pause(ctx, remadeEvery)
	}
}

// hand looks at nothing but the key of what nobody waits for.
func (f *follower) hand(r *kafka.Record, touched map[*watch]bool) {
	key, err := events.ParseUUID(string(r.Key))
	if err != nil {
		return // a checkpoint
	}
	f.mu.Lock()
	watches := f.waiting[key]
	f.mu.Unlock()
	for _, w := range watches { // never changed in place
		w.record(r)
		if w.settled != nil {
			touched[w] = true
		}
	}
}

// watch hands records with the key over until forget is called. It is false when
// the follower has ended.
func (f *follower) watch(w *watch, key events.UUID) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.gone {
		return false
	}
	f.idle.Stop()
	f.waiting[key] = append(slices.Clip(f.waiting[key]), w)
	return true
}

// forget ends what watch began. It may be called again.
func (f *follower) forget(w *watch, key events.UUID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := f.waiting[key]
	at := slices.Index(list, w)
	switch {
	case at < 0:
		return
	case len(list) == 1:
		delete(f.waiting, key)
	default:
		f.waiting[key] = slices.Concat(list[:at], list[at+1:])
	}
	if len(f.waiting) == 0 && !f.gone {
		f.idle.Reset(f.client.idleFor)
	}
}
