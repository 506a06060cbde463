package registry

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/schedule"
	"github.com/leat-io/leat/pkg/events"
)

// A topic that was deleted and made again is empty, and the next process to start would
// know of nothing. Those who have read it before write back what they know: in
// the turn of deployers and of those who write schedules, so that nothing newer
// is written over.

// writeBack writes the definitions that are known and not in the topic.
func (r *Registry) writeBack(ctx context.Context) error {
	byType := make(map[string][]*kafka.Record)
	for _, d := range r.Records() {
		value, err := avro.EncodeDefinition(&d)
		if err != nil {
			return fmt.Errorf("write definition %s back: %w", d.Key(), err)
		}
		byType[d.WorkflowType] = append(byType[d.WorkflowType], r.config.record(r.partition().Topic, d.Key(), value))
	}
	for workflowType, records := range byType {
		if err := r.config.restore(ctx, "leat-definition-"+workflowType, records...); err != nil {
			return fmt.Errorf("write definitions of %s back: %w", workflowType, err)
		}
	}
	return nil
}

// writeBack writes the schedules that are known and not in the topic.
func (s *Schedules) writeBack(ctx context.Context) error {
	for _, record := range s.known() {
		value, err := avro.EncodeSchedule(&record)
		if err == nil {
			err = s.config.restore(ctx, "leat-schedule-"+record.ScheduleID, s.config.record(s.partition().Topic, record.ScheduleID, value))
		}
		if err != nil {
			return fmt.Errorf("write schedule %s back: %w", record.ScheduleID, err)
		}
	}
	return nil
}

func (s *Schedules) known() (list []events.ScheduleRecord) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, byID := range s.byType {
		for _, known := range slices.SortedFunc(maps.Values(byID), func(a, b *schedule.Schedule) int {
			return slices.Compare([]byte(a.ScheduleID), []byte(b.ScheduleID))
		}) {
			list = append(list, known.ScheduleRecord)
		}
	}
	return list
}

func (c *Config) record(topic, key string, value []byte) *kafka.Record {
	record := kafka.NewRecord(topic, []byte(key), value)
	record.Headers = []kafka.Header{{Key: "content-type", Value: []byte(avro.ContentType)}}
	return record
}

// restore writes those records whose keys are not in their topic.
func (c *Config) restore(ctx context.Context, id string, records ...*kafka.Record) error {
	return kafka.InTurn(ctx, c.Kafka, c.Names.Prefix+id, func(ctx context.Context) (missing []*kafka.Record, err error) {
		there, err := c.keys(ctx, records[0].Topic)
		for _, record := range records {
			if !there[string(record.Key)] {
				missing = append(missing, record)
			}
		}
		return missing, err
	})
}

// keys are those of what is in a topic of one partition now.
func (c *Config) keys(ctx context.Context, topic string) (map[string]bool, error) {
	reader, err := kafka.NewReader(c.Kafka)
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	p := kafka.TopicPartition{Topic: topic}
	bounds, err := reader.Range(ctx, p)
	if err != nil {
		return nil, err
	}
	there := make(map[string]bool)
	return there, reader.ReadTo(ctx, p, bounds.Start, bounds.End, func(r *kafka.Record) error {
		there[string(r.Key)] = true
		return nil
	})
}
