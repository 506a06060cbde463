// Package follow reads topics from where they end, for all of a process that wait
// for records: one reader a topic, however many wait, which ends when nobody has
// waited for a while. It decodes nothing and reads nothing that was there before.
package follow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
)

// Config says what to read with. Kafka, Reader and Logger are required.
type Config struct {
	Kafka  kafka.Config
	Reader func() (*kafka.Reader, error) // asks where a topic ends; its error is that of Watch
	Logger *slog.Logger
	// Idle is how long a topic is read on when nobody waits; default 30 s. Beginning
	// again costs some requests, reading what nobody wants goes on costing.
	Idle time.Duration
}

const usualIdle = 30 * time.Second

// Topics are the topics of one cluster that somebody waits on. It is safe for
// concurrent use.
type Topics struct {
	config Config
	life   context.Context //nolint:containedctx // ends with Close, and with it every reader
	end    context.CancelFunc

	mu      sync.Mutex
	closed  bool
	readers map[string]*starting // by topic

	retiring sync.WaitGroup // nothing is added when it is closed
}

// Watch is one wait, at one or more places. Its funcs are called from the
// readers' goroutines, of several at once; they must be quick.
type Watch struct {
	Record func(*kafka.Record)
	// Settled, if it is not nil, is called after Record, when everything of the
	// topic that was committed together with it has been handed over too.
	Settled func()
	// Over, if it is not nil, is called when Topics is closed.
	Over func()
}

// Place is where a watch looks: for records of a topic that have the key. The nil
// UUID stands for every key that is a UUID.
type Place struct {
	Topic string
	Key   events.UUID
}

// ErrClosed is the error of a watch that begins after Close.
var ErrClosed = errors.New("nothing is followed any longer")

// New makes Topics; it reads nothing until somebody watches. Close it.
func New(c Config) *Topics {
	if c.Idle == 0 {
		c.Idle = usualIdle
	}
	t := &Topics{config: c, readers: make(map[string]*starting)}
	t.life, t.end = context.WithCancel(context.Background())
	return t
}

// Watch begins to hand the records at places to w until forget is called, which
// may be called again. When it returns, everything that is committed from then on
// will be seen. ctx bounds the beginning alone.
func (t *Topics) Watch(ctx context.Context, w *Watch, places ...Place) (forget func(), err error) {
	var begun sync.WaitGroup
	at := make([]*reader, len(places))
	errs := make([]error, len(places))
	for i := 1; i < len(places); i++ {
		begun.Go(func() { at[i], errs[i] = t.watchOne(ctx, w, places[i]) })
	}
	at[0], errs[0] = t.watchOne(ctx, w, places[0])
	begun.Wait()
	forget = func() {
		for i, r := range at {
			if r != nil {
				r.forget(w, places[i].Key)
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

func (t *Topics) watchOne(ctx context.Context, w *Watch, at Place) (*reader, error) {
	for {
		r, err := t.follow(ctx, at.Topic)
		if err != nil || r.watch(w, at.Key) {
			return r, err
		}
	}
}

// Watching counts the places that are watched.
func (t *Topics) Watching() (n int) {
	for _, s := range t.all() {
		<-s.made
		if s.reader != nil {
			s.reader.mu.Lock()
			n += len(s.reader.waiting)
			s.reader.mu.Unlock()
		}
	}
	return n
}

// Reading counts the topics that are read.
func (t *Topics) Reading() int { return len(t.all()) }

func (t *Topics) all() (list []*starting) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.readers {
		list = append(list, s)
	}
	return list
}

// Close ends every reader, and tells those who wait.
func (t *Topics) Close() {
	t.end()
	t.mu.Lock()
	t.closed = true
	readers := t.readers
	t.readers = nil
	t.mu.Unlock()
	var closing sync.WaitGroup
	closing.Go(t.retiring.Wait)
	for _, s := range readers {
		closing.Go(func() {
			<-s.made
			if s.reader != nil {
				s.reader.close()
			}
		})
	}
	closing.Wait()
}

// starting is a reader that is being made: made is closed when reader and err are
// set.
type starting struct {
	made   chan struct{}
	reader *reader
	err    error
}

// follow gives the reader of a topic, which may end before it is used.
func (t *Topics) follow(ctx context.Context, topic string) (*reader, error) {
	for {
		t.mu.Lock()
		if t.closed {
			t.mu.Unlock()
			return nil, ErrClosed
		}
		s := t.readers[topic]
		mine := s == nil
		if mine {
			s = &starting{made: make(chan struct{})}
			t.readers[topic] = s
		}
		t.mu.Unlock()
		if mine {
			t.begin(ctx, s, topic)
			return s.reader, s.err
		}
		select {
		case <-s.made:
		case <-ctx.Done():
			return nil, fmt.Errorf("follow %s: %w", topic, ctx.Err())
		}
		if s.err == nil || ctx.Err() != nil || !errors.Is(s.err, context.Canceled) && !errors.Is(s.err, context.DeadlineExceeded) {
			return s.reader, s.err
		}
		// The other's context ended, not ours: try for ourselves.
	}
}

func (t *Topics) begin(ctx context.Context, s *starting, topic string) {
	defer close(s.made)
	if s.reader, s.err = t.open(ctx, topic, s); s.err == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.readers[topic] == s {
		delete(t.readers, topic)
	}
}

// retire ends a reader for which nobody waits.
func (t *Topics) retire(r *reader, s *starting) {
	t.mu.Lock()
	if t.closed || !r.leave() {
		t.mu.Unlock()
		return
	}
	if t.readers[r.topic] == s {
		delete(t.readers, r.topic)
	}
	t.retiring.Go(r.close)
	t.mu.Unlock()
}
