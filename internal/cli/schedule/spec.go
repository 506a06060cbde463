package schedule

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/leat-io/leat/internal/cli/input"
	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
)

// document is a schedule as a file has it, and what the output formats show
// of one.
type document struct {
	Schedule string        `json:"schedule" yaml:"schedule"`
	Type     string        `json:"type" yaml:"type"`
	Version  int32         `json:"version,omitempty" yaml:"version"`
	Cron     []string      `json:"cron,omitempty" yaml:"cron"`
	Every    string        `json:"every,omitempty" yaml:"every"`
	Offset   string        `json:"offset,omitempty" yaml:"offset"`
	TimeZone string        `json:"time_zone,omitempty" yaml:"time_zone"`
	Jitter   string        `json:"jitter,omitempty" yaml:"jitter"`
	StartAt  string        `json:"start_at,omitempty" yaml:"start_at"`
	EndAt    string        `json:"end_at,omitempty" yaml:"end_at"`
	Overlap  string        `json:"overlap,omitempty" yaml:"overlap"`
	Catchup  string        `json:"catchup,omitempty" yaml:"catchup"`
	Paused   bool          `json:"paused,omitempty" yaml:"paused"`
	Note     string        `json:"note,omitempty" yaml:"note"`
	Input    documentInput `json:"input,omitempty" yaml:"input"`
	Key      documentKey   `json:"key,omitempty" yaml:"key"`
}

// record reads the texts. name is how a field is called in an error message.
func (f *document) record(name func(field string) string) (client.Schedule, error) {
	s := client.Schedule{
		ScheduleID: f.Schedule, WorkflowType: f.Type, Version: f.Version, Cron: f.Cron, TimeZone: f.TimeZone,
		Overlap: events.OverlapPolicy(f.Overlap), Paused: f.Paused, Note: f.Note, Key: string(f.Key), Input: json.RawMessage(f.Input),
	}
	if s.Overlap == "" {
		s.Overlap = events.OverlapSkip
	}
	if !slices.Contains(events.OverlapPolicies(), s.Overlap) {
		return s, unknownOverlap(name("overlap"), f.Overlap)
	}
	for _, d := range []struct {
		field, text string
		into        *time.Duration
	}{{"every", f.Every, &s.Every}, {"offset", f.Offset, &s.Offset}, {"jitter", f.Jitter, &s.Jitter}, {"catchup", f.Catchup, &s.Catchup}} {
		if d.text == "" {
			continue
		}
		value, err := time.ParseDuration(d.text)
		if err != nil || value%time.Millisecond != 0 {
			return s, problem.New(problem.ScheduleInvalid, fmt.Sprintf("%s %q is not a duration", name(d.field), d.text), "", "write a duration such as 90s, 15m or 24h")
		}
		*d.into = value
	}
	var err error
	if f.StartAt != "" {
		if s.StartAt, err = instantFlag(name("start_at"), f.StartAt, f.TimeZone); err != nil {
			return s, err
		}
	}
	if f.EndAt != "" {
		if s.EndAt, err = instantFlag(name("end_at"), f.EndAt, f.TimeZone); err != nil {
			return s, err
		}
	}
	return s, nil
}

func unknownOverlap(field, asked string) error {
	var known []string
	for _, p := range events.OverlapPolicies() {
		known = append(known, string(p))
	}
	p := problem.New(problem.ScheduleInvalid, fmt.Sprintf("%s %q is not an overlap policy", field, asked), fmt.Sprintf("the policies are %v", known), "")
	if near := problem.Suggest(asked, known); near != "" {
		p.Fix = "did you mean " + near + "?"
	}
	return p
}

// instantFlag reads an instant. One without an offset is of the zone.
func instantFlag(name, text, zone string) (time.Time, error) {
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at.UTC(), nil
	}
	where, err := time.LoadLocation(zone)
	if err != nil {
		return time.Time{}, problem.New(problem.ScheduleInvalid, fmt.Sprintf("%q is not a time zone", zone), err.Error(), "use an IANA name such as Europe/Berlin")
	}
	for _, layout := range []string{time.DateOnly, "2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02 15:04", time.DateTime} {
		if at, err := time.ParseInLocation(layout, text, where); err == nil {
			return at.UTC(), nil
		}
	}
	return time.Time{}, problem.New(problem.ScheduleInvalid, fmt.Sprintf("%s %q is not a time", name, text), "", "use 2026-11-24, 2026-11-24T09:30 or 2026-11-24T09:30:00Z")
}

// readSchedules reads a file of schedules, one a document.
func (a *app) readSchedules(path string) ([]client.Schedule, error) {
	src, err := input.Text(a.In, path)
	if err != nil {
		return nil, err
	}
	const most = 4 << 20
	if len(src) > most {
		return nil, problem.New(problem.ScheduleInvalid, path+" is too large", fmt.Sprintf("a file of schedules has at most %d bytes", most), "")
	}
	decoder := yaml.NewDecoder(bytes.NewReader(src))
	decoder.KnownFields(true)
	var all []client.Schedule
	for n := 1; ; n++ {
		var f document
		switch err := decoder.Decode(&f); {
		case errors.Is(err, io.EOF) && n > 1:
			return all, nil
		case err != nil:
			return nil, problem.New(problem.ScheduleInvalid, path+" is not a schedule", err.Error(), "leat schedule create --help names the fields")
		}
		s, err := f.record(func(field string) string { return fmt.Sprintf("%s, schedule %q: %s", path, f.Schedule, field) })
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
}

// documentFlags is a schedule on the command line.
type documentFlags struct {
	file  document
	input string
}

func (f *documentFlags) flags(a *app, cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.file.Type, "type", "", "workflow type to start")
	f.timeFlags(cmd)
	overlapFlag(cmd, &f.file.Overlap, "skip", "skip, buffer_one, buffer_all, cancel_other, terminate_other or allow_all")
	flags.StringVar(&f.file.Catchup, "catchup", "", "a run that could not fire for longer than this is missed (default: a year)")
	flags.StringVar(&f.input, "input", "", "start payload: JSON, @file, or - for standard input")
	flags.StringVar((*string)(&f.file.Key), "key", "", "business key of the workflows; needs {due} or {date}, and --overlap allow_all (default: ID/{due})")
	flags.Int32Var(&f.file.Version, "version", 0, "version of the definition (default: the newest at the time)")
	flags.BoolVar(&f.file.Paused, "paused", false, "create it paused")
	flags.StringVar(&f.file.Note, "note", "", "a note for people")
	_ = cmd.RegisterFlagCompletionFunc("type", a.CompleteType)
}

// timeFlags are those that say when.
func (f *documentFlags) timeFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringArrayVar(&f.file.Cron, "cron", nil, "five fields: minute, hour, day of month, month, day of week; may be repeated")
	flags.StringVar(&f.file.Every, "every", "", "an interval, such as 10m, counted from 1970")
	flags.StringVar(&f.file.Offset, "offset", "", "shift of --every")
	flags.StringVar(&f.file.TimeZone, "tz", "", "time zone of --cron, such as Europe/Berlin (default: UTC)")
	flags.StringVar(&f.file.Jitter, "jitter", "", "spread the starts over this long after each scheduled time")
	flags.StringVar(&f.file.StartAt, "start", "", "no run before this time")
	flags.StringVar(&f.file.EndAt, "end", "", "no run after this time")
}

func (f *documentFlags) record(a *app, id string) (client.Schedule, error) {
	f.file.Schedule = id
	payload, err := input.JSON(a.In, "input", f.input)
	if err != nil {
		return client.Schedule{}, err
	}
	s, err := f.file.record(func(field string) string {
		return "--" + strings.TrimSuffix(field, "_at")
	})
	s.Input = payload
	return s, err
}

func overlapFlag(cmd *cobra.Command, into *string, value, usage string) {
	cmd.Flags().StringVar(into, "overlap", value, usage)
	var known []string
	for _, p := range events.OverlapPolicies() {
		known = append(known, string(p))
	}
	_ = cmd.RegisterFlagCompletionFunc("overlap", cobra.FixedCompletions(known, cobra.ShellCompDirectiveNoFileComp))
}
