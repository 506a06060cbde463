package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/leat-io/leat/pkg/events"
)

// showInstance prints where one instance stands.
func (a *app) showInstance(s *events.Snapshot) error {
	return a.print.value(s, func(w io.Writer) {
		failure := ""
		if s.Error != nil {
			failure = s.Error.Code + ": " + s.Error.Message
		}
		pairs := []string{
			"type", s.WorkflowType, "key", s.Key, "instance", s.InstanceID.String(), "parent", parentText(s.Parent),
			"state", strings.Join(s.Chart.Active, ", "), "workflow", string(s.State), "error", failure,
			"version", strconv.Itoa(int(s.Version)), "sequence", strconv.FormatInt(s.SequenceNumber, 10),
			"created", when(s.CreatedAt), "updated", when(s.UpdatedAt), "finished", when(s.FinishedAt),
			"incident", incident(s), "paused", pausedSince(s), "held", held(s), "what to do", whatToDo(s),
			"input", clip(string(s.Chart.Input), 200), "output", clip(string(s.Output), 200),
		}
		for _, name := range slices.Sorted(maps.Keys(s.Chart.Data)) {
			pairs = append(pairs, "data."+name, plain(s.Chart.Data[name]))
		}
		for _, t := range s.Chart.Tasks {
			pairs = append(pairs, "task "+t.Invocation, fmt.Sprintf("%s, %s, attempt %d%s", t.Name, t.State, t.Attempt, because(t.Error)))
			if t.Child != nil {
				pairs = append(pairs, "child "+t.Invocation, t.Child.WorkflowType+" "+t.Child.InstanceID.String())
			}
		}
		for _, t := range s.Chart.Timers {
			pairs = append(pairs, "timer "+t.Ref, fmt.Sprintf("%s, due %s", t.Kind, when(t.Due)))
		}
		fields(w, pairs...)
	})
}

func parentText(p *events.Parent) string {
	if p == nil {
		return ""
	}
	return p.WorkflowType + " " + p.InstanceID.String()
}

func because(e *events.Error) string {
	if e == nil {
		return ""
	}
	return ": " + e.Code + " " + e.Message
}

func instanceRows(items []*events.Snapshot) rows {
	r := rows{header: []string{"type", "key", "state", "workflow", "seq", "updated", "instance"}, right: []int{5}}
	for _, s := range items {
		r.lines = append(r.lines, []string{
			s.WorkflowType, clip(s.Key, 40), strings.Join(s.Chart.Active, ","), string(s.State),
			strconv.FormatInt(s.SequenceNumber, 10), when(s.UpdatedAt), s.InstanceID.String(),
		})
	}
	return r
}

// eventDetail is what one line of a history tells beside the event's type.
func eventDetail(e *events.Event) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(e.Data)) {
		if name == "task_id" {
			continue // long, and in every other format
		}
		parts = append(parts, name+"="+plain(e.Data[name]))
	}
	if v, ok := e.Metadata[events.MetadataDomainEvent]; ok {
		parts = append(parts, "event="+plain(v))
	}
	if len(e.Payload) > 0 {
		parts = append(parts, clip(string(e.Payload), 80))
	}
	return strings.Join(parts, " ")
}

// cause is how a history shows causation: the sequence of the event behind it
// when that is of the same instance, else the beginning of its id.
func cause(e *events.Event) string {
	if e.CausationID.IsNil() {
		return "-"
	}
	for n := e.SequenceNumber - 1; n > 0 && n > e.SequenceNumber-1000; n-- {
		if events.EventID(e.WorkflowType, e.InstanceID, n) == e.CausationID {
			return strconv.FormatInt(n, 10)
		}
	}
	return e.CausationID.String()[:8]
}

const historyFormat = "%5s  %-12s  %-24s  %6s  %s\n"

func historyHeader(w io.Writer) {
	_, _ = fmt.Fprintf(w, historyFormat, "SEQ", "TIME", "EVENT", "CAUSE", "DETAIL")
}

// historyLine is one event for people; the lines come as the events do, so
// their widths are fixed.
func historyLine(w io.Writer, e *events.Event) {
	line := fmt.Sprintf(historyFormat, strconv.FormatInt(e.SequenceNumber, 10), e.Timestamp.Local().Format("15:04:05.000"), e.EventType, cause(e), eventDetail(e))
	_, _ = io.WriteString(w, events.Show(strings.TrimRight(line, " \n"))+"\n")
}

// plain is a value without its kind.
func plain(v events.ContextValue) string {
	if v.Kind() == events.KindString {
		return clip(v.Str(), 80)
	}
	text, err := v.MarshalJSON()
	if err != nil {
		return "?"
	}
	return clip(string(text), 80)
}

// when is a time for people: the day only when it is not today.
func when(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	t = t.Local()
	if now := time.Now(); t.Year() == now.Year() && t.YearDay() == now.YearDay() {
		return t.Format("15:04:05")
	}
	return t.Format("2006-01-02 15:04:05")
}

// clip shortens for a table; the other formats have the whole.
func clip(s string, most int) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}
