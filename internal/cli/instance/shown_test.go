package instance

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/leat-io/leat/internal/cli/output"
	"github.com/leat-io/leat/internal/cli/session"
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
		var out bytes.Buffer
		p := &output.Printer{Format: format, Out: &out}
		a := &app{&session.Session{Print: p}}
		show := func(err error) {
			if err != nil {
				t.Errorf("%s: %v", format, err)
			}
		}
		show(a.showInstance(s))
		show(output.List(p, []*client.Instance{s}, instanceRows))
		show(output.List(p, []*client.Instance{s}, incidentRows))
		show(output.List(p, []events.AuditEvent{{Action: "pause", Actor: hostile, Timestamp: now}}, auditRows))
		show(p.Value(e, func(w io.Writer) { historyLine(w, e) }))
		text := out.String()
		if shown := events.ShowLines(text); shown != text {
			t.Errorf("%s: the terminal gets more than text:\n%s", format, shown)
		}
		if !strings.Contains(text, `[31m`) {
			t.Errorf("%s: what was written is not shown:\n%s", format, text)
		}
	}
}
