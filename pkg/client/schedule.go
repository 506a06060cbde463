package client

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/internal/schedule"
	"github.com/leat-io/leat/pkg/events"
)

// Schedule says which instances begin by themselves, and when. Since, CreatedAt,
// UpdatedAt and UpdatedBy are the client's to fill.
type Schedule = events.ScheduleRecord

// CreateSchedule makes a schedule. Of two who create one at the same time, one
// gets the error that it exists. The error is [ErrScheduleExists], [ErrSchedule] when it
// cannot be one, [ErrUnknownType] or [ErrUnavailable]. Everything about schedules
// needs Brokers.
func (c *Client) CreateSchedule(ctx context.Context, s Schedule) (Schedule, error) {
	written, _, err := c.putSchedule(ctx, s, func(there *Schedule) (Schedule, error) {
		if there != nil {
			return s, newError(ErrScheduleExists, nil, "there is a schedule %q already", s.ScheduleID)
		}
		return s, nil
	})
	return written, err
}

// ApplySchedule makes a schedule what s says, whether it is there or not. changed
// is false when it was that already. When its times have changed, scheduled runs
// before now are left out. Errors are those of [Client.CreateSchedule].
func (c *Client) ApplySchedule(ctx context.Context, s Schedule) (written Schedule, changed bool, err error) {
	return c.putSchedule(ctx, s, func(*Schedule) (Schedule, error) { return s, nil })
}

// PauseSchedule makes a schedule skip its scheduled runs until it is resumed. The
// error is [ErrNoSchedule] or [ErrUnavailable].
func (c *Client) PauseSchedule(ctx context.Context, id, note string) (Schedule, error) {
	return c.changeSchedule(ctx, id, func(s *Schedule) { s.Paused, s.Note = true, cmp.Or(note, s.Note) })
}

// ResumeSchedule makes a schedule go on with its next scheduled run.
// Errors are those of [Client.PauseSchedule].
func (c *Client) ResumeSchedule(ctx context.Context, id, note string) (Schedule, error) {
	return c.changeSchedule(ctx, id, func(s *Schedule) { s.Paused, s.Note = false, cmp.Or(note, s.Note) })
}

// changeSchedule changes what is there when it is written, not what somebody read
// before.
func (c *Client) changeSchedule(ctx context.Context, id string, change func(*Schedule)) (Schedule, error) {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	s, err := c.Schedule(ctx, id)
	if err != nil {
		return Schedule{}, err
	}
	written, _, err := c.putSchedule(ctx, s, func(there *Schedule) (Schedule, error) {
		if there == nil {
			return Schedule{}, newError(ErrNoSchedule, nil, "there is no schedule %q", id)
		}
		changed := *there
		change(&changed)
		return changed, nil
	})
	return written, err
}

// sameTimes says whether two schedules have the same scheduled times.
func sameTimes(a, b Schedule) bool {
	return a.WorkflowType == b.WorkflowType && slices.Equal(a.Cron, b.Cron) && a.Every == b.Every && a.Offset == b.Offset &&
		a.TimeZone == b.TimeZone && a.StartAt.Equal(b.StartAt) && a.EndAt.Equal(b.EndAt)
}

// same says whether two schedules differ in nothing but when they were written.
func same(a, b Schedule) bool {
	a.UpdatedAt, a.UpdatedBy = b.UpdatedAt, b.UpdatedBy
	a.StartAt, a.EndAt = events.Instant(a.StartAt), events.Instant(a.EndAt)
	one, err := avro.EncodeSchedule(&a)
	if err != nil {
		return false
	}
	other, err := avro.EncodeSchedule(&b)
	return err == nil && string(one) == string(other)
}

// Schedules lists every schedule by id. The error is [ErrUnavailable].
func (c *Client) Schedules(ctx context.Context) ([]Schedule, error) {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	all, err := c.schedules(ctx)
	return slices.SortedFunc(maps.Values(all), func(a, b Schedule) int { return cmp.Compare(a.ScheduleID, b.ScheduleID) }), err
}

// Schedule is one schedule. The error is [ErrNoSchedule] or [ErrUnavailable].
func (c *Client) Schedule(ctx context.Context, id string) (Schedule, error) {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	all, err := c.schedules(ctx)
	if err != nil {
		return Schedule{}, err
	}
	s, ok := all[id]
	if !ok {
		known := slices.Sorted(maps.Keys(all))
		e := &Error{Code: ErrNoSchedule.Code, Message: fmt.Sprintf("there is no schedule %q", id), Fix: "leat schedule list"}
		if near := problem.Suggest(id, known); near != "" {
			e.Fix = "did you mean " + near + "?"
		}
		return Schedule{}, e
	}
	return s, nil
}

// schedules reads the topic whole. Records that cannot be read come from a newer
// engine and are left out.
func (c *Client) schedules(ctx context.Context) (map[string]Schedule, error) {
	all := make(map[string]Schedule)
	err := c.whole(ctx, c.names.Schedules(), func(r *kafka.Record) error {
		delete(all, string(r.Key))
		if r.Value == nil {
			return nil
		}
		if s, err := avro.DecodeSchedule(r.Value); err == nil && s.ScheduleID == string(r.Key) {
			all[s.ScheduleID] = s
		}
		return nil
	})
	return all, err
}

// whole reads all of a topic, which may not be there.
func (c *Client) whole(ctx context.Context, topic string, visit func(*kafka.Record) error) error {
	reader, err := c.reading()
	if err != nil {
		return err
	}
	ranges, err := reader.Ranges(ctx, topic)
	if errors.Is(err, kafka.ErrNoTopic) {
		return nil
	}
	if err != nil {
		return failed("read "+topic, err)
	}
	for p, r := range ranges {
		if err := reader.ReadTo(ctx, p, r.Start, r.End, visit); err != nil {
			return failed("read "+topic, err)
		}
	}
	return nil
}

// ScheduleProgress is how far a schedule is: what it started, what waits. It
// reads the schedule's partition of the state topic. A schedule that no router
// has looked at yet has none: the zero value.
func (c *Client) ScheduleProgress(ctx context.Context, s Schedule) (p events.ScheduleProgress, err error) {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	topic := c.names.State(s.WorkflowType)
	home, key := []byte(events.ScheduleInstanceID(s.ScheduleID).String()), events.ScheduleProgressPrefix+s.ScheduleID
	err = c.scan(ctx, s.WorkflowType, part{topic: topic, key: home}, func(r *kafka.Record) error {
		if string(r.Key) != key {
			return nil
		}
		if r.Value == nil {
			p = events.ScheduleProgress{}
			return nil
		}
		newest, err := avro.DecodeProgress(r.Value)
		if err != nil {
			c.foreign(r, err)
			return nil
		}
		p = newest
		return nil
	})
	return p, err
}

// ScheduleAction is something that a schedule is asked to do.
type ScheduleAction struct {
	ScheduleID string
	From, To   time.Time            // of a backfill: the range of scheduled times, both included
	Overlap    events.OverlapPolicy // default: the schedule's own
	CommandID  events.UUID          // the same one again is a duplicate; default new
}

// TriggerSchedule asks a schedule to start one instance now, paused or not. The
// overlap policy holds. The error is [ErrNoSchedule], [ErrSchedule] or [ErrUnavailable].
func (c *Client) TriggerSchedule(ctx context.Context, a ScheduleAction) (Receipt, error) {
	return c.askSchedule(ctx, events.ScheduleTrigger, a)
}

// BackfillSchedule asks a schedule for the scheduled runs of a past range,
// paused or not. Instances that are there are not started again. Errors are those
// of [Client.TriggerSchedule].
func (c *Client) BackfillSchedule(ctx context.Context, a ScheduleAction) (Receipt, error) {
	return c.askSchedule(ctx, events.ScheduleBackfill, a)
}

// askSchedule sends what the router would take, and refuses the rest before.
func (c *Client) askSchedule(ctx context.Context, event string, a ScheduleAction) (Receipt, error) {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	record, err := c.Schedule(ctx, a.ScheduleID)
	if err != nil {
		return Receipt{}, err
	}
	compiled, err := schedule.Compile(record)
	if err != nil {
		return Receipt{}, &Error{Code: ErrSchedule.Code, Message: err.Error(), Err: err}
	}
	data, err := events.EncodeJSON(events.ScheduleRequest{ScheduleID: a.ScheduleID, From: a.From, To: a.To, Overlap: a.Overlap})
	if err != nil {
		return Receipt{}, invalid(err)
	}
	command := events.Command{Event: event, Payload: data}
	if _, err := compiled.Request(&command); err != nil {
		return Receipt{}, &Error{Code: ErrSchedule.Code, Message: err.Error(), Err: err}
	}
	if event == events.ScheduleBackfill && a.To.After(time.Now()) {
		return Receipt{}, &Error{Code: ErrSchedule.Code, Message: "a backfill is of the past, and " + a.To.Format(time.RFC3339) + " is not"}
	}
	return c.Signal(ctx, SignalRequest{
		Type: record.WorkflowType, InstanceID: events.ScheduleInstanceID(a.ScheduleID), Event: event, Data: json.RawMessage(data), CommandID: a.CommandID,
	})
}

// putSchedule writes what want makes of the schedule that is there, nil for none,
// unless it is so already. want may be called several times. first is what it will
// make of it as far as one can know: it is checked before anything is made.
func (c *Client) putSchedule(ctx context.Context, first Schedule, want func(there *Schedule) (Schedule, error)) (written Schedule, changed bool, err error) {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	first = c.stamped(first)
	if err := c.checkSchedule(ctx, &first); err != nil {
		return first, false, err
	}
	admin, err := c.administering()
	if err != nil {
		return first, false, err
	}
	if err := admin.Provision(ctx, kafka.Replicas(0), c.names.Shared()...); err != nil {
		return first, false, failed("write schedule "+first.ScheduleID, err)
	}
	err = c.writeSchedule(ctx, first.ScheduleID, func(ctx context.Context, there *Schedule) (value []byte, write bool, err error) {
		s, err := want(there)
		if err != nil {
			return nil, false, err
		}
		s = c.stamped(s)
		if s.WorkflowType != first.WorkflowType || s.Version != first.Version {
			if err := c.checkSchedule(ctx, &s); err != nil { // it was changed since it was checked
				return nil, false, err
			}
		}
		if there != nil && settle(&s, there) {
			written, changed = *there, false
			return nil, false, nil
		}
		written, changed = s, true
		if value, err = avro.EncodeSchedule(&s); err != nil {
			err = &Error{Code: ErrSchedule.Code, Message: err.Error(), Err: err}
		}
		return value, true, err
	})
	if err != nil {
		return first, false, err
	}
	return written, changed, nil
}

// stamped is s as it is when it is written now.
func (c *Client) stamped(s Schedule) Schedule {
	now := events.Instant(time.Now())
	s.Since, s.CreatedAt, s.UpdatedAt, s.UpdatedBy = now, now, now, c.config.Source
	s.Overlap = cmp.Or(s.Overlap, events.OverlapSkip)
	return s
}

func (c *Client) checkSchedule(ctx context.Context, s *Schedule) error {
	if _, err := schedule.Compile(*s); err != nil {
		return &Error{Code: ErrSchedule.Code, Message: fmt.Sprintf("schedule %q: %v", s.ScheduleID, err), Err: err}
	}
	_, err := c.Definition(ctx, s.WorkflowType, s.Version)
	return err
}

// settle takes over what stays of the schedule that s replaces, and reports
// whether everything stays.
func settle(s, there *Schedule) bool {
	s.CreatedAt = there.CreatedAt
	if sameTimes(*s, *there) && (s.Paused || !there.Paused) {
		s.Since = there.Since
	}
	return same(*s, *there)
}

// writeMark is the header that tells a writer its own record from another's that
// says the same.
const writeMark = "leat-write"

// writeSchedule writes what decide makes of the schedule that is there, a nil
// value to delete it, in the schedule's turn: whoever wrote before is seen, and
// nobody writes in between.
func (c *Client) writeSchedule(ctx context.Context, id string, decide func(context.Context, *Schedule) (value []byte, write bool, err error)) error {
	mark := []byte(newID(time.Now()).String())
	return failed("write schedule "+id, kafka.InTurn(ctx, c.kafka, c.names.Prefix+"leat-schedule-"+id, func(ctx context.Context) ([]*kafka.Record, error) {
		there, mine, err := c.newestSchedule(ctx, id, mark)
		if err != nil || mine {
			return nil, err // mine: it was written, and only the answer was lost
		}
		value, write, err := decide(ctx, there)
		if err != nil || !write {
			return nil, err
		}
		record := c.registryRecord(c.names.Schedules(), id, value)
		record.Headers = append(record.Headers, kafka.Header{Key: writeMark, Value: mark})
		return []*kafka.Record{record}, nil
	}))
}

// newestSchedule is a schedule as it is, nil for none, and whether a record of it
// has the mark.
func (c *Client) newestSchedule(ctx context.Context, id string, mark []byte) (there *Schedule, marked bool, err error) {
	err = c.whole(ctx, c.names.Schedules(), func(r *kafka.Record) error {
		if string(r.Key) != id {
			return nil
		}
		there = nil
		if s, err := avro.DecodeSchedule(r.Value); err == nil && s.ScheduleID == id {
			there = &s
		}
		for _, h := range r.Headers {
			marked = marked || h.Key == writeMark && bytes.Equal(h.Value, mark)
		}
		return nil
	})
	return there, marked, err
}

// DeleteSchedule ends a schedule. The instances that it started go on. Errors
// are those of [Client.PauseSchedule].
func (c *Client) DeleteSchedule(ctx context.Context, id string) error {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	if _, err := c.Schedule(ctx, id); err != nil {
		return err
	}
	return c.writeSchedule(ctx, id, func(_ context.Context, there *Schedule) ([]byte, bool, error) {
		if there == nil {
			return nil, false, newError(ErrNoSchedule, nil, "there is no schedule %q", id)
		}
		return nil, true, nil
	})
}
