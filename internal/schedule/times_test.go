package schedule

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/leat-io/leat/pkg/events"
)

// base is a record that compiles; what a test is about is set on top of it.
func base(change func(*events.ScheduleRecord)) events.ScheduleRecord {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	r := events.ScheduleRecord{
		ScheduleID: "s", WorkflowType: "report", Overlap: events.OverlapSkip, Since: at, CreatedAt: at, UpdatedAt: at,
	}
	change(&r)
	return r
}

func must(t rapid.TB, r events.ScheduleRecord) *Schedule {
	t.Helper()
	s, err := Compile(r)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func instant(t rapid.TB, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestNext(t *testing.T) {
	for _, c := range []struct {
		name, cron, zone, after string
		want                    string // dues in the zone, separated by spaces
	}{
		{"daily", "0 3 * * *", "", "2026-11-24T03:00:00Z", "2026-11-25T03:00:00Z 2026-11-26T03:00:00Z"},
		{"an instant before", "0 3 * * *", "", "2026-11-24T02:59:59Z", "2026-11-24T03:00:00Z"},
		{"by name", "0 9 * JAN-mar MON-FRI", "", "2026-01-02T09:00:00Z", "2026-01-05T09:00:00Z"},
		{"either kind of day", "0 0 13 * 5", "", "2026-11-01T00:00:00Z", "2026-11-06T00:00:00Z 2026-11-13T00:00:00Z 2026-11-20T00:00:00Z"},
		{"sunday is 0", "0 0 * * 0", "", "2026-11-24T00:00:00Z", "2026-11-29T00:00:00Z"},
		{"leap day", "0 0 29 2 *", "", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z 2032-02-29T00:00:00Z"},
		{"over a century without one", "0 0 29 2 *", "", "2096-03-01T00:00:00Z", "2104-02-29T00:00:00Z"},
		{"@monthly", "@monthly", "", "2026-11-24T00:00:00Z", "2026-12-01T00:00:00Z 2027-01-01T00:00:00Z"},
		{"a zone of half an hour", "30 9 * * *", "Asia/Kolkata", "2026-11-24T00:00:00Z", "2026-11-24T09:30:00+05:30"},

		// The clock jumps from 02:00 to 03:00: what was named in between is due at the jump.
		{"skipped hour", "30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T03:00:00+02:00 2026-03-30T02:30:00+02:00"},
		{"skipped hour, twice in it", "10,40 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T03:00:00+02:00 2026-03-30T02:10:00+02:00"},
		{"skipped hour and the one after", "0 2,3 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T03:00:00+02:00 2026-03-30T02:00:00+02:00"},
		{"skipped hour, every hour", "30 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", "2026-03-29T01:30:00+01:00 2026-03-29T03:30:00+02:00"},
		{"skipped hour, every half hour", "*/30 * * * *", "Europe/Berlin", "2026-03-29T00:30:00Z", "2026-03-29T03:00:00+02:00 2026-03-29T03:30:00+02:00"},
		// The clock is set back from 03:00 to 02:00: what is named is due the first time.
		{"doubled hour", "30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T02:30:00+02:00 2026-10-26T02:30:00+01:00"},
		{"doubled hour, asked in the second", "30 2 * * *", "Europe/Berlin", "2026-10-25T01:10:00Z", "2026-10-26T02:30:00+01:00"},
		{"doubled hour, its end", "0 3 * * *", "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-25T03:00:00+01:00"},
		{"doubled hour, every hour", "30 * * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", "2026-10-25T02:30:00+02:00 2026-10-25T02:30:00+01:00 2026-10-25T03:30:00+01:00"},
		{"midnight is skipped", "0 0 * * *", "America/Santiago", "2026-09-05T12:00:00Z", "2026-09-06T01:00:00-03:00 2026-09-07T00:00:00-03:00"},
		{"half an hour is skipped", "15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", "2026-10-04T02:30:00+11:00"},
		{"a whole day is skipped", "0 12 * * *", "Pacific/Apia", "2011-12-29T23:00:00Z", "2011-12-31T00:00:00+14:00 2011-12-31T12:00:00+14:00"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := must(t, base(func(r *events.ScheduleRecord) { r.Cron, r.TimeZone = []string{c.cron}, c.zone }))
			at := instant(t, c.after)
			var got []string
			for range strings.FieldsSeq(c.want) {
				due, some := s.Next(at)
				if !some {
					t.Fatalf("no due after %v", at)
				}
				got = append(got, due.In(s.Zone()).Format(time.RFC3339))
				at = due
			}
			if want := strings.Fields(c.want); !slices.Equal(got, want) {
				t.Errorf("after %s come\n%v, want\n%v", c.after, got, want)
			}
		})
	}
}

func TestInterval(t *testing.T) {
	s := must(t, base(func(r *events.ScheduleRecord) {
		r.Every, r.Offset = 90*time.Minute, 5*time.Minute
		r.Cron = []string{"0 12 * * *"}
		r.StartAt, r.EndAt = instant(t, "2026-01-01T09:00:00Z"), instant(t, "2026-01-01T12:05:00Z")
	}))
	var got []string
	for at, some := s.Next(time.Time{}); some; at, some = s.Next(at) {
		got = append(got, at.Format("15:04"))
	}
	if want := []string{"09:05", "10:35", "12:00", "12:05"}; !slices.Equal(got, want) {
		t.Errorf("dues %v, want %v", got, want)
	}
	before1970 := interval{every: time.Hour, offset: time.Minute}.next(instant(t, "1969-12-31T22:30:00Z"))
	if want := instant(t, "1969-12-31T23:01:00Z"); !before1970.Equal(want) {
		t.Errorf("before 1970: %v, want %v", before1970, want)
	}
}

func TestWhatCannotBeASchedule(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*events.ScheduleRecord)
		says   string
	}{
		{"no times", func(*events.ScheduleRecord) {}, "one of them must say when"},
		{"six fields", func(r *events.ScheduleRecord) { r.Cron = []string{"0 0 3 * * *"} }, "five fields"},
		{"minute 60", func(r *events.ScheduleRecord) { r.Cron = []string{"60 3 * * *"} }, "60"},
		{"a zone within", func(r *events.ScheduleRecord) { r.Cron = []string{"TZ=0"} }, "time_zone"},
		{"an interval within", func(r *events.ScheduleRecord) { r.Cron = []string{"@every 5m"} }, "every"},
		{"blank", func(r *events.ScheduleRecord) { r.Cron = []string{" "} }, "empty"},
		{"no such day", func(r *events.ScheduleRecord) { r.Cron = []string{"0 0 30 2 *"} }, "no such day"},
		{"no such zone", func(r *events.ScheduleRecord) { r.Cron, r.TimeZone = []string{"0 3 * * *"}, "Europe/Berlim" }, "Europe/Berlim"},
		{"the machine's zone", func(r *events.ScheduleRecord) { r.Cron, r.TimeZone = []string{"0 3 * * *"}, "Local" }, "IANA"},
		{"too often", func(r *events.ScheduleRecord) { r.Every = 10 * time.Millisecond }, "at least 1s"},
		{"an id with a slash", func(r *events.ScheduleRecord) { r.ScheduleID, r.Every = "a/b", time.Hour }, "schedule_id"},
		{"a type that is a topic", func(r *events.ScheduleRecord) { r.WorkflowType, r.Every = "schedules", time.Hour }, "reserved"},
		{"key and skip", func(r *events.ScheduleRecord) { r.Every, r.Key = time.Hour, "r-{date}" }, "allow_all"},
		{"one key for all", func(r *events.ScheduleRecord) {
			r.Every, r.Key, r.Overlap = time.Hour, "report", events.OverlapAllowAll
		}, "{due}"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := Compile(base(c.change)); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("says %v, want something with %q", err, c.says)
			}
		})
	}
}

// cronText draws entries that meet each other and the edges of zones often.
func cronText(t *rapid.T) string {
	minute := rapid.SampledFrom([]string{"*", "*/15", "0", "30", "5,35", "59", "0-20/7"}).Draw(t, "minute")
	hour := rapid.SampledFrom([]string{"*", "*/2", "0", "1", "2", "3", "1-3", "23"}).Draw(t, "hour")
	day := rapid.SampledFrom([]string{"*", "1", "25-31", "*/2"}).Draw(t, "day")
	month := rapid.SampledFrom([]string{"*", "3,4,10,11", "9"}).Draw(t, "month")
	week := rapid.SampledFrom([]string{"*", "0", "6-7", "1-5"}).Draw(t, "week")
	if strings.Contains(week, "7") {
		week = "6"
	}
	return strings.Join([]string{minute, hour, day, month, week}, " ")
}

var edges = []struct{ zone, at string }{
	{"Europe/Berlin", "2026-03-29T01:00:00Z"},
	{"Europe/Berlin", "2026-10-25T01:00:00Z"},
	{"America/New_York", "2026-03-08T07:00:00Z"},
	{"America/New_York", "2026-11-01T06:00:00Z"},
	{"Australia/Lord_Howe", "2026-04-04T15:00:00Z"},
	{"America/Santiago", "2026-04-05T03:00:00Z"},
	{"Pacific/Apia", "2011-12-30T10:00:00Z"},
	{"UTC", "2026-03-29T01:00:00Z"},
	{"Asia/Kathmandu", "1985-12-31T18:30:00Z"},
}

// The arithmetic agrees with looking at the clock every minute.
func TestNextAgreesWithTheClock(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		edge := rapid.SampledFrom(edges).Draw(t, "edge")
		text := cronText(t)
		s := must(t, base(func(r *events.ScheduleRecord) { r.Cron, r.TimeZone = []string{text}, edge.zone }))
		from := instant(t, edge.at).Add(-time.Duration(rapid.IntRange(0, 40*60).Draw(t, "minutes")) * time.Minute)
		to := from.Add(80 * time.Hour)
		var got []time.Time
		for at, some := s.Next(from); some && !at.After(to); at, some = s.Next(at) {
			got = append(got, at)
		}
		if want := watched(s, from, to); !slices.EqualFunc(got, want, time.Time.Equal) {
			t.Fatalf("%s in %s after %v:\n%v, want\n%v", text, edge.zone, from, got, want)
		}
	})
}

// watched is what a person who looks at the clock every minute would do: when it
// shows a time that matches, it is due, unless it showed that time before; when
// it jumps over times that match, it is due at the jump.
func watched(s *Schedule, from, to time.Time) []time.Time {
	c := s.crons[0]
	var due []time.Time
	highest := wallOf(s, from.Add(-30*time.Hour))
	for at := from.Add(-30 * time.Hour); !at.After(to); at = at.Add(time.Minute) {
		shown := wallOf(s, at)
		hit := false
		switch {
		case c.everyHour:
			_, hit = c.match(shown, shown.Add(1))
		case shown.After(highest): // a jump is more than a minute
			_, hit = c.match(highest.Add(time.Minute), shown.Add(1))
		}
		if shown.After(highest) {
			highest = shown
		}
		if hit && at.After(from) {
			due = append(due, at)
		}
	}
	return due
}

func wallOf(s *Schedule, at time.Time) time.Time {
	_, seconds := at.In(s.zone).Zone()
	return wall(at, time.Duration(seconds)*time.Second)
}

func FuzzCron(f *testing.F) {
	for _, seed := range []string{"0 3 * * *", "@daily", "TZ=0", "CRON_TZ= * * * * *", "*/0 * * * *", "1-0 * * * *", "? ? ? ? ?", "@every 1ns", "0 0 31 2,4 *", "99999999999999999999 * * * *", "0-59/1 0 * * L"} {
		f.Add(seed, int64(1_790_000_000))
	}
	f.Fuzz(func(t *testing.T, text string, unix int64) {
		s, err := Compile(base(func(r *events.ScheduleRecord) { r.Cron, r.TimeZone = []string{text}, "Europe/Berlin" }))
		if err != nil {
			return
		}
		at := time.Unix(unix%(1<<33), 0)
		if due, some := s.Next(at); some && !due.After(at) {
			t.Errorf("%q: the due after %v is %v", text, at, due)
		}
	})
}
