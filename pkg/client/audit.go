package client

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
)

// AuditRequest says which entries of the audit. The zero value is all of them.
type AuditRequest struct {
	Type     string    // workflow type
	Instance string    // id or business key of an instance of Type
	Since    time.Time // not older than that
	Limit    int       // the newest of them; 0 for all
}

// Audit reads who asked for what, oldest first. It reads the topic itself and
// needs Brokers.
func (c *Client) Audit(ctx context.Context, r AuditRequest) ([]events.AuditEvent, error) {
	if r.Instance != "" && r.Type == "" {
		return nil, invalid(fmt.Errorf("Instance %q needs a Type: keys are of a type", r.Instance))
	}
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	reader, err := c.reading()
	if err != nil {
		return nil, err
	}
	topic := c.names.Audit()
	ranges, err := reader.Ranges(ctx, topic)
	if err != nil {
		return nil, failed("read "+topic, err)
	}
	since := make(map[kafka.TopicPartition]int64)
	if !r.Since.IsZero() {
		if since, err = reader.OffsetsAt(ctx, topic, r.Since.Add(-clockSkew)); err != nil {
			return nil, failed("read "+topic, err)
		}
	}
	wanted := r.resources()
	list := []events.AuditEvent{}
	for p, bounds := range ranges {
		err := reader.ReadTo(ctx, p, max(bounds.Start, since[p]), bounds.End, func(record *kafka.Record) error {
			a, err := avro.DecodeAudit(record.Value)
			if err != nil {
				c.foreign(record, err)
				return nil
			}
			if r.wants(&a, wanted) {
				list = append(list, a)
			}
			return nil
		})
		if err != nil {
			return nil, failed("read "+topic, err)
		}
	}
	slices.SortStableFunc(list, func(a, b events.AuditEvent) int { return a.Timestamp.Compare(b.Timestamp) })
	if r.Limit > 0 && len(list) > r.Limit {
		list = list[len(list)-r.Limit:]
	}
	return list, nil
}

func (r AuditRequest) wants(a *events.AuditEvent, resources []string) bool {
	workflowType, _, _ := strings.Cut(a.Resource, "/")
	return (r.Type == "" || r.Type == workflowType) && (resources == nil || slices.Contains(resources, a.Resource)) && !a.Timestamp.Before(r.Since)
}

// resources names what Instance may mean; nil for everything.
func (r AuditRequest) resources() []string {
	if r.Instance == "" {
		return nil
	}
	var names []string
	for _, id := range candidates(r.Type, r.Instance) {
		names = append(names, r.Type+"/"+id.String())
	}
	return names
}
