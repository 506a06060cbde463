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
		list = append(list, fmt.Sprintf("topic %q is gone and cannot be made: %v", topic, m.topics[topic]))
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
			r.config.Logger.LogAttrs(ctx, slog.LevelError, "topics are not as they should be", slog.Any("error", err))
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
