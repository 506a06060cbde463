package schedule

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/leat-io/leat/internal/cli/output"
	"github.com/leat-io/leat/internal/cli/session"
	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/internal/schedule"
	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
)

// view is a schedule with its next runs.
type view struct {
	document
	Since     time.Time                `json:"since"`
	UpdatedAt time.Time                `json:"updated_at"`
	UpdatedBy string                   `json:"updated_by,omitempty"`
	Next      []fire                   `json:"next"`
	Progress  *events.ScheduleProgress `json:"progress,omitempty"`
	zone      *time.Location
}

// fire is one scheduled run.
type fire struct {
	Due     time.Time `json:"due"`
	FiresAt time.Time `json:"fires_at"` // later by the jitter
}

func viewOf(s *client.Schedule, now time.Time, n int) view {
	v := view{
		document: document{
			Schedule: s.ScheduleID, Type: s.WorkflowType, Version: s.Version, Cron: s.Cron, Every: duration(s.Every), Offset: duration(s.Offset),
			TimeZone: s.TimeZone, Jitter: duration(s.Jitter), StartAt: instantText(s.StartAt), EndAt: instantText(s.EndAt),
			Overlap: string(s.Overlap), Catchup: duration(s.Catchup), Paused: s.Paused, Note: s.Note, Key: documentKey(s.Key), Input: documentInput(s.Input),
		},
		Since: s.Since, UpdatedAt: s.UpdatedAt, UpdatedBy: s.UpdatedBy, Next: []fire{}, zone: time.UTC,
	}
	if compiled, err := schedule.Compile(*s); err == nil {
		v.zone = compiled.Zone()
		v.Next = nextFires(compiled, now, n)
	}
	return v
}

// nextFires lists the runs that are scheduled after an instant. A pause does not
// change them: they are those that the schedule would have.
func nextFires(s *schedule.Schedule, after time.Time, n int) []fire {
	list := []fire{}
	for len(list) < n {
		due, some := s.Next(after)
		if !some {
			break
		}
		list = append(list, fire{due, s.FireAt(due)})
		after = due
	}
	return list
}

func duration(d time.Duration) string {
	if d == 0 {
		return ""
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

func instantText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// times says when the schedule starts workflows, in one line.
func (v *view) times() string {
	list := append([]string{}, v.Cron...)
	if v.Every != "" {
		list = append(list, "every "+v.Every)
	}
	text := strings.Join(list, "; ")
	if v.TimeZone != "" {
		text += " " + v.TimeZone
	}
	return text
}

func (v *view) state() string {
	if v.Paused {
		return "paused"
	}
	return "active"
}

// next is the next scheduled time in the schedule's zone, "" while it is paused.
func (v *view) next() string {
	if v.Paused || len(v.Next) == 0 {
		return ""
	}
	return inZone(v.Next[0].Due, v.zone)
}

func inZone(t time.Time, zone *time.Location) string {
	return t.In(zone).Format("Mon 2006-01-02 15:04:05 MST")
}

func (a *app) listCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List schedules", Args: cobra.NoArgs,
		Example: "  leat schedule list\n  leat schedule list -o jsonl | jq .next[0].due",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.With(cmd.Context(), session.Kafka, false, func(ctx context.Context, c *client.Client) error {
				all, err := c.Schedules(ctx)
				if err != nil {
					return err
				}
				var views []view
				for i := range all {
					views = append(views, viewOf(&all[i], time.Now(), 1))
				}
				if err := output.List(a.Print, views, viewRows); err != nil {
					return err
				}
				if len(views) == 0 && a.Print.Format == "table" {
					a.Print.Say("no schedules; leat schedule create ID --type TYPE --cron '0 3 * * *' creates one")
				}
				return nil
			})
		},
	}
}

func viewRows(views []view) output.Rows {
	r := output.Rows{Header: []string{"schedule", "type", "times", "overlap", "state", "next"}}
	for i := range views {
		v := &views[i]
		r.Lines = append(r.Lines, []string{v.Schedule, v.Type, output.Clip(v.times(), 50), v.Overlap, v.state(), v.next()})
	}
	return r
}

func (a *app) getCommand() *cobra.Command {
	return &cobra.Command{
		Use: "get ID", Short: "Show a schedule and its progress", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeSchedule,
		Example: "  leat schedule get nightly\n  leat schedule get nightly -o json | jq .progress.recent",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.With(cmd.Context(), session.Kafka, false, func(ctx context.Context, c *client.Client) error {
				s, err := c.Schedule(ctx, args[0])
				if err != nil {
					return err
				}
				p, err := c.ScheduleProgress(ctx, s)
				if err != nil {
					return err
				}
				v := viewOf(&s, time.Now(), 5)
				if p.ScheduleID != "" {
					v.Progress = &p
				}
				return a.Print.Value(v, v.show)
			})
		},
	}
}

// show is a schedule for people.
func (v *view) show(w io.Writer) {
	version := ""
	if v.Version > 0 {
		version = strconv.Itoa(int(v.Version))
	}
	pairs := []string{
		"schedule", v.Schedule, "type", v.Type, "version", version, "times", v.times(), "offset", v.Offset, "jitter", v.Jitter,
		"start", v.StartAt, "end", v.EndAt, "overlap", v.Overlap, "catchup", v.Catchup, "state", v.state(), "note", v.Note,
		"input", output.Clip(string(v.Input), 200), "key", string(v.Key), "since", instantText(v.Since), "updated", output.When(v.UpdatedAt), "by", v.UpdatedBy,
	}
	if p := v.Progress; p != nil {
		waiting := ""
		if n := len(p.Buffered); n > 0 {
			waiting = fmt.Sprintf("%d, the first scheduled for %s", n, inZone(p.Buffered[0].Due, v.zone))
		}
		pairs = append(pairs, "started", strconv.FormatInt(p.Started, 10), "skipped", strconv.FormatInt(p.Skipped, 10), "missed", strconv.FormatInt(p.Missed, 10),
			"refused", strconv.FormatInt(p.Refused, 10), "waiting", waiting, "error", strings.TrimPrefix(output.Because(p.Error), ": "))
		for _, run := range p.Running {
			pairs = append(pairs, "running", run.InstanceID.String()+"  scheduled for "+inZone(run.Due, v.zone))
		}
		for _, run := range p.Recent {
			pairs = append(pairs, "recent", run.InstanceID.String()+"  scheduled for "+inZone(run.Due, v.zone))
		}
	}
	for _, f := range v.Next {
		if !v.Paused {
			pairs = append(pairs, "next", inZone(f.Due, v.zone))
		}
	}
	output.Fields(w, pairs...)
}

func (a *app) nextCommand() *cobra.Command {
	var f documentFlags
	var n int
	var after string
	cmd := &cobra.Command{
		Use: "next [ID]", Short: "Show the next runs of a schedule", Args: cobra.MaximumNArgs(1), ValidArgsFunction: a.completeSchedule,
		Long: "Show the next runs of a schedule: one that exists, or one that the flags describe. FIRES is later than DUE, the scheduled\n" +
			"time, by the jitter. When the clocks go forward, a run at a time that is skipped fires at the jump; when they go back, a\n" +
			"run at a time that occurs twice fires the first time. Entries whose hour is * follow every hour of the zone.",
		Example: "  leat schedule next nightly -n 10\n" +
			"  leat schedule next --cron '30 2 * * *' --tz Europe/Berlin --after 2026-03-28 -n 3\n" +
			"  leat schedule next --every 90m --jitter 5m -o json",
		RunE: func(cmd *cobra.Command, args []string) error {
			if n < 1 || n > 10_000 {
				return problem.New(problem.Usage, fmt.Sprintf("-n %d is not between 1 and 10000", n), "", "")
			}
			if len(args) == 0 {
				f.file.Type = "none"
				s, err := f.record(a, "none")
				if err != nil {
					return err
				}
				now := events.Instant(time.Now())
				s.Since, s.CreatedAt, s.UpdatedAt = now, now, now
				return a.showNext(&s, n, after)
			}
			return a.With(cmd.Context(), session.Kafka, false, func(ctx context.Context, c *client.Client) error {
				s, err := c.Schedule(ctx, args[0])
				if err != nil {
					return err
				}
				return a.showNext(&s, n, after)
			})
		},
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().IntVarP(&n, "number", "n", 5, "how many")
	cmd.Flags().StringVar(&after, "after", "", "begin after this time (default: now)")
	f.timeFlags(cmd)
	return cmd
}

func (a *app) showNext(s *client.Schedule, n int, after string) error {
	compiled, err := schedule.Compile(*s)
	if err != nil {
		return problem.New(problem.ScheduleInvalid, "this cannot be a schedule", err.Error(), "")
	}
	from := time.Now()
	if after != "" {
		if from, err = instantFlag("--after", after, s.TimeZone); err != nil {
			return err
		}
	}
	fires := nextFires(compiled, from, n)
	if err := output.List(a.Print, fires, func(fires []fire) output.Rows {
		r := output.Rows{Header: []string{"due", "utc", "fires"}}
		for _, f := range fires {
			late := "at once"
			if f.FiresAt.After(f.Due) {
				late = "+" + f.FiresAt.Sub(f.Due).Round(time.Millisecond).String()
			}
			r.Lines = append(r.Lines, []string{inZone(f.Due, compiled.Zone()), f.Due.UTC().Format(time.DateTime), late})
		}
		return r
	}); err != nil {
		return err
	}
	if s.Paused && a.Print.Format == "table" {
		a.Print.Say("the schedule is paused: these runs will not start; leat schedule resume %s resumes it", s.ScheduleID)
	}
	return nil
}
