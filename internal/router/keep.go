package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/topics"
)

// keepEvery is how often the router looks whether its topics are there. A
// transaction finds a topic that it writes to; that clients or executors cannot
// read one shows only here.
const keepEvery = 3 * time.Second

// missing are the topics that are gone and cannot be made.
type missing struct {
	mu     sync.Mutex
	topics map[string]error
}

func (m *missing) set(gone map[string]error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.topics = gone
}

func (m *missing) err() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.topics) == 0 {
		return nil
	}
	var list []string
	for _, topic := range slices.Sorted(maps.Keys(m.topics)) {
		list = append(list, fmt.Sprintf("topic %q is missing and cannot be created: %v", topic, m.topics[topic]))
	}
	return errors.New(strings.Join(list, "; "))
}

// keepTopics makes the topics of what is served again when they are gone, until
// ctx ends.
func (r *Router) keepTopics(ctx context.Context, l *lane) error {
	failed := ""
	for {
		if kafka.Pause(ctx, r.config.Kafka.Upkeep(keepEvery)); ctx.Err() != nil {
			return nil //nolint:nilerr // told to stop
		}
		gone, err := r.remakeTopics(ctx, l)
		if err == nil {
			l.missing.set(gone)
			err = l.missing.err()
		}
		if err == nil {
			failed = ""
			continue
		}
		if ctx.Err() == nil && err.Error() != failed {
			failed = err.Error() // said once, as long as it stays the same
			r.config.Logger.LogAttrs(ctx, slog.LevelError, "topics do not have the settings that they need", slog.Any("error", err))
		}
	}
}

// remakeTopics makes what is gone, and answers what cannot be made.
func (r *Router) remakeTopics(ctx context.Context, l *lane) (map[string]error, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*keepEvery)
	defer cancel()
	ours := specsOf(r.registry, r.config.Names)
	r.leaveToOthers(ours)
	names, err := r.admin.Missing(ctx, slices.Sorted(maps.Keys(ours))...)
	if err != nil {
		return nil, err
	}
	gone := make(map[string]error)
	for _, topic := range names {
		if err := l.remakeOne(ctx, ours[topic]); err != nil {
			gone[topic] = err
		}
	}
	return gone, nil
}

// leaveToOthers takes out the topics of types that this router does not serve.
func (r *Router) leaveToOthers(ours map[string]topics.Spec) {
	for name := range ours {
		workflowType, ok := r.config.Names.TypeOfCommands(name)
		if !ok || r.wants(workflowType) {
			continue
		}
		for _, spec := range r.config.Names.Type(workflowType, 1) {
			delete(ours, spec.Name)
		}
	}
}

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
		return nil // no retry is pending: what failed is another router's now
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

// mendEvery is how often the router looks for transactions of its own that a
// broker forgot to end. Records behind such a one wait for two looks.
const mendEvery = 5 * time.Second

// mend ends them until ctx ends. It is beside the lane: what it mends are
// transactions that the lane is done with.
func (r *Router) mend(ctx context.Context, l *lane) error {
	mender := kafka.NewMender(r.admin, &l.outcomes, r.config.Names.Prefix, l.transactionalID(0), l.transactionalID(1))
	failed := ""
	for {
		if kafka.Pause(ctx, r.config.Kafka.Upkeep(mendEvery)); ctx.Err() != nil {
			return nil //nolint:nilerr // told to stop
		}
		mended, err := r.look(ctx, mender)
		for _, m := range mended {
			r.config.Metrics.mended()
			r.config.Logger.LogAttrs(ctx, slog.LevelError, "kafka forgot to end a transaction, its markers are written now",
				slog.String("transactional_id", m.TransactionalID), slog.Int64("producer_id", m.ProducerID), slog.Int("epoch", int(m.Epoch)),
				slog.Bool("committed", m.Committed), slog.Any("partitions", m.Partitions))
		}
		if err != nil && ctx.Err() == nil && err.Error() != failed {
			failed = err.Error() // said once, as long as it stays the same
			r.config.Logger.LogAttrs(ctx, slog.LevelWarn, "cannot check for transactions that kafka left open", slog.Any("error", err))
		}
	}
}

func (r *Router) look(ctx context.Context, mender *kafka.Mender) ([]kafka.Mended, error) {
	ctx, cancel := context.WithTimeout(ctx, mendEvery)
	defer cancel()
	return mender.Look(ctx)
}
