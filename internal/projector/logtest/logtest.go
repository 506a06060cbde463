// Package logtest makes the topics that a projector follows, in memory, for the
// tests of its views and of its API.
package logtest

import (
	"fmt"
	"time"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/topics"
)

// What the tests have in common: when everything began, and topics without a prefix.
var (
	Began = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	Names = topics.Names{}
)

// ID is the n-th instance.
func ID(n int) events.UUID {
	return events.DeriveUUID(events.Namespace, fmt.Sprint("test/", n))
}

// Snapshot is a valid snapshot; edit changes it.
func Snapshot(workflowType string, id events.UUID, sequence int64, edit func(*events.Snapshot)) *events.Snapshot {
	s := &events.Snapshot{
		WorkflowType: workflowType, InstanceID: id, Version: 1, SequenceNumber: sequence, State: events.WorkflowRunning,
		CorrelationID: id, CreatedAt: Began, UpdatedAt: Began.Add(time.Duration(sequence) * time.Second),
		Chart: events.Chart{Active: []string{"open"}}, Isolation: events.ReadCommitted,
	}
	if edit != nil {
		edit(s)
	}
	return s
}

// Event is a valid event.
func Event(workflowType string, id events.UUID, sequence int64) *events.Event {
	return &events.Event{
		EventID: events.EventID(workflowType, id, sequence), EventType: events.EventStateTransitioned, WorkflowType: workflowType,
		InstanceID: id, CorrelationID: id, SequenceNumber: sequence, Timestamp: Began.Add(time.Duration(sequence) * time.Second),
		Source: "test", IdempotencyKey: fmt.Sprintf("%s-%s-%d", workflowType, id, sequence),
		Metadata: map[string]events.ContextValue{events.MetadataCommandID: events.String(id.String())},
	}
}

// Must is v, and panics when there is none.
func Must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Log is a topic partition in memory.
type Log struct {
	Topic     string
	Partition int32
	Records   []*kafka.Record
}

// Append adds a record.
func (l *Log) Append(key string, value []byte) {
	l.Records = append(l.Records, &kafka.Record{
		Topic: l.Topic, Partition: l.Partition, Offset: int64(len(l.Records)), Key: []byte(key), Value: value,
		Timestamp: Began.Add(time.Duration(len(l.Records)) * time.Millisecond),
	})
}

// Snapshot adds a record of the state topic.
func (l *Log) Snapshot(s *events.Snapshot) {
	l.Append(s.InstanceID.String(), Must(avro.EncodeSnapshot(s)))
}

// Event adds a record of the event topic.
func (l *Log) Event(e *events.Event) { l.Append(e.InstanceID.String(), Must(avro.EncodeEvent(e))) }
