package router

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"slices"
	"strconv"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/decide"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/shard"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
	"github.com/leat-io/leat/pkg/topics"
)

// add makes a decision part of the transaction, or nothing of it when one of
// its records cannot be written. room is how large the snapshot may be.
func (t *transaction) add(at instance, e *entry, d decide.Decision, room int) error {
	t.place(at, e, &d)
	before := len(t.records)
	if err := t.encode(at, e.key, d, room); err != nil {
		t.records = t.records[:before]
		return coded(err)
	}
	if d.Next != nil {
		t.lane.config.Metrics.incident(e.cur, d.Next)
		if !e.changed {
			t.bytes += e.size // its snapshot is written when all is decided
		}
		e.cur, e.changed, e.room = d.Next, true, room
	}
	for _, message := range d.Logs {
		t.lane.config.Logger.LogAttrs(context.Background(), slog.LevelInfo, "workflow log", slog.String("message", message),
			slog.String("instance", at.id.String()), slog.String("type", e.cur.WorkflowType))
	}
	for range d.Forged {
		t.lane.config.Metrics.forged()
	}
	if d.Outcome != nil {
		t.lane.config.Metrics.outcome(d.Outcome.Status)
	}
	for i := range d.Later {
		t.lane.config.Metrics.outcome(d.Later[i].Status)
	}
	return nil
}

// encode adds a decision's records, without the snapshot, which goes last: one
// an instance, however many decisions the transaction has of it. On an error
// some may have been added.
func (t *transaction) encode(at instance, key []byte, d decide.Decision, room int) (err error) {
	defer decide.Rescue(&err)
	names := t.lane.config.Names
	topic := ""
	for i := range d.Events {
		e := &d.Events[i]
		if topic == "" {
			topic = names.Events(e.WorkflowType) // all are of one instance
		}
		value, err := avro.EncodeEvent(e)
		r := kafka.NewRecordAt(topic, at.partition.Partition, key, value)
		r.Headers, r.Timestamp = cloudEvents(e), e.Timestamp
		if err := t.put(r, err); err != nil {
			return fmt.Errorf("event %s: %w", e.EventType, err)
		}
	}
	for i := range d.Tasks {
		task := &d.Tasks[i]
		value, err := avro.EncodeTask(task)
		r := kafka.NewRecord(names.Tasks(task.Queue), []byte(task.TaskID.String()), value)
		if slices.Contains(d.Again, task.TaskID) {
			r = kafka.NewRecordBeside(r.Topic, crc32.ChecksumIEEE([]byte(task.Token)), r.Key, value) // another executor's, perhaps
		}
		if err := t.put(r, err); err != nil {
			return fmt.Errorf("task %s: %w", task.TaskName, err)
		}
	}
	for i, s := range d.Signals {
		if err := t.put(t.signal(d.Next, i, s)); err != nil {
			return fmt.Errorf("signal %s: %w", s.Event, err)
		}
	}
	for i := range d.Sends {
		if err := t.put(t.send(&d.Sends[i])); err != nil {
			return fmt.Errorf("%s for %s: %w", d.Sends[i].Command, d.Sends[i].WorkflowType, err)
		}
	}
	if err := t.encodeAnswers(&d); err != nil {
		return err
	}
	if t.careful && d.Next != nil {
		_, err = encodeState(d.Next, room)
	}
	return err
}

// encodeAnswers adds what tells people and clients of a decision.
func (t *transaction) encodeAnswers(d *decide.Decision) error {
	names := t.lane.config.Names
	outcomes := d.Later
	if d.Outcome != nil {
		outcomes = append(slices.Clip(outcomes), *d.Outcome)
	}
	for i := range outcomes {
		if err := t.putOutcome(&outcomes[i]); err != nil {
			return fmt.Errorf("outcome: %w", err)
		}
	}
	for i := range d.Cancels {
		value, err := avro.EncodeCancellation(&d.Cancels[i])
		if err := t.putAnswer(kafka.NewRecord(names.Cancels(), []byte(d.Cancels[i].TaskID.String()), value), err); err != nil {
			return fmt.Errorf("cancellation: %w", err)
		}
	}
	for i := range d.Audit {
		a := &d.Audit[i]
		value, err := avro.EncodeAudit(a)
		if err := t.putAnswer(kafka.NewRecord(names.Audit(), []byte(a.Resource), value), err); err != nil {
			return fmt.Errorf("audit: %w", err)
		}
	}
	return nil
}

// put adds one record, unless it could not be made or is too large.
func (t *transaction) put(r *kafka.Record, err error) error {
	if err == nil {
		err = t.fits(r, maxRecord)
	}
	if err == nil {
		t.records = append(t.records, r)
	}
	return err
}

// fits says why a record cannot be written.
func (t *transaction) fits(r *kafka.Record, room int) error {
	if len(r.Value) > room {
		return tooLarge("a record for "+r.Topic, len(r.Value), room)
	}
	return t.lane.refusals.refused(r.Topic, recordSize(r), t.now)
}

// putAnswer adds a record that only tells of a decision. A topic that does not
// take it does not undo the decision: the history has it, and the log here.
func (t *transaction) putAnswer(r *kafka.Record, err error) error {
	if err = t.put(r, err); errors.As(err, new(*unwritableError)) {
		return t.unanswered(r, err)
	}
	return err
}

func (t *transaction) unanswered(r *kafka.Record, why error) error {
	t.lane.config.Logger.LogAttrs(context.Background(), slog.LevelError, "the outcome of a decision cannot be written",
		slog.String("topic", r.Topic), slog.String("key", string(r.Key)), slog.Any("error", why))
	return nil
}

func cloudEvents(e *events.Event) []kafka.Header {
	headers := avro.CloudEvents(e)
	out := make([]kafka.Header, len(headers))
	for i, h := range headers {
		out[i] = kafka.Header(h)
	}
	return out
}

// signal is a `send` to another instance: a command like any other.
func (t *transaction) signal(from *events.Snapshot, ordinal int, s fsm.SendSignal) (*kafka.Record, error) {
	c := events.Command{
		CommandID: events.DeriveUUID(from.InstanceID, "send/"+strconv.FormatInt(from.SequenceNumber, 10)+"/"+strconv.Itoa(ordinal)),
		Command:   events.CommandSignal, WorkflowType: s.Type, Event: s.Event, Payload: s.Data,
		CorrelationID: from.CorrelationID, Timestamp: t.now, Source: from.WorkflowType + "/" + from.InstanceID.String(),
		CausationID: events.EventID(from.WorkflowType, from.InstanceID, from.SequenceNumber),
	}
	to := events.ParseRef(s.To)
	c.InstanceID, c.Key = to.ID, to.Key
	c.Resolve(c.CommandID)
	n := t.lane.registry.Partitions(s.Type)
	if n == 0 {
		return nil, &decide.Error{Code: decide.CodeUnknownType, Err: fmt.Errorf("type %q is not deployed", s.Type)}
	}
	return t.send(&c)
}

// send writes a command to the instance that it is for.
func (t *transaction) send(c *events.Command) (*kafka.Record, error) {
	value, err := avro.EncodeCommand(c)
	key := []byte(c.InstanceID.String())
	partition := topics.Partition(key, t.lane.registry.Partitions(c.WorkflowType))
	return kafka.NewRecordAt(t.lane.config.Names.Commands(c.WorkflowType), partition, key, value), err
}

// finish adds the snapshots, one an instance, and the checkpoints.
func (t *transaction) finish() error {
	for at, e := range t.overlay {
		if !e.changed {
			continue
		}
		if _, err := t.stateOf(at, e); err != nil {
			return err
		}
		t.records = append(t.records, kafka.NewRecordAt(t.stateTopic(at.partition), at.partition.Partition, e.key, e.record))
	}
	t.finishSchedules()
	for p := range t.touched {
		value, err := avro.EncodeCheckpoint(&events.Checkpoint{
			Partition: p.Partition, NextOffset: t.batch.Open[p], Source: t.lane.config.Slot, Timestamp: t.now,
		})
		if err != nil {
			return err
		}
		t.records = append(t.records, kafka.NewRecordAt(t.stateTopic(p), p.Partition, []byte(events.CheckpointKey), value))
	}
	return nil
}

func (t *transaction) eventTopic(p shard.Partition) string {
	workflowType, _ := t.lane.config.Names.TypeOfCommands(p.Topic)
	return t.lane.config.Names.Events(workflowType)
}

func (t *transaction) stateTopic(p shard.Partition) string {
	workflowType, _ := t.lane.config.Names.TypeOfCommands(p.Topic)
	return t.lane.config.Names.State(workflowType)
}

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
		l.config.Logger.LogAttrs(ctx, slog.LevelDebug, "cannot find the end of the event topic", slog.Any("partition", at), slog.Any("error", err))
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
	if len(d.Events) == 0 || end == 0 { // 0: the lane has not learned it yet, and what was noted is below it
		next.NewestOffset = e.cur.NewestOffset
	}
}
