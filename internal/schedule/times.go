package schedule

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// cronTime is one cron entry: bits of the values that match. The library reads
// the text; the arithmetic is ours, because the library leaves a run out in the
// hour that a zone skips and does it twice in the hour that comes twice.
type cronTime struct {
	*cron.SpecSchedule
	// everyHour says that the hour is not named ("*", "*/2"): runs follow the
	// clock on the wall through every hour there is. Otherwise a run is at a named
	// time of the day, and each day has it once.
	everyHour bool
}

var cronParser = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)

func parseCron(text string) (cronTime, error) {
	fields := strings.Fields(text)
	switch {
	case len(fields) == 0:
		return cronTime{}, errors.New("is empty")
	case strings.Contains(text, "="):
		return cronTime{}, fmt.Errorf("%q names a time zone; say it apart, in time_zone", text)
	case fields[0] == "@every":
		return cronTime{}, fmt.Errorf("%q is an interval; say it apart, in every", text)
	}
	parsed, err := cronParser.Parse(text)
	if err != nil {
		return cronTime{}, fmt.Errorf("%q: %w; five fields are wanted: minute, hour, day of month, month, day of week", text, err)
	}
	spec, ok := parsed.(*cron.SpecSchedule)
	if !ok {
		return cronTime{}, fmt.Errorf("%q is not a cron entry", text)
	}
	hour := "0"
	if len(fields) > 1 {
		hour = fields[1]
	}
	return cronTime{spec, strings.HasPrefix(hour, "*") || fields[0] == "@hourly"}, nil
}

// farthest is how far ahead a run is looked for: the 29th of February of a year
// that a century leaves out is eight years away.
const farthest = 9 * 366 * 24 * time.Hour

// next is the first scheduled time after an instant. It walks over the stretches in which
// the zone keeps one offset; within one, the clock on the wall is arithmetic.
func (c cronTime) next(after time.Time, zone *time.Location) (time.Time, bool) {
	limit := after.Add(farthest)
	for at := after.Add(1).In(zone); at.Before(limit); {
		start, end := at.ZoneBounds()
		_, seconds := at.Zone()
		offset := time.Duration(seconds) * time.Second
		from := wall(at, offset)
		if !start.IsZero() && !c.everyHour {
			_, seconds := start.Add(-1).In(zone).Zone()
			told := wall(start, time.Duration(seconds)*time.Second) // what the clock showed when it was set
			if after.Before(start) {
				if _, skipped := c.match(told, wall(start, offset)); skipped {
					return start.UTC(), true // at a time that the clock jumped over: when it jumped
				}
			}
			if from.Before(told) {
				from = told // the clock was set back: these times were there already
			}
		}
		until := wall(limit, offset)
		if !end.IsZero() {
			until = wall(end, offset)
		}
		if due, found := c.match(from, until); found {
			return due.Add(-offset), true
		}
		if end.IsZero() {
			break
		}
		at = end.In(zone)
	}
	return time.Time{}, false
}

// wall is what a clock at an offset shows, as the fields of a UTC time.
func wall(at time.Time, offset time.Duration) time.Time { return at.UTC().Add(offset) }

// match is the first whole minute on the wall in [from, until) that matches.
func (c cronTime) match(from, until time.Time) (time.Time, bool) {
	t := from.Truncate(time.Minute)
	if t.Before(from) {
		t = t.Add(time.Minute)
	}
	for t.Before(until) {
		switch {
		case !has(c.Month, int(t.Month())):
			t = time.Date(t.Year(), t.Month()+1, 1, 0, 0, 0, 0, time.UTC)
		case !c.day(t):
			t = time.Date(t.Year(), t.Month(), t.Day()+1, 0, 0, 0, 0, time.UTC)
		case !has(c.Hour, t.Hour()):
			t = t.Truncate(time.Hour).Add(time.Hour)
		case !has(c.Minute, t.Minute()):
			t = t.Add(time.Minute)
		default:
			return t, true
		}
	}
	return time.Time{}, false
}

// star is the bit by which the library marks a field that is "*".
const star = 63

// day: when both fields name days, either of them is enough, as cron has it.
func (c cronTime) day(t time.Time) bool {
	month, week := has(c.Dom, t.Day()), has(c.Dow, int(t.Weekday()))
	if has(c.Dom, star) || has(c.Dow, star) {
		return month && week
	}
	return month || week
}

func has(bits uint64, n int) bool { return bits&(1<<uint(n)) != 0 }

// interval is a run every so often, counted from 1970 and an offset.
type interval struct{ every, offset time.Duration }

func (i interval) next(after time.Time) time.Time {
	every := i.every.Milliseconds()
	since := after.UnixMilli() - i.offset.Milliseconds()
	n := since / every
	if since%every < 0 {
		n-- // towards the past, not towards 1970
	}
	return time.UnixMilli((n+1)*every + i.offset.Milliseconds()).UTC()
}
