package router

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/decide"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/topics"
)

// Headers that the router sets on commands that it moves.
const (
	headerMovedFrom = "leat-moved-from" // topic/partition@offset that the command was sent to
	headerCommandID = "leat-command-id" // of a moved command whose producer chose none
)

// read decodes and checks a record.
func (t *transaction) read(workflowType string, r *kafka.Record) (in decide.Input, err error) {
	defer decide.Rescue(&err)
	c, err := avro.ParseCommand(r.Value)
	if err != nil {
		return decide.Input{}, err
	}
	explicit := !c.CommandID.IsNil()
	fallback := c.CommandID
	if !explicit {
		if fallback, err = derivedID(r); err != nil {
			return decide.Input{}, err
		}
	}
	c.Resolve(fallback)
	if err := cmp.Or(c.Validate(), c.CheckNamed()); err != nil {
		return decide.Input{}, err
	}
	if c.WorkflowType != workflowType {
		return decide.Input{}, fmt.Errorf("type is %q and the topic is that of %q", c.WorkflowType, workflowType)
	}
	in = t.input()
	in.Command, in.Explicit = &c, explicit
	return in, nil
}

// derivedID is the id of a command whose producer chose none: it follows from
// where the command first was.
func derivedID(r *kafka.Record) (events.UUID, error) {
	moved := header(r, headerCommandID)
	if moved == "" {
		return events.DeriveUUID(events.Namespace, fmt.Sprintf("command/%s/%d/%d", r.Topic, r.Partition, r.Offset)), nil
	}
	id, err := events.ParseUUID(moved)
	if err != nil {
		return id, fmt.Errorf("header %s: %w", headerCommandID, err)
	}
	return id, nil
}

func header(r *kafka.Record, key string) string {
	for _, h := range r.Headers {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}

// home is the partition that an instance lives in.
func (t *transaction) home(workflowType string, id events.UUID) int32 {
	return topics.Partition([]byte(id.String()), t.lane.registry.Partitions(workflowType))
}

// move sends a command to the partition of its instance, marked, in this
// transaction: so exactly once. A command that was moved before stays put.
func (t *transaction) move(r *kafka.Record, c *events.Command, home int32) {
	if from := header(r, headerMovedFrom); from != "" {
		t.deadLetter(r, fmt.Errorf("was moved here from %s and still is in the wrong partition", from))
		return
	}
	moved := kafka.NewRecordAt(r.Topic, home, []byte(c.InstanceID.String()), r.Value)
	moved.Headers = append(slices.Clone(r.Headers),
		kafka.Header{Key: headerMovedFrom, Value: origin(r)},
		kafka.Header{Key: headerCommandID, Value: []byte(c.CommandID.String())})
	if size := len(moved.Value) + kafka.RestSize(moved); size > maxRecord {
		t.deadLetter(r, fmt.Errorf("is in the wrong partition and with %d bytes too large to be moved, at most %d", size, maxRecord))
		return
	}
	if err := t.put(moved, nil); err != nil {
		t.deadLetter(r, err)
		return
	}
	t.lane.config.Metrics.moved()
}

func origin(r *kafka.Record) []byte {
	return fmt.Appendf(nil, "%s/%d@%d", r.Topic, r.Partition, r.Offset)
}

// deadLetter keeps a record that cannot be used, as it came, with the reason.
func (t *transaction) deadLetter(r *kafka.Record, reason error) {
	before := len(t.records)
	for _, dead := range kafka.NewDeadLetters(t.lane.config.Names.DeadLetters(r.Topic), r, reason) {
		if err := t.put(dead, nil); err != nil {
			// It is still where it came from, and the log below says where that is.
			t.records = t.records[:before]
			reason = errors.Join(reason, err)
			break
		}
	}
	t.lane.config.Metrics.deadLettered()
	t.lane.config.Logger.LogAttrs(context.Background(), slog.LevelWarn, "command cannot be used, kept in the dead letter topic",
		slog.String("topic", r.Topic), slog.Int("partition", int(r.Partition)), slog.Int64("offset", r.Offset),
		slog.Any("error", reason))
}
