package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/decide"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/registry"
	"github.com/leat-io/leat/internal/shard"
	"github.com/leat-io/leat/pkg/topics"
)

// A topic that does not take a record costs the decision that needs it, and
// nothing else. How: a transaction that failed says which topic refused. One
// that is gone is made again, when it is ours. Any other is marked for a while,
// and the batch is decided again: [transaction.put] answers unwritableError for
// what goes there, so that only those decisions are refused.
const (
	// unwritableFor is how long a topic is not tried again. Each try costs every
	// instance of the lane one aborted transaction.
	unwritableFor = 30 * time.Second
	// remakeTimeout bounds what is done about topics that are gone: all partitions
	// of the lane wait for it.
	remakeTimeout = 3 * time.Second
)

// unwritableError is that a topic does not take what a decision has for it.
type unwritableError struct {
	topic string
	cause error
}

// Error names the topic, what it answered and what can be done.
func (e *unwritableError) Error() string {
	return fmt.Sprintf("topic %q cannot be written: %v; create it, or allow the router to write to it (it retries every %v)", e.topic, e.cause, unwritableFor)
}

// Unwrap is what the broker said.
func (e *unwritableError) Unwrap() error { return e.cause }

// CodeTopicUnavailable is the incident of a decision with a record for a topic
// that is gone, or that the router may not write.
const CodeTopicUnavailable = "TOPIC_UNAVAILABLE"

// coded gives what keeps a record from being written the code that people see.
func coded(err error) error {
	switch {
	case err == nil || errors.As(err, new(*decide.Error)):
		return err
	case errors.As(err, new(*unwritableError)):
		return &decide.Error{Code: CodeTopicUnavailable, Err: err}
	case errors.Is(err, avro.ErrTooLarge):
		return &decide.Error{Code: decide.CodeTooLarge, Err: err}
	default:
		return err
	}
}

// refusals are the topics that do not take records now. Ready reads them from
// other goroutines than the lane's.
type refusals struct {
	mu     sync.Mutex
	topics map[string]refusal
}

type refusal struct {
	cause error
	until time.Time
	size  int // records below are taken; 0: none is
}

// refused says why a record of a size cannot be written to topic now.
func (r *refusals) refused(topic string, size int, now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	known, ok := r.topics[topic]
	if !ok || !now.Before(known.until) || size < known.size {
		return nil
	}
	return &unwritableError{topic, known.cause}
}

// whole is when a topic that takes nothing now is tried again; zero for one
// that is fine.
func (r *refusals) whole(topic string, now time.Time) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	if known, ok := r.topics[topic]; ok && known.size == 0 && now.Before(known.until) {
		return known.until
	}
	return time.Time{}
}

func (r *refusals) none() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.topics) == 0
}

// list says what does not take records now, in order.
func (r *refusals) list(now time.Time) (all []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for topic, known := range r.topics {
		if now.Before(known.until) {
			all = append(all, fmt.Sprintf("topic %q does not take records: %v", topic, known.cause))
		}
	}
	slices.Sort(all)
	return all
}

func (r *refusals) mark(topic string, f refusal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.topics == nil {
		r.topics = make(map[string]refusal)
	}
	r.topics[topic] = f
}

// blocked says until when nothing of p can be decided: its history or its state
// cannot be written. Its records stay where they are.
func (l *lane) blocked(p shard.Partition, now time.Time) time.Time {
	if l.refusals.none() {
		return time.Time{}
	}
	workflowType, _ := l.config.Names.TypeOfCommands(p.Topic)
	until := l.refusals.whole(l.config.Names.Events(workflowType), now)
	if state := l.refusals.whole(l.config.Names.State(workflowType), now); state.After(until) {
		until = state
	}
	return until
}

// learn looks for what a failed transaction says about topics: what is gone is
// made again, and what takes nothing is marked.
func (l *lane) learn(ctx context.Context, t *transaction, failed *kafka.TransactionError) {
	if failed.Step != "produce" && failed.Step != "fence" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, remakeTimeout)
	defer cancel()
	gone := l.remake(ctx, t)
	for topic, cause := range failed.Refused {
		if _, ok := gone[topic]; ok {
			continue
		}
		if kafka.IsTooLarge(cause) {
			l.learnSize(ctx, t, topic, cause)
			continue
		}
		if kafka.IsGone(cause) && l.againWritable(topic) {
			continue // it was made again, and the producers that knew the old one are closed
		}
		gone[topic] = cause
	}
	for topic, cause := range gone {
		if cause == nil {
			continue // it is there again
		}
		l.mark(ctx, topic, refusal{cause: cause, until: t.now.Add(unwritableFor)})
	}
}

// goneTimes is how often in a row a topic that is there may be told to be gone,
// before it is believed.
const goneTimes = 3

func (l *lane) againWritable(topic string) bool {
	if l.admin == nil {
		return false
	}
	if l.gone == nil {
		l.gone = make(map[string]int)
	}
	l.gone[topic]++
	return l.gone[topic] <= goneTimes
}

func (l *lane) mark(ctx context.Context, topic string, f refusal) {
	l.refusals.mark(topic, f)
	l.config.Logger.LogAttrs(ctx, slog.LevelError, "topic does not take records, decisions that need it become incidents until it does",
		slog.String("topic", topic), slog.Duration("for", unwritableFor), slog.Int("from_bytes", f.size), slog.Any("error", f.cause))
}

// learnSize marks records as large as the largest of a transaction. While it
// decides several inputs, it may be that they are too large together: then the
// shard gives fewer.
func (l *lane) learnSize(ctx context.Context, t *transaction, topic string, cause error) {
	if t.commands > 1 {
		return
	}
	largest := 0
	for _, r := range t.records {
		if r.Topic == topic {
			largest = max(largest, recordSize(r))
		}
	}
	l.mark(ctx, topic, refusal{cause: cause, until: t.now.Add(unwritableFor), size: max(1, largest)})
}

func recordSize(r *kafka.Record) int { return len(r.Value) + kafka.RestSize(r) }

// remake makes those topics of a transaction again that are gone. It answers
// them with what came of it: nil when they are there.
func (l *lane) remake(ctx context.Context, t *transaction) map[string]error {
	results := make(map[string]error)
	if l.admin == nil {
		return results
	}
	names := make(map[string]bool)
	for _, r := range t.records {
		names[r.Topic] = true
	}
	for p := range t.touched {
		names[p.Topic] = true
	}
	missing, err := l.admin.Missing(ctx, slices.Sorted(maps.Keys(names))...)
	if err != nil {
		l.config.Logger.LogAttrs(ctx, slog.LevelWarn, "cannot list the topics that are missing", slog.Any("error", err))
		return results
	}
	ours := specsOf(l.registry, l.config.Names)
	for _, topic := range missing {
		spec, ok := ours[topic]
		if !ok {
			results[topic] = errTopicGone
			continue
		}
		results[topic] = l.remakeOne(ctx, spec)
	}
	return results
}

// remakeOne makes a topic of ours again.
func (l *lane) remakeOne(ctx context.Context, spec topics.Spec) error {
	if err := l.admin.Provision(ctx, kafka.Replicas(l.config.ReplicationFactor), spec); err != nil {
		return err
	}
	l.config.Logger.LogAttrs(ctx, slog.LevelError, "a topic was missing and is created again; what was in it is lost", slog.String("topic", spec.Name))
	l.renew(spec.Name)
	return nil
}

// renew notes that what is there under a topic's name is another log than before.
func (l *lane) renew(topic string) {
	l.mu.Lock()
	if l.renewed == nil {
		l.renewed = make(map[string]bool)
	}
	l.renewed[topic] = true
	l.mu.Unlock()
	l.markStates(topic)
	l.forgetEventEnds(topic)
}

// isNew says that a topic was made again, and that a position beyond its end is
// of the log before.
func (l *lane) isNew(topic string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.renewed[topic]
}

var errTopicGone = errors.New("it does not exist, and no deployed definition needs it")

// specsOf is every topic that is ours.
func specsOf(r *registry.Registry, names topics.Names) map[string]topics.Spec {
	ours := make(map[string]topics.Spec)
	add := func(specs []topics.Spec) {
		for _, s := range specs {
			if _, ok := ours[s.Name]; !ok {
				ours[s.Name] = s
			}
		}
	}
	add(names.Shared())
	for _, d := range r.Records() {
		add(names.Type(d.WorkflowType, d.Partitions))
		if machine, ok := r.Machine(d.WorkflowType, d.Version); ok {
			for _, task := range machine.Tasks() {
				add(names.Queue(topics.QueueOf(task), d.Partitions))
			}
		}
	}
	return ours
}
