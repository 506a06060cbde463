// Package schedule says when the instances of a schedule begin and what becomes
// of a run while others are running. It is pure: records and times come in, what
// is to be done comes out. The router does it; clients show it.
package schedule

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // zones by name, also where the system has none

	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/topics"
)

// Schedule is a schedule that is ready to say when. It is not changed by use.
type Schedule struct {
	events.ScheduleRecord
	zone     *time.Location
	crons    []cronTime
	interval *interval
}

// Compile reads a record. The error names the field that cannot be used.
func Compile(record events.ScheduleRecord) (*Schedule, error) {
	if err := record.Validate(); err != nil {
		return nil, err
	}
	s := &Schedule{ScheduleRecord: record, zone: time.UTC}
	if err := s.readTimes(); err != nil {
		return nil, err
	}
	return s, s.checkKey()
}

func (s *Schedule) readTimes() (err error) {
	if s.TimeZone != "" {
		// "Local" would be another zone on another machine.
		if s.zone, err = time.LoadLocation(s.TimeZone); err != nil || s.TimeZone == "Local" {
			return fmt.Errorf("time_zone: %q is not a time zone; use an IANA name such as Europe/Berlin", s.TimeZone)
		}
	}
	for _, text := range s.Cron {
		c, err := parseCron(text)
		if err != nil {
			return fmt.Errorf("cron: %w", err)
		}
		s.crons = append(s.crons, c)
	}
	if s.Every > 0 {
		s.interval = &interval{s.Every, s.Offset}
	}
	if _, some := s.next(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)); !some {
		return errors.New("cron: there is no such day in any year")
	}
	return nil
}

// checkKey: instances are watched in the schedule's own partition, which a key
// of one's own does not lead to.
func (s *Schedule) checkKey() error {
	switch {
	case s.Key == "":
		return nil
	case s.Overlap != events.OverlapAllowAll:
		return fmt.Errorf("key: needs overlap %s: the other policies watch the instances, whose keys the schedule makes then", events.OverlapAllowAll)
	case !strings.Contains(s.Key, "{due}") && !strings.Contains(s.Key, "{date}"):
		return fmt.Errorf("key: %q has neither {due} nor {date}, so that every run would be the same instance", s.Key)
	}
	return nil
}

// Zone is where the schedule's cron entries are read.
func (s *Schedule) Zone() *time.Location { return s.zone }

// next is the first scheduled time after an instant, of all entries together.
func (s *Schedule) next(after time.Time) (due time.Time, some bool) {
	for _, c := range s.crons {
		if at, ok := c.next(after, s.zone); ok && (!some || at.Before(due)) {
			due, some = at, true
		}
	}
	if s.interval != nil {
		if at := s.interval.next(after); !some || at.Before(due) {
			due, some = at, true
		}
	}
	return due, some
}

// Next is the first scheduled time after an instant within the life of the schedule,
// paused or not; some is false when there is none.
func (s *Schedule) Next(after time.Time) (due time.Time, some bool) {
	if !s.StartAt.IsZero() && after.Before(s.StartAt) {
		after = s.StartAt.Add(-1)
	}
	due, some = s.next(after)
	if some && !s.EndAt.IsZero() && due.After(s.EndAt) {
		return time.Time{}, false
	}
	return due, some
}

// FireAt is when a run fires: jitter moves it, always by the same amount, and never
// as far as the next scheduled time.
func (s *Schedule) FireAt(due time.Time) time.Time {
	if s.Jitter == 0 {
		return due
	}
	span := s.Jitter
	if next, some := s.next(due); some {
		span = min(span, next.Sub(due))
	}
	h := events.DeriveUUID(events.ScheduleInstanceID(s.ScheduleID), "jitter/"+stamp(due))
	return due.Add(time.Duration(binary.BigEndian.Uint64(h[:8]) % uint64(span))).Truncate(time.Microsecond) //nolint:gosec // a span is positive
}

// Home is the partition, among n of its workflow type, in which the schedule is driven.
func (s *Schedule) Home(n int32) int32 {
	return topics.Partition([]byte(events.ScheduleInstanceID(s.ScheduleID).String()), n)
}

// Watched says whether the instances live in the schedule's partition, where
// their end is seen.
func (s *Schedule) Watched() bool { return s.Key == "" }

// KeyFor is the business key of the instance of a scheduled run, among n
// partitions. A key that the schedule makes leads into its own partition: it
// gets a number when it would not by itself.
func (s *Schedule) KeyFor(due time.Time, n int32) string {
	if s.Key != "" {
		return s.expand(due).Replace(s.Key)
	}
	base, home := s.ScheduleID+"/"+stamp(due), s.Home(n)
	key := base
	for i := 1; topics.Partition([]byte(events.InstanceIDForKey(s.WorkflowType, key).String()), n) != home; i++ {
		key = base + "." + strconv.Itoa(i)
	}
	return key
}

// Start is the command that starts the instance of a run. The same run gives the
// same command, however often it is asked for.
func (s *Schedule) Start(due time.Time, n int32) events.Command {
	c := events.Command{
		CommandID: events.DeriveUUID(events.ScheduleInstanceID(s.ScheduleID), "start/"+stamp(due)),
		Command:   events.CommandStart, WorkflowType: s.WorkflowType, Version: s.Version, Key: s.KeyFor(due, n),
		Timestamp: due, Source: "schedule/" + s.ScheduleID,
	}
	if s.Input != nil {
		c.Payload = json.RawMessage(s.expand(due).Replace(string(s.Input)))
	}
	c.Resolve(c.CommandID)
	return c
}

// expand replaces what may stand in a key or in the texts of an input. Braces
// with these words in them stand nowhere else in JSON.
func (s *Schedule) expand(due time.Time) *strings.Replacer {
	return strings.NewReplacer("{schedule}", s.ScheduleID, "{due}", stamp(due), "{date}", due.In(s.zone).Format(time.DateOnly))
}

func stamp(due time.Time) string { return due.UTC().Format(time.RFC3339Nano) }
