package main

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
)

// hostile moves a cursor, sets a title, and turns the order of reading around.
const hostile = "a\x1b[31m\x1b]0;t\x07\u009b5m\u202eb\x7f"

// TestStrangersDoNotMoveTheCursor puts such a text everywhere in an instance and
// its history, and shows them in every format.
func TestStrangersDoNotMoveTheCursor(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	failure := &events.Error{Code: "X", Message: hostile}
	s := &client.Instance{
		WorkflowType: "order", Key: hostile, State: events.WorkflowFailed, Error: failure, UpdatedAt: now, CreatedAt: now,
		Chart:    events.Chart{Active: []string{hostile}, Data: map[string]events.ContextValue{"d": events.String(hostile)}},
		Incident: &events.Incident{Code: "X", Message: hostile, At: now}, Paused: &events.Pause{At: now, By: hostile, Reason: hostile},
	}
	s.Chart.Tasks = []events.TaskStatus{{Invocation: "i", Name: hostile, Error: failure, State: events.TaskRunning}}
	e := &events.Event{EventType: "x", Timestamp: now, Data: map[string]events.ContextValue{"d": events.String(hostile)}}
	for _, format := range []string{"table", "json", "jsonl", "yaml"} {
		var out, errs bytes.Buffer
		p := &printer{format: format, out: &out, err: &errs}
		a := &app{print: p}
		show := func(err error) {
			if err != nil {
				t.Errorf("%s: %v", format, err)
			}
		}
		show(a.showInstance(s))
		show(list(p, []*client.Instance{s}, instanceRows))
		show(list(p, []*client.Instance{s}, incidentRows))
		show(list(p, []openTask{openTaskOf(s, &s.Chart.Tasks[0])}, taskRows))
		show(list(p, []events.AuditEvent{{Action: "pause", Actor: hostile, Timestamp: now}}, auditRows))
		show(p.value(e, func(w io.Writer) { historyLine(w, e) }))
		p.say("%s", hostile)
		p.problem(problem.New(problem.Usage, hostile, hostile, hostile))
		text := out.String() + errs.String()
		if shown := events.ShowLines(text); shown != text {
			t.Errorf("%s: the terminal gets more than text:\n%s", format, shown)
		}
		if !strings.Contains(text, `[31m`) {
			t.Errorf("%s: what was written is not shown:\n%s", format, text)
		}
	}
}

func TestEscapesKeepTheValue(t *testing.T) {
	for format, read := range map[string]func([]byte, any) error{"json": json.Unmarshal, "yaml": yaml.Unmarshal} {
		var out bytes.Buffer
		p := &printer{format: format, out: &out}
		if err := p.value(map[string]string{"k": hostile}, nil); err != nil {
			t.Fatal(err)
		}
		var back map[string]string
		if err := read(out.Bytes(), &back); err != nil || back["k"] != hostile {
			t.Errorf("%s: %v, %q from %s", format, err, back["k"], &out)
		}
	}
}
