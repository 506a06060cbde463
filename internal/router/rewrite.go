package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/shard"
	"github.com/leat-io/leat/pkg/events"
)

// A state topic that was deleted and made again is empty, and the local books
// are the only copies of what was in it. A router writes those of its partitions
// back, before anything else of them is decided: a checkpoint in an otherwise
// empty topic would have the next router begin with nothing, in silence. How:
// the first to find the topic gone or empty marks the partition, and the next
// transaction of the lane is the book of it, with its checkpoint last.

// rewriteBytes bounds one transaction of a book that is written back.
const rewriteBytes = 4 << 20

// markLost has the book of p written back.
func (l *lane) markLost(p shard.Partition) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost == nil {
		l.lost = make(map[shard.Partition]bool)
	}
	l.lost[p] = true
}

func (l *lane) isLost(p shard.Partition) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost[p]
}

// markStates marks every open partition whose states are in a topic.
func (l *lane) markStates(topic string) {
	l.mu.Lock()
	var open []shard.Partition
	for p := range l.timer {
		if workflowType, ok := l.config.Names.TypeOfCommands(p.Topic); ok && l.config.Names.State(workflowType) == topic {
			open = append(open, p)
		}
	}
	l.mu.Unlock()
	for _, p := range open {
		l.markLost(p)
	}
}

func (l *lane) forgetLost(p shard.Partition) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.lost, p)
}

// keepsBook says that the log of states is empty and the book is not, and that
// nothing was decided since the book was written: it is the only copy.
func (l *lane) keepsBook(p shard.Partition, at position, log kafka.Range, committed int64) bool {
	if at.state == 0 || log.End > 0 && !l.isLost(p) {
		return false
	}
	return committed == at.input || committed < 0 && l.isLost(p)
}

// rewriteLost writes the books of those partitions of a batch back whose states
// are lost.
func (l *lane) rewriteLost(ctx context.Context, b *shard.Batch) error {
	for p := range b.Open {
		if !l.isLost(p) || !l.blocked(p, l.config.Clock()).IsZero() {
			continue
		}
		if err := l.rewrite(ctx, b, p); err != nil {
			return errors.Join(shard.ErrRetry, fmt.Errorf("write what is known of %s back: %w", p, err))
		}
		l.forgetLost(p)
	}
	return nil
}

func (l *lane) rewrite(ctx context.Context, b *shard.Batch, p shard.Partition) error {
	at, known, err := l.book.position(p)
	if err != nil || !known {
		return err
	}
	states, err := l.copyOf(p, at)
	if err != nil {
		return err
	}
	fence := b.Fence
	fence.Next = map[kafka.TopicPartition]int64{p: at.input}
	for part := range parts(states) {
		if err := l.rewritePart(ctx, part, fence); err != nil {
			return err
		}
		at.state = part[len(part)-1].Offset + 1
	}
	batch := l.book.db.NewBatch()
	defer batch.Close()
	l.book.setPosition(batch, p, at)
	if err := batch.Commit(); err != nil {
		return err
	}
	l.config.Logger.LogAttrs(ctx, slog.LevelError, "a state topic was empty, writing it back from the local store",
		slog.String("topic", states[0].Topic), slog.Int("partition", int(p.Partition)), slog.Int("records", len(states)))
	return nil
}

func (l *lane) rewritePart(ctx context.Context, part []*kafka.Record, fence kafka.Fence) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	producer, err := l.producer(ctx)
	if err != nil {
		return err
	}
	if err := producer.Commit(ctx, part, fence); err != nil {
		// What was written is written again: the outcome does not matter. Others
		// need not wait for a topic that takes nothing.
		l.closeProducers()
		if failed, ok := errors.AsType[*kafka.TransactionError](err); ok && failed.Step == "produce" && (!kafka.IsGone(err) || !l.againWritable(part[0].Topic)) {
			l.mark(ctx, part[0].Topic, refusal{cause: err, until: l.config.Clock().Add(unwritableFor)})
		}
		return err
	}
	l.turn = 1 - l.turn
	return nil
}

// copyOf is the book of a partition as records of its state topic.
func (l *lane) copyOf(p shard.Partition, at position) (all []*kafka.Record, err error) {
	workflowType, _ := l.config.Names.TypeOfCommands(p.Topic)
	topic := l.config.Names.State(workflowType)
	for tag, name := range map[byte]func(tail []byte) string{
		tagInstance: func(tail []byte) string { return events.UUID(tail).String() },
		tagSchedule: func(tail []byte) string { return events.ScheduleProgressPrefix + string(tail) },
	} {
		prefix := partitionKey(tag, p)
		err := l.book.db.Scan(prefix, after(prefix), func(key, value []byte) (bool, error) {
			all = append(all, kafka.NewRecordAt(topic, p.Partition, []byte(name(key[len(prefix):])), slices.Clone(value)))
			return true, nil
		})
		if err != nil {
			return nil, err
		}
	}
	value, err := avro.EncodeCheckpoint(&events.Checkpoint{
		Partition: p.Partition, NextOffset: at.input, Source: l.config.Slot, Timestamp: events.Instant(l.config.Clock()),
	})
	return append(all, kafka.NewRecordAt(topic, p.Partition, []byte(events.CheckpointKey), value)), err
}

// parts cuts records into what one transaction takes each.
func parts(all []*kafka.Record) func(func([]*kafka.Record) bool) {
	return func(yield func([]*kafka.Record) bool) {
		for len(all) > 0 {
			n, bytes := 0, 0
			for n < len(all) && (n == 0 || bytes+recordSize(all[n]) <= rewriteBytes) {
				bytes += recordSize(all[n])
				n++
			}
			if !yield(all[:n:n]) {
				return
			}
			all = all[n:]
		}
	}
}

// lostBehind says that a transaction's states stand in front of those that are
// known: another process made the topic again.
func lostBehind(t *transaction, p shard.Partition) (bool, error) {
	at, known, err := t.lane.book.position(p)
	if err != nil || !known {
		return false, err
	}
	topic := t.stateTopic(p)
	for _, r := range t.records {
		if r.Topic == topic && r.Partition == p.Partition && r.Offset < at.state {
			return true, nil
		}
	}
	return false, nil
}
