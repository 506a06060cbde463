package client

import (
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
