package executor

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/shard"
)

// intake takes the tasks of one queue: it is the [shard.Worker] of the queue's
// topic. Its fields below the line are guarded by the executor's lock.
type intake struct {
	e     *Executor
	queue string
	topic string
	group string

	commits chan struct{} // asks for a commit now
	writing chan struct{} // held, by its one element, while offsets are committed

	shard  *shard.Shard // nil until the topic is there
	reader *kafka.Reader
	parts  map[shard.Partition]*partition
	past   map[shard.Partition]int64 // what was committed here before the partition was closed
	queued int                       // of this queue, in the executor's queue

	handover time.Time // until when revoked partitions are waited for
}

// partition is one partition while this executor owns it. A partition that is
// lost and comes back is a new one, so that late reports of tasks that were
// begun before do not touch it.
type partition struct {
	id         shard.Partition
	generation int64 // of the group when the partition came; 0: not known
	offsets    *offsets
	committed  int64 // the group's offset as far as we know
	closed     bool
	running    map[*job]bool
}

func newIntake(e *Executor, queue string) *intake {
	return &intake{
		e: e, queue: queue, topic: e.config.Names.Tasks(queue), group: GroupOf(e.config.Group, queue),
		commits: make(chan struct{}, 1), writing: make(chan struct{}, 1),
		parts: make(map[shard.Partition]*partition), past: make(map[shard.Partition]int64),
	}
}

// run waits for the topic and serves it until ctx ends.
func (in *intake) run(ctx context.Context) error {
	if err := in.waitForTopic(ctx); err != nil || ctx.Err() != nil {
		return err
	}
	reader, err := kafka.NewReader(in.e.config.Kafka)
	if err != nil {
		return err
	}
	defer reader.Close()
	s := shard.New(shard.Config{
		Kafka: in.e.config.Kafka, Topics: []string{in.topic}, Group: shard.Group{Name: in.group},
		MaxRecords: in.e.ahead(), Room: in.room, Logger: in.e.config.Logger,
	}, in)
	in.e.mu.Lock()
	in.reader, in.shard = reader, s
	in.e.mu.Unlock()

	committing, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); in.commitLoop(committing) }()
	unhook := context.AfterFunc(ctx, in.claimAll)
	err = s.Run(ctx)
	unhook()
	stop()
	<-ended
	if err != nil {
		return fmt.Errorf("queue %s: %w", in.queue, err)
	}
	return nil
}

// waitForTopic lets an executor start before the first definition that uses its
// queue is deployed.
func (in *intake) waitForTopic(ctx context.Context) error {
	admin, err := kafka.NewAdmin(in.e.config.Kafka)
	if err != nil {
		return err
	}
	defer admin.Close()
	told := false
	for again := firstTopicRetry; ctx.Err() == nil; again = min(2*again, topicRetry) {
		n, err := admin.Partitions(ctx, in.topic)
		if n > 0 || ctx.Err() != nil {
			return nil
		}
		if err != nil || !told && !in.e.builtin[in.queue] {
			in.e.config.Logger.Warn("waiting for the queue's topic: deploy a definition that uses it",
				slog.String("queue", in.queue), slog.String("topic", in.topic), slog.Any("error", err))
			told = true
		}
		kafka.Pause(ctx, again)
	}
	return nil
}

// ready is nil when the group has let the executor in, and tasks can be read. The executor's lock is held.
func (in *intake) ready() error {
	switch {
	case in.shard == nil && in.e.builtin[in.queue]:
		return nil
	case in.shard == nil:
		return fmt.Errorf("topic %s does not exist", in.topic)
	}
	if m := in.shard.Member(); m != nil {
		if _, _, ok := m.Generation(); ok {
			return in.shard.Ready()
		}
	}
	return fmt.Errorf("not yet a member of group %s", in.group)
}

// room holds the poll back until the tasks that were read have begun. While there
// are slots, as many more are read: those that wait for a bound of their own
// should not hold back the rest of the queue, and must not pile up either.
func (in *intake) room(ctx context.Context) {
	in.e.await(ctx, func() bool {
		return in.queued == 0 || in.queued < in.e.ahead() && (in.e.lending != nil || in.e.canStart())
	})
}

// Open goes on from the group's offset, or from the log's start when there is
// none. An offset outside the log means that tasks were lost to retention or
// that the topic was made anew; it is an alarm.
func (in *intake) Open(ctx context.Context, p shard.Partition, committed int64) (int64, error) {
	bounds, err := in.reader.Range(ctx, p)
	if err != nil {
		return 0, err
	}
	in.e.mu.Lock()
	defer in.e.mu.Unlock()
	next := max(committed, in.past[p])
	switch {
	case committed < 0 && in.past[p] == 0:
		next = bounds.Start
	case next < bounds.Start || next > bounds.End:
		in.e.config.Logger.Error("group offset is outside the log; tasks may have been lost",
			slog.String("topic", p.Topic), slog.Int("partition", int(p.Partition)), slog.Int64("offset", next),
			slog.Int64("log_start", bounds.Start), slog.Int64("log_end", bounds.End))
		next = bounds.Start
	}
	in.parts[p] = &partition{id: p, generation: in.generation(), offsets: newOffsets(next), committed: next, running: make(map[*job]bool)}
	return next, nil
}

// generation is that of the group now, 0 when it is not known. The executor's lock is held.
func (in *intake) generation() int64 {
	if m := in.shard.Member(); m != nil {
		if _, generation, ok := m.Generation(); ok {
			return int64(generation)
		}
	}
	return 0
}

// Process puts tasks into the queue. What is not a task goes to the dead letter topic.
func (in *intake) Process(ctx context.Context, b *shard.Batch) error {
	jobs := make([]*job, 0, len(b.Records))
	for _, r := range b.Records {
		j := &job{in: in, offset: r.Offset, over: make(chan struct{}), news: make(chan struct{}, 1)}
		task, err := avro.DecodeTask(r.Value)
		if err != nil {
			if in.deadLetter(ctx, r, err) != nil {
				return shard.ErrRetry // nothing was taken yet
			}
		} else {
			j.task, j.urgency = task, urgency(task.Priority)
		}
		jobs = append(jobs, j)
	}
	in.e.mu.Lock()
	defer in.e.mu.Unlock()
	for i, r := range b.Records {
		j := jobs[i]
		j.part = in.parts[shard.Partition{Topic: r.Topic, Partition: r.Partition}]
		if j.part == nil {
			continue
		}
		j.part.offsets.add(r.Offset)
		if j.task.TaskID.IsNil() {
			j.part.offsets.done(r.Offset)
			continue
		}
		in.queued++
		name, bounds := in.e.lineOf(&j.task)
		in.e.queue.push(j, name, bounds)
	}
	in.e.dispatch()
	return nil
}

// deadLetter keeps a record that is no task, unchanged, with the reason.
func (in *intake) deadLetter(ctx context.Context, r *kafka.Record, reason error) error {
	in.e.config.Logger.Error("task record cannot be read and goes to the dead letter topic",
		slog.String("topic", r.Topic), slog.Int("partition", int(r.Partition)), slog.Int64("offset", r.Offset), slog.Any("error", reason))
	dead := kafka.NewDeadLetters(in.e.config.Names.DeadLetters(r.Topic), r, reason)
	if err := in.e.report.producer.Send(ctx, dead...); err != nil {
		in.e.config.Logger.Error("dead letter could not be written", slog.Any("error", err))
		return err
	}
	if in.e.config.Metrics.DeadLettered != nil {
		in.e.config.Metrics.DeadLettered(in.queue)
	}
	return nil
}

// NextWake is never: an executor has no timers of its own here.
func (in *intake) NextWake() time.Time { return time.Time{} }
