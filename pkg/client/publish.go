package client

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/definition"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/topics"
)

// published is a version on the definitions topic.
type published struct {
	record events.DefinitionRecord // the first one of its key that can be used: it counts, for everybody
	value  []byte                  // that record as it is written
	newest []byte                  // of the key; compaction keeps this one
}

// buried says that compaction would take the version away, or exchange it.
func (p *published) buried() bool { return !bytes.Equal(p.value, p.newest) }

// usable says whether routers can decide with a record.
func usable(d *events.DefinitionRecord) bool {
	machine, findings, err := definition.Parse(d.Key(), []byte(d.Source))
	return err == nil && findings.Err() == nil && machine.Type() == d.WorkflowType && machine.Version() == d.Version
}

// published reads the definitions topic by key, as routers do. A tombstone takes
// nothing away, because a deployed version never changes; a record that cannot be
// read, or is of another key, is left out. Whether a source compiles is only
// looked at where two of them are in question.
func (c *Client) published(ctx context.Context) (map[string]*published, error) {
	byKey := make(map[string]*published)
	err := c.whole(ctx, c.names.Definitions(), func(r *kafka.Record) error {
		key := string(r.Key)
		there := byKey[key]
		if there != nil {
			there.newest = r.Value
		}
		d, err := avro.DecodeDefinition(r.Value)
		if err != nil || d.Key() != key {
			return nil //nolint:nilerr // it may come from a newer engine, or from anybody
		}
		if there == nil || there.record.Source != d.Source && !usable(&there.record) {
			byKey[key] = &published{record: d, value: r.Value, newest: r.Value}
		}
		return nil
	})
	return byKey, err
}

// versionsOf is what of one type is published and can be used, by version.
func (c *Client) versionsOf(ctx context.Context, workflowType string) ([]*published, error) {
	all, err := c.published(ctx)
	if err != nil {
		return nil, err
	}
	var list []*published
	for _, p := range all {
		if p.record.WorkflowType == workflowType && usable(&p.record) {
			list = append(list, p)
		}
	}
	slices.SortFunc(list, func(a, b *published) int { return cmp.Compare(a.record.Version, b.record.Version) })
	return list, nil
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
			if p.buried() {
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
