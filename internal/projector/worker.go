package projector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/projector/views"
	"github.com/leat-io/leat/internal/shard"
)

// worker is one life of the projector under a shard: from an open store to the
// end of Run, or to the discovery that the store has to be rebuilt.
type worker struct {
	*Projector
	folder *views.Folder
	reader *kafka.Reader
	opener chan struct{} // a place for every restore that may run at once
	stop   context.CancelCauseFunc
	cut    sync.Map // shard.Partition → true: its log does not begin at its first record
}

var _ shard.Worker = (*worker)(nil)

const (
	openersAtOnce = 4    // restores beside one another
	recordsAtOnce = 2000 // folded in one batch of a restore
)

// errAhead says that the store knows more than the log: it is not a copy of it.
var errAhead = errors.New("local store is ahead of the log")

// Open folds what p holds up to its present end, and says where to go on.
// Reading to the end here, and not in Process, is what tells for certain that
// it was reached: a log ends in control records that Process never sees.
func (w *worker) Open(ctx context.Context, p shard.Partition, _ int64) (next int64, err error) {
	select {
	case w.opener <- struct{}{}:
		defer func() { <-w.opener }()
	case <-ctx.Done():
		return 0, fmt.Errorf("open %s: %w", p, ctx.Err())
	}
	from, ok := w.sourceOf(p.Topic)
	if !ok {
		return 0, fmt.Errorf("%s is not a topic of a workflow type", p)
	}
	bounds, err := w.reader.Range(ctx, p)
	if err != nil {
		return 0, err
	}
	at, stored, err := views.PositionOf(w.folder.DB, p)
	if err != nil {
		return 0, err
	}
	switch {
	case stored && at.Next > bounds.End:
		err := fmt.Errorf("%w: %s ends at offset %d, the store has folded up to %d", errAhead, p, bounds.End, at.Next)
		w.stop(err)
		return 0, err
	case stored && at.Next < bounds.Start:
		w.config.Logger.LogAttrs(ctx, slog.LevelWarn, "log begins after the last record that was folded: records are missing from the views",
			slog.String("topic", p.Topic), slog.Int("partition", int(p.Partition)),
			slog.Int64("folded_to", at.Next), slog.Int64("log_start", bounds.Start))
	}
	if bounds.Start > 0 {
		w.cut.Store(p, true)
	}
	at.Next = max(at.Next, bounds.Start)
	restore := restore{worker: w, from: from, partition: p, at: at}
	if at.Next < bounds.End {
		if err := w.reader.ReadTo(ctx, p, at.Next, bounds.End, restore.add); err != nil {
			return 0, err
		}
	}
	restore.at.Next = bounds.End
	if err := restore.flush(); err != nil {
		return 0, err
	}
	w.opened(p)
	return bounds.End, nil
}

// restore folds one partition batch by batch.
type restore struct {
	*worker
	from      views.Source
	partition shard.Partition
	at        views.Position
	changes   []views.Change
}

func (r *restore) add(record *kafka.Record) error {
	r.changes = r.take(r.changes, r.from, record)
	r.at = r.at.Behind(record)
	if len(r.changes) < recordsAtOnce {
		return nil
	}
	return r.flush()
}

func (r *restore) flush() error {
	err := r.fold(r.changes, map[shard.Partition]views.Position{r.partition: r.at})
	r.changes = r.changes[:0]
	return err
}

// Process folds a batch of any partitions.
func (w *worker) Process(_ context.Context, b *shard.Batch) error {
	changes := make([]views.Change, 0, len(b.Records))
	at := make(map[shard.Partition]views.Position)
	for _, record := range b.Records {
		from, ok := w.sourceOf(record.Topic)
		if !ok {
			continue
		}
		p := shard.Partition{Topic: record.Topic, Partition: record.Partition}
		before, known := at[p]
		if !known {
			before = w.position(p)
		}
		changes = w.take(changes, from, record)
		at[p] = before.Behind(record)
	}
	return w.fold(changes, at)
}

// take decodes a record. One that is not a router's is counted, logged and left
// out: it must not stop the partition.
func (w *worker) take(changes []views.Change, from views.Source, record *kafka.Record) []views.Change {
	c, err := views.Decode(from, record)
	switch {
	case err == nil:
		_, c.Cut = w.cut.Load(shard.Partition{Topic: record.Topic, Partition: record.Partition})
		return append(changes, c)
	case errors.Is(err, views.ErrNothing):
	default:
		w.skip(record.Topic, record.Partition, record.Offset, err)
	}
	return changes
}

func (w *worker) skip(topic string, partition int32, offset int64, why error) {
	w.skipped.Add(1)
	if w.config.Metrics.Skipped != nil {
		w.config.Metrics.Skipped(topic)
	}
	w.config.Logger.LogAttrs(context.Background(), slog.LevelWarn, "record is not a router's, skipping it",
		slog.String("topic", topic), slog.Int("partition", int(partition)),
		slog.Int64("offset", offset), slog.Any("error", why))
}

func (w *worker) fold(changes []views.Change, at map[shard.Partition]views.Position) error {
	began := w.config.Clock()
	result, err := w.folder.Fold(changes, at)
	if err != nil {
		return err
	}
	for i := range result.Foreign {
		c := &result.Foreign[i]
		w.skip(w.config.Names.Events(c.Type), c.Partition, c.Offset,
			fmt.Errorf("sequence %d of instance %s does not follow the last one", c.Sequence, c.ID))
	}
	w.moveTo(at)
	w.hub.publish(result.Touched)
	w.tell(result.Ended)
	if w.config.Metrics.Folded != nil {
		w.config.Metrics.Folded(len(changes)-len(result.Foreign), result.Stale, w.config.Clock().Sub(began))
	}
	return nil
}

// Close has nothing to forget: positions are in the store.
func (w *worker) Close(shard.Partition) {}

// NextWake says that nothing is ever due.
func (w *worker) NextWake() time.Time { return time.Time{} }

func (p *Projector) sourceOf(topic string) (views.Source, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, ok := p.sources[topic]
	return s, ok
}

func (p *Projector) position(of shard.Partition) views.Position {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.positions[of]
}

func (p *Projector) moveTo(at map[shard.Partition]views.Position) {
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.Copy(p.positions, at)
}

func (p *Projector) opened(partition shard.Partition) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.pending, partition)
}

// asOf is the time of the newest record of a type that is in the views.
func (p *Projector) asOf(workflowType string) (newest time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for partition, at := range p.positions {
		if p.sources[partition.Topic].Type == workflowType && at.Newest.After(newest) {
			newest = at.Newest
		}
	}
	return newest.UTC()
}
