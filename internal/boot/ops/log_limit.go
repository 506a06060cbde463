package ops

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// limited lets a message through once in a while: a broker that is away would
// otherwise fill the disk with the same line, from every client of the process.
type limited struct {
	slog.Handler
	state *limitState
}

type limitState struct {
	every time.Duration
	now   func() time.Time
	mu    sync.Mutex
	last  map[string]time.Time
	left  map[string]int // that were not shown since
}

// limitEvery is how often the same message of a Kafka client is shown.
const limitEvery = 30 * time.Second

// Limit is a logger that shows the same message at most every 30 seconds.
func Limit(logger *slog.Logger) *slog.Logger {
	return slog.New(limited{logger.Handler(), &limitState{
		every: limitEvery, now: time.Now, last: make(map[string]time.Time), left: make(map[string]int),
	}})
}

// Handle drops what was said a moment ago, and counts it.
func (h limited) Handle(ctx context.Context, r slog.Record) error {
	s := h.state
	s.mu.Lock()
	now := s.now()
	if last, ok := s.last[r.Message]; ok && now.Sub(last) < s.every {
		s.left[r.Message]++
		s.mu.Unlock()
		return nil
	}
	s.last[r.Message] = now
	left := s.left[r.Message]
	delete(s.left, r.Message)
	s.mu.Unlock()
	if left > 0 {
		r = r.Clone()
		r.AddAttrs(slog.Int("not_shown", left))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs keeps the count for all.
func (h limited) WithAttrs(attrs []slog.Attr) slog.Handler {
	return limited{h.Handler.WithAttrs(attrs), h.state}
}

// WithGroup keeps the count for all.
func (h limited) WithGroup(name string) slog.Handler {
	return limited{h.Handler.WithGroup(name), h.state}
}
