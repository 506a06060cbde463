package client

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/topics"
)

// part is what is read of a topic: the partition of a key, or all of it for a nil
// key.
type part struct {
	topic    string
	key      []byte
	from     int64                   // offset to begin at, if the partition has it; else its beginning
	near     bool                    // what is looked for lies near from
	progress func(done, total int64) // called now and then; may be nil
}

// errEnough is what a visit returns that wants to see no more.
var errEnough = errors.New("enough is read")

// progressEvery is how many records are read between two calls of progress.
const progressEvery = 10_000

// scan calls visit with the records of a part, in the order of each partition.
func (c *Client) scan(ctx context.Context, workflowType string, of part, visit func(*kafka.Record) error) error {
	reader, err := c.reading()
	if err != nil {
		return err
	}
	ranges, err := reader.Ranges(ctx, of.topic)
	if kafka.NoTopic(err) {
		return c.unknownType(ctx, workflowType, err)
	}
	if err != nil {
		return failed("read "+of.topic, err)
	}
	mine := int32(-1)
	if of.key != nil {
		mine = topics.Partition(of.key, int32(len(ranges))) //nolint:gosec // partition counts are small
	}
	for p, r := range ranges {
		if mine >= 0 && p.Partition != mine {
			continue
		}
		if of.from > r.Start && of.from < r.End {
			r.Start = of.from
		}
		read := reader.ReadTo
		if of.near {
			read = reader.ReadNear
		}
		err := read(ctx, p, r.Start, r.End, of.showing(r, visit))
		if errors.Is(err, errEnough) {
			return nil
		}
		if err != nil {
			return failed("read "+of.topic, err)
		}
	}
	return nil
}

// showing is visit, with progress.
func (of *part) showing(r kafka.Range, visit func(*kafka.Record) error) func(*kafka.Record) error {
	if of.progress == nil {
		return visit
	}
	of.progress(0, r.End-r.Start)
	n := 0
	return func(record *kafka.Record) error {
		if n++; n%progressEvery == 0 || record.Offset == r.End-1 {
			of.progress(record.Offset+1-r.Start, r.End-r.Start)
		}
		return visit(record)
	}
}

func unreadable(topic string, err error) error {
	return &Error{Code: ErrAnswer.Code, Message: fmt.Sprintf("a record of %s cannot be read: %v", topic, err), Err: err, Fix: "leat version: a newer engine may have written it"}
}

// all calls visit with the newest snapshot of every instance of a type, in no order.
func (c *Client) all(ctx context.Context, workflowType string, visit func(*Instance)) error {
	newest := make(map[string][]byte)
	if err := c.scan(ctx, workflowType, part{topic: c.names.State(workflowType)}, func(r *kafka.Record) error {
		if r.Value == nil {
			delete(newest, string(r.Key))
			return nil
		}
		if events.Internal(string(r.Key)) {
			return nil
		}
		// What cannot be read does not replace what was readable before it.
		if _, err := avro.DecodeSnapshot(r.Value); err != nil {
			c.foreign(r, err)
			return nil
		}
		newest[string(r.Key)] = r.Value
		return nil
	}); err != nil {
		return err
	}
	for _, value := range newest {
		s, err := avro.DecodeSnapshot(value)
		if err != nil {
			return err // it was readable
		}
		if s.ForgottenAt.IsZero() {
			visit(&s)
		}
	}
	return nil
}

func (c *Client) listDirect(ctx context.Context, r ListRequest) (Page, error) {
	var after *cursor
	if r.Cursor != "" {
		after = &cursor{}
		if err := json.Unmarshal([]byte(r.Cursor), after); err != nil {
			return Page{}, invalid(errors.New("the cursor is not one of this list"))
		}
	}
	wanted, err := readConditions(r.Where)
	if err != nil {
		return Page{}, err
	}
	page := Page{Items: []Instance{}}
	err = c.all(ctx, r.Type, func(s *Instance) {
		if wanted.hold(s) && (r.WorkflowState == "" || s.State == r.WorkflowState) && (r.State == "" || slices.Contains(s.Chart.Active, r.State)) &&
			(after == nil || newerFirst(at(s), *after) > 0) {
			page.Items = append(page.Items, *s)
		}
	})
	if err := cmp.Or(err, wanted.unknown(r.Type)); err != nil {
		return Page{}, err
	}
	slices.SortFunc(page.Items, func(a, b Instance) int { return newerFirst(at(&a), at(&b)) })
	if len(page.Items) > r.Limit {
		page.Items = page.Items[:r.Limit]
		page.NextCursor = at(&page.Items[r.Limit-1]).String()
	}
	return page, nil
}

func at(s *Instance) cursor { return cursor{s.CreatedAt.UnixMicro(), s.InstanceID} }

func newerFirst(a, b cursor) int {
	return cmp.Or(cmp.Compare(b.Created, a.Created), bytes.Compare(a.ID[:], b.ID[:]))
}

func (c *Client) countsDirect(ctx context.Context, workflowType string, where []string) (Counts, error) {
	wanted, err := readConditions(where)
	if err != nil {
		return Counts{}, err
	}
	n := Counts{Workflow: make(map[events.WorkflowState]int64), State: make(map[string]int64)}
	err = c.all(ctx, workflowType, func(s *Instance) {
		if !wanted.hold(s) {
			return
		}
		n.Instances++
		n.Workflow[s.State]++
		for _, state := range s.Chart.Active {
			n.State[state]++
		}
	})
	return n, cmp.Or(err, wanted.unknown(workflowType))
}

// foreign says that a record on an event topic was passed over.
func (c *Client) foreign(r *kafka.Record, why error) {
	if c.config.Skipped != nil {
		c.config.Skipped(r.Topic)
	}
	c.config.Logger.Warn("record is not a router's, skipping it", slog.String("topic", r.Topic),
		slog.Int("partition", int(r.Partition)), slog.Int64("offset", r.Offset), slog.Any("error", why))
}

// conditions are those of a request, as far as the instances read so far know
// their names.
type conditions struct {
	list     []events.Condition
	declared []bool // an instance declares the name of the condition under search
	any      bool   // there was an instance
}

func readConditions(texts []string) (*conditions, error) {
	c := &conditions{declared: make([]bool, len(texts))}
	for _, text := range texts {
		condition, err := events.ParseCondition(text)
		if err != nil {
			return nil, invalid(err)
		}
		c.list = append(c.list, condition)
	}
	return c, nil
}

// hold reports whether an instance satisfies all conditions.
func (c *conditions) hold(s *Instance) bool {
	c.any = true
	all := true
	for i, condition := range c.list {
		declares := slices.Contains(s.Search, condition.Name)
		c.declared[i] = c.declared[i] || declares
		all = all && declares && condition.Holds(s.Chart.Data[condition.Name])
	}
	return all
}

// unknown is the error for a name that no instance of the type declares: the
// list would be empty for a reason that nobody sees.
func (c *conditions) unknown(workflowType string) error {
	for i, condition := range c.list {
		if c.any && !c.declared[i] {
			return invalid(fmt.Errorf("no instance of %s declares %q under search", workflowType, condition.Name))
		}
	}
	return nil
}
