package follow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
)

// reader reads one topic from where it ends and hands records to those who wait
// for them, by record key. It begins with the first wait, and ends when nobody has
// waited for Config.Idle, or with Topics.
type reader struct {
	config  *Config
	topic   string
	fetcher *kafka.Fetcher
	stop    context.CancelFunc
	ended   chan struct{}

	mu      sync.Mutex
	waiting map[events.UUID][]*Watch // by record key; Nil for all
	idle    *time.Timer              // runs while nobody waits
	gone    bool                     // nobody can begin to wait any more
}

const (
	// pollLimit is how many records a reader takes at once.
	pollLimit = 5000
	// failedEvery and remadeEvery are how long a reader waits before it tries again:
	// what failed, and whether a topic that was deleted is there again.
	failedEvery = 100 * time.Millisecond
	remadeEvery = 300 * time.Millisecond
)

func (t *Topics) open(ctx context.Context, topic string, s *starting) (*reader, error) {
	offsets, err := t.config.Reader()
	if err != nil {
		return nil, err
	}
	ends, err := offsets.Ends(ctx, topic)
	if err != nil {
		return nil, fmt.Errorf("follow %s: %w", topic, err)
	}
	fetcher, err := kafka.NewFetcher(t.config.Kafka)
	if err != nil {
		return nil, err
	}
	fetcher.AddAll(ends)
	life, stop := context.WithCancel(t.life)
	r := &reader{
		config: &t.config, topic: topic, fetcher: fetcher, stop: stop, ended: make(chan struct{}), waiting: make(map[events.UUID][]*Watch),
	}
	r.idle = time.AfterFunc(t.config.Idle, func() { t.retire(r, s) })
	go r.run(life)
	return r, nil
}

// leave makes sure that nobody begins to wait any more, unless somebody waits.
func (r *reader) leave() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.waiting) > 0 || r.gone {
		return false
	}
	r.gone = true
	return true
}

// close ends the reader and tells those who wait.
func (r *reader) close() {
	r.mu.Lock()
	r.gone = true
	r.idle.Stop()
	var left []*Watch
	for _, list := range r.waiting {
		left = append(left, list...)
	}
	r.mu.Unlock()
	r.stop()
	<-r.ended
	for _, w := range left {
		if w.Over != nil {
			w.Over()
		}
	}
	r.fetcher.Close()
}

func (r *reader) run(ctx context.Context) {
	defer close(r.ended)
	touched := make(map[*Watch]bool)
	for ctx.Err() == nil {
		records, err := r.fetcher.Poll(ctx, pollLimit)
		if err != nil && ctx.Err() == nil {
			r.config.Logger.Warn("cannot read what is waited for, trying again", slog.String("topic", r.topic), slog.Any("error", err))
			if errors.Is(err, kafka.ErrOffsetGone) {
				r.again(ctx)
			}
			kafka.Pause(ctx, failedEvery)
		}
		for _, record := range records {
			r.hand(record, touched)
		}
		// A transaction becomes visible at once, so what belongs together is behind
		// us unless the poll was cut.
		if len(records) == pollLimit {
			continue
		}
		for w := range touched {
			w.Settled()
		}
		clear(touched)
	}
}

// again begins at the start of a topic that was deleted and made anew, so that all
// that is in it was written since, or that has lost what was not read yet.
func (r *reader) again(ctx context.Context) {
	offsets, err := r.config.Reader()
	if err != nil {
		return // it is closed
	}
	for ctx.Err() == nil {
		ranges, err := offsets.Ranges(ctx, r.topic)
		if err == nil {
			for p, bounds := range ranges {
				r.fetcher.Add(p, bounds.Start)
			}
			return
		}
		kafka.Pause(ctx, remadeEvery)
	}
}

// hand looks at nothing but the key of what nobody waits for.
func (r *reader) hand(record *kafka.Record, touched map[*Watch]bool) {
	key, err := events.ParseUUID(string(record.Key))
	if err != nil {
		return // a checkpoint
	}
	r.mu.Lock()
	mine, all := r.waiting[key], r.waiting[events.Nil]
	r.mu.Unlock()
	for _, list := range [][]*Watch{mine, all} { // never changed in place
		for _, w := range list {
			w.Record(record)
			if w.Settled != nil {
				touched[w] = true
			}
		}
	}
}

// watch hands records with the key over until forget is called. It is false when
// the reader has ended.
func (r *reader) watch(w *Watch, key events.UUID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone {
		return false
	}
	r.idle.Stop()
	r.waiting[key] = append(slices.Clip(r.waiting[key]), w)
	return true
}

// forget ends what watch began. It may be called again.
func (r *reader) forget(w *Watch, key events.UUID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.waiting[key]
	at := slices.Index(list, w)
	switch {
	case at < 0:
		return
	case len(list) == 1:
		delete(r.waiting, key)
	default:
		r.waiting[key] = slices.Concat(list[:at], list[at+1:])
	}
	if len(r.waiting) == 0 && !r.gone {
		r.idle.Reset(r.config.Idle)
	}
}
