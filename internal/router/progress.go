package router

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// noProgress is how long a lane may try before it counts as standing still. A
// transaction has commitTimeout and what an abort takes.
const noProgress = 15 * time.Second

// progress is since when a lane tries and gets nothing done, and why.
type progress struct {
	mu    sync.Mutex
	since time.Time // zero: nothing is to be done
	last  time.Time // when the last try began
	cause error     // of the last try that failed
}

func (p *progress) begin(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = now
	if p.since.IsZero() {
		p.since = now
	}
}

// end notes what became of a try. A failure leaves the time since when.
func (p *progress) end(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cause = err; err == nil {
		p.since = time.Time{}
	}
}

// stands says that nothing was done for too long.
func (p *progress) stands(now time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.since.IsZero() || now.Sub(p.since) < noProgress {
		return nil
	}
	cause := p.cause
	if cause != nil && now.Sub(p.last) >= noProgress {
		return nil // nobody tries any more: what failed is another router's now
	}
	if cause == nil {
		cause = errors.New("a decision or a transaction takes that long")
	}
	return fmt.Errorf("nothing was decided for %v: %w", now.Sub(p.since).Round(time.Second), cause)
}

// ready says why a lane, or a part of what it serves, makes no progress.
func (l *lane) ready() error {
	now := l.config.Clock()
	if err := l.progress.stands(now); err != nil {
		return err
	}
	if refused := l.refusals.list(now); len(refused) > 0 {
		return errors.New(strings.Join(refused, "; "))
	}
	return l.missing.err()
}
