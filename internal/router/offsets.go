package router

import (
	"context"
	"log/slog"

	"github.com/leat-io/leat/internal/decide"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/shard"
)

// A snapshot says from which offset on the events of its instance are to be read.
// What offsets a transaction's events get is known when they are acknowledged, and
// by then the snapshots that go with them are on their way too. But none of them
// comes before the end of the log as it was, and a lane, which is the only writer
// of its partitions, knows that end from its last transaction.

// eventEnd is where the events of p ended when that was known last: no event that
// is decided from now on comes before it. 0 where it is not known.
func (l *lane) eventEnd(p shard.Partition) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ends[p]
}

func (l *lane) noteEventEnd(p shard.Partition, end int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ends[p] = end
}

// askEventEnd asks where the events of p end. Not to know it costs readers of
// histories time and nothing else, so that it keeps no partition closed.
func (l *lane) askEventEnd(ctx context.Context, reader *kafka.Reader, p shard.Partition) {
	workflowType, _ := l.config.Names.TypeOfCommands(p.Topic)
	at := kafka.TopicPartition{Topic: l.config.Names.Events(workflowType), Partition: p.Partition}
	end, err := reader.End(ctx, at)
	if err != nil {
		l.config.Logger.LogAttrs(ctx, slog.LevelDebug, "it is not known where the events end", slog.Any("partition", at), slog.Any("error", err))
		end = 0
	}
	l.noteEventEnd(p, end)
}

// forgetEventEnds is for a topic that was made again: its offsets are others.
func (l *lane) forgetEventEnds(topic string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for p := range l.ends {
		if workflowType, ok := l.config.Names.TypeOfCommands(p.Topic); ok && l.config.Names.Events(workflowType) == topic {
			delete(l.ends, p)
		}
	}
}

// place notes in the snapshot that a decision leads to from where on its history
// and its newest event are to be read.
func (t *transaction) place(at instance, e *entry, d *decide.Decision) {
	next := d.Next
	if next == nil || next == e.cur {
		return
	}
	end := t.lane.eventEnd(at.partition)
	next.FirstOffset, next.NewestOffset = end, end
	if e.cur == nil {
		return
	}
	next.FirstOffset = e.cur.FirstOffset
	if len(d.Events) == 0 {
		next.NewestOffset = e.cur.NewestOffset
	}
}
