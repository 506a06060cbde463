package router

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/shard"
	"github.com/leat-io/leat/internal/store"
	"github.com/leat-io/leat/pkg/events"
)

// bounds of one batch of the store while records are restored: instances, and
// bytes, because what is not compacted yet may be of few instances only.
const (
	restoreBatch = 1000
	restoreBytes = 8 << 20
)

// Open updates the book from the state topic, and returns which command
// is to be decided next. The checkpoint in the log is the truth; the group's
// committed offset has to agree with it.
func (l *lane) Open(ctx context.Context, p shard.Partition, committed int64) (next int64, err error) {
	began := time.Now()
	l.agenda.forget(p)
	workflowType, _ := l.config.Names.TypeOfCommands(p.Topic)
	reader, err := kafka.NewReader(l.config.Kafka)
	if err != nil {
		return 0, err
	}
	defer reader.Close()
	states := kafka.TopicPartition{Topic: l.config.Names.State(workflowType), Partition: p.Partition}
	at, restored, err := l.restore(ctx, reader, p, states, committed)
	if err != nil {
		return 0, fmt.Errorf("restore %s: %w", states, err)
	}
	l.askEventEnd(ctx, reader, p)
	commands, err := reader.Range(ctx, p) // again: more may have come meanwhile
	if err != nil {
		return 0, err
	}
	if at.input > commands.End && commands.Start == 0 && l.isNew(p.Topic) {
		if at, committed, err = l.beginAnew(ctx, p, at); err != nil {
			return 0, err
		}
	}
	if err := l.checkPosition(ctx, p, at, committed, commands); err != nil {
		return 0, err
	}
	next = max(at.input, commands.Start)
	if next < commands.End {
		l.mu.Lock()
		l.behind[p] = commands.End
		l.mu.Unlock()
	}
	if err := l.openTimers(p); err != nil {
		return 0, err
	}
	l.config.Metrics.restored(restored, time.Since(began))
	return next, nil
}

// beginAnew goes on at the beginning of a commands topic that was deleted and
// made again. Of the log before it is only known that nothing of it is left.
func (l *lane) beginAnew(ctx context.Context, p shard.Partition, at position) (position, int64, error) {
	l.config.Logger.LogAttrs(ctx, slog.LevelError, "a topic of commands was deleted and created again, going on at its beginning",
		slog.String("topic", p.Topic), slog.Int("partition", int(p.Partition)), slog.Int64("checkpoint", at.input))
	at.input = 0
	batch := l.book.db.NewBatch()
	defer batch.Close()
	l.book.setPosition(batch, p, at)
	return at, -1, batch.Commit()
}

// checkPosition compares the three that know the position of the input. A
// disagreement is an alarm and never a silent choice.
func (l *lane) checkPosition(ctx context.Context, p shard.Partition, at position, committed int64, commands kafka.Range) error {
	switch {
	case at.input > commands.End:
		return fmt.Errorf("the checkpoint says that commands up to %d are decided and %s ends at %d: "+
			"the topic was created again or lost its end; restore it, or give the workflow type a new name", at.input, p, commands.End)
	case at.input < commands.Start && at.input > 0:
		return fmt.Errorf("commands %d to %d of %s were deleted before they were decided: %w; "+
			"keep commands longer than any outage (retention.ms), and move the checkpoint by hand to accept the loss",
			at.input, commands.Start-1, p, kafka.ErrOffsetGone)
	case committed > at.input:
		l.config.Metrics.disagreed()
		return fmt.Errorf("group %s has committed offset %d of %s and the newest checkpoint says %d: "+
			"the state topic lost records; restore it before this partition goes on", l.config.Group, committed, p, at.input)
	case committed >= 0 && committed < at.input:
		l.config.Metrics.disagreed()
		l.config.Logger.LogAttrs(ctx, slog.LevelWarn, "group offset is behind the checkpoint, going on from the checkpoint",
			slog.String("topic", p.Topic), slog.Int("partition", int(p.Partition)),
			slog.Int64("committed", committed), slog.Int64("checkpoint", at.input))
	}
	return nil
}

// restore reads the tail of the state topic into the book. A book that is ahead
// of the log, or whose place in it was deleted, is wiped and read anew.
func (l *lane) restore(ctx context.Context, reader *kafka.Reader, p, states shard.Partition, committed int64) (position, int, error) {
	bounds, err := reader.Range(ctx, states)
	if err != nil {
		return position{}, 0, err
	}
	// Behind the end of the states: no checkpoint there names a later command.
	commands, err := reader.Range(ctx, p)
	if err != nil {
		return position{}, 0, err
	}
	at, known, err := l.book.position(p)
	if err != nil {
		return position{}, 0, err
	}
	workflowType, _ := l.config.Names.TypeOfCommands(p.Topic)
	switch {
	case known && l.keepsBook(p, at, bounds, committed):
		l.markLost(p)
		return at, 0, nil
	case known && (at.state > bounds.End || at.state < bounds.Start):
		l.config.Logger.LogAttrs(ctx, slog.LevelWarn, "local store does not match the log, reading the log again",
			slog.String("topic", states.Topic), slog.Int("partition", int(states.Partition)),
			slog.Int64("position", at.state), slog.Int64("start", bounds.Start), slog.Int64("end", bounds.End))
		known = false
	}
	if !known {
		l.forgetLost(p)
		if err := l.book.wipe(p); err != nil {
			return position{}, 0, err
		}
		at = position{state: bounds.Start}
	}
	r := restorer{
		book: l.book, workflowType: workflowType, partition: p, at: at, committed: committed, end: commands.End, batch: l.book.db.NewBatch(),
		old: make(map[events.UUID]*events.Snapshot), unreadable: l.unreadable,
	}
	defer func() { r.batch.Close() }()
	if err := reader.ReadTo(ctx, states, at.state, bounds.End, r.visit); err != nil {
		return position{}, 0, err
	}
	r.at.state = bounds.End
	return r.at, r.count, r.flush()
}

// restorer folds records of a state topic into the book.
type restorer struct {
	book         *book
	workflowType string
	partition    shard.Partition
	at           position
	batch        *store.Batch
	old          map[events.UUID]*events.Snapshot // what this batch has replaced already
	size         int                              // bytes of the records in this batch
	count        int
	committed    int64 // of the group: it stands in for a checkpoint that cannot be read
	end          int64 // of the commands
	// unreadable is called with a record that cannot be read and is left out; nil drops it.
	unreadable func(record *kafka.Record, reason error)
}

// leaveOut passes over a record that anybody may have written to the topic: it
// must not keep the partition closed. What was known of its key stays.
func (r *restorer) leaveOut(record *kafka.Record, reason error) error {
	if r.unreadable != nil {
		r.unreadable(record, reason)
	}
	return nil
}

// unreadable counts and logs a record of a state topic that was left out.
func (l *lane) unreadable(record *kafka.Record, reason error) {
	l.config.Metrics.deadLettered()
	l.config.Logger.LogAttrs(context.Background(), slog.LevelWarn, "record of a state topic cannot be read, it is left out",
		slog.String("topic", record.Topic), slog.Int("partition", int(record.Partition)), slog.Int64("offset", record.Offset),
		slog.String("key", string(record.Key[:min(len(record.Key), 100)])), slog.Any("reason", reason))
}

func (r *restorer) visit(record *kafka.Record) error {
	r.at.state = record.Offset + 1
	r.count++
	if string(record.Key) == events.CheckpointKey {
		checkpoint, err := avro.DecodeCheckpoint(record.Value)
		if err == nil {
			err = r.plausible(checkpoint.NextOffset)
		}
		if err != nil {
			r.at.input = max(r.at.input, r.committed)
			return r.leaveOut(record, fmt.Errorf("checkpoint: %w", err))
		}
		r.at.input = checkpoint.NextOffset
		return nil
	}
	if id, ok := strings.CutPrefix(string(record.Key), events.ScheduleProgressPrefix); ok {
		return r.progress(id, record)
	}
	id, err := events.ParseUUID(string(record.Key))
	if err != nil {
		return r.leaveOut(record, fmt.Errorf("key: %w", err))
	}
	old, replaced := r.old[id]
	if !replaced {
		if old, _, err = r.book.load(r.partition, id); err != nil {
			return err
		}
	}
	if record.Value == nil {
		if old != nil {
			r.book.remove(r.batch, r.partition, old)
		}
		r.old[id] = nil
		return r.maybeFlush()
	}
	snap, err := avro.DecodeState(r.workflowType, record.Key, record.Value)
	if err != nil {
		return r.leaveOut(record, fmt.Errorf("snapshot: %w", err))
	}
	r.book.put(r.batch, r.partition, old, &snap, record.Value)
	r.old[id] = &snap
	r.size += len(record.Value)
	return r.maybeFlush()
}

// plausible refuses a checkpoint that no router wrote. One that goes back behind
// what the group has committed too is none, as both are of one transaction. One
// that is ahead of the commands is either forged, or the commands were made anew:
// the group's offset, which is forgotten with its topic, tells.
func (r *restorer) plausible(next int64) error {
	switch {
	case next < 0:
		return fmt.Errorf("%w: it says %d", avro.ErrForeign, next)
	case next < r.at.input && r.at.input == r.committed:
		return fmt.Errorf("%w: it says %d, and %d is decided and committed", avro.ErrForeign, next, r.committed)
	case next > r.end && r.committed >= 0 && r.committed <= r.end:
		return fmt.Errorf("%w: it says %d, the commands end at %d and the group has committed %d", avro.ErrForeign, next, r.end, r.committed)
	}
	return nil
}

// progress takes in how far a schedule is.
func (r *restorer) progress(id string, record *kafka.Record) error {
	if record.Value != nil {
		if _, err := avro.DecodeProgress(record.Value); err != nil {
			return r.leaveOut(record, fmt.Errorf("progress of schedule %s: %w", id, err))
		}
	}
	r.book.putProgress(r.batch, r.partition, id, record.Value)
	r.size += len(record.Value)
	return r.maybeFlush()
}

func (r *restorer) maybeFlush() error {
	if len(r.old) < restoreBatch && r.size < restoreBytes {
		return nil
	}
	return r.flush()
}

// flush writes the batch together with its position, so that a crash in the
// middle of a restore goes on from here.
func (r *restorer) flush() error {
	r.book.setPosition(r.batch, r.partition, r.at)
	if err := r.batch.Commit(); err != nil {
		return err
	}
	r.batch.Close()
	r.batch = r.book.db.NewBatch()
	clear(r.old)
	r.size = 0
	return nil
}
