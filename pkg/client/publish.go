package client

import (
	"bytes"
	"cmp"
	"context"
	"fmt"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/definition"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/topics"
)

// published is a version on the definitions topic.
type published struct {
	record events.DefinitionRecord
	value  []byte // the record as it is written
	buried bool   // the newest record of the key is another: compaction would take this one away
}

// usable says whether routers can decide with a record.
func usable(d *events.DefinitionRecord) bool {
	machine, findings, err := definition.Parse(d.Key(), []byte(d.Source))
	return err == nil && findings.Err() == nil && machine.Type() == d.WorkflowType && machine.Version() == d.Version
}

// published reads the definitions topic: what can be read of each type, in the
// order in which it was written. A tombstone takes nothing away, because a deployed
// version never changes; a record of another key is left out.
func (c *Client) published(ctx context.Context) (map[string][]*published, error) {
	byType := make(map[string][]*published)
	newest := make(map[string][]byte)
	err := c.whole(ctx, c.names.Definitions(), func(r *kafka.Record) error {
		newest[string(r.Key)] = r.Value
		d, err := avro.DecodeDefinition(r.Value)
		if err != nil || d.Key() != string(r.Key) {
			return nil //nolint:nilerr // it may come from a newer engine, or from anybody
		}
		byType[d.WorkflowType] = append(byType[d.WorkflowType], &published{record: d, value: r.Value})
		return nil
	})
	for _, records := range byType {
		for _, p := range records {
			p.buried = !bytes.Equal(p.value, newest[p.record.Key()])
		}
	}
	return byType, err
}

// counting is what counts of a type's records, as for routers: of each version the
// first that can be used and has the type's partition count. Sources are compiled
// only if needed is true or the records contradict each other.
func counting(records []*published, needed bool) (list []*published) {
	for _, p := range records[1:] {
		needed = needed || p.record.Partitions != records[0].record.Partitions
	}
	sources := make(map[int32]string)
	for _, p := range records {
		if first, there := sources[p.record.Version]; there && first != p.record.Source {
			needed = true
		}
		sources[p.record.Version] = p.record.Source
	}
	seen := make(map[int32]bool)
	for _, p := range records {
		if seen[p.record.Version] || len(list) > 0 && p.record.Partitions != list[0].record.Partitions || needed && !usable(&p.record) {
			continue
		}
		seen[p.record.Version] = true
		list = append(list, p)
	}
	return list
}

// versionsOf is what is deployed of one type.
func (c *Client) versionsOf(ctx context.Context, workflowType string) ([]*published, error) {
	all, err := c.published(ctx)
	if err != nil || len(all[workflowType]) == 0 {
		return nil, err
	}
	return counting(all[workflowType], true), nil
}

// publish writes a version, unless it is there, in the type's turn: whoever wrote
// before is seen, and nobody writes in between. In the same turn it writes the
// versions again that compaction would take away.
func (c *Client) publish(ctx context.Context, d *events.DefinitionRecord) (events.DefinitionRecord, error) {
	value, err := avro.EncodeDefinition(d)
	if err != nil {
		return events.DefinitionRecord{}, &Error{Code: ErrDefinition.Code, Message: err.Error(), Err: err}
	}
	var result events.DefinitionRecord
	err = kafka.InTurn(ctx, c.kafka, c.names.Prefix+"leat-definition-"+d.WorkflowType, func(ctx context.Context) ([]*kafka.Record, error) {
		deployed, err := c.versionsOf(ctx, d.WorkflowType)
		if err != nil {
			return nil, err
		}
		there, err := compare(deployed, d)
		if err != nil {
			return nil, err
		}
		var records []*kafka.Record
		for _, p := range deployed {
			if p.buried {
				records = append(records, c.registryRecord(c.names.Definitions(), p.record.Key(), p.value))
			}
		}
		if there == nil {
			records = append(records, c.registryRecord(c.names.Definitions(), d.Key(), value))
		}
		result = *cmp.Or(there, d)
		return records, nil
	})
	if err != nil {
		return events.DefinitionRecord{}, failed("publish definition "+d.Key(), err)
	}
	return result, nil
}

func (c *Client) registryRecord(topic, key string, value []byte) *kafka.Record {
	record := kafka.NewRecord(topic, []byte(key), value)
	if value != nil {
		record.Headers = []kafka.Header{{Key: "content-type", Value: []byte(avro.ContentType)}}
	}
	return record
}

// partitionsOf is what the versions before say; asked counts for a new type.
func partitionsOf(deployed []*published, asked int32) int32 {
	if asked == 0 && len(deployed) > 0 {
		return deployed[0].record.Partitions
	}
	return cmp.Or(asked, topics.DefaultPartitions)
}

// compare finds the version among those of its type, and refuses to change it.
func compare(deployed []*published, d *events.DefinitionRecord) (*events.DefinitionRecord, error) {
	newest := int32(0)
	var there *events.DefinitionRecord
	for _, p := range deployed {
		newest = max(newest, p.record.Version)
		if p.record.Version == d.Version {
			there = &p.record
		}
		if p.record.Partitions != d.Partitions && (p.record.Version != d.Version || p.record.Source != d.Source) {
			return nil, &Error{
				Code: ErrTopic.Code, Message: fmt.Sprintf("type %s has %d partitions, not %d; the count never changes, because routing depends on it",
					d.WorkflowType, p.record.Partitions, d.Partitions), Fix: "deploy without a partition count",
			}
		}
	}
	if there != nil && there.Source != d.Source {
		return nil, &Error{
			Code: ErrDeployed.Code, Message: fmt.Sprintf("%s version %d is deployed with another source, and a deployed version never changes", d.WorkflowType, d.Version),
			Fix: fmt.Sprintf("set `version: %d` in the file", newest+1),
		}
	}
	return there, nil
}
