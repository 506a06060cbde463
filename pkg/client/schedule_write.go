package client

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/schedule"
	"github.com/leat-io/leat/pkg/events"
)

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
