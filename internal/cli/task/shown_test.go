package task

import (
	"bytes"
	"testing"

	"github.com/leat-io/leat/internal/cli/output"
	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
)

// What others wrote in a task moves no cursor.
func TestStrangersDoNotMoveTheCursor(t *testing.T) {
	const hostile = "a\x1b[31m\x1b]0;t\x07\u009b5m\u202eb\x7f"
	s := &client.Instance{WorkflowType: "order", Key: hostile}
	task := events.TaskStatus{Invocation: "i", Name: hostile, Error: &events.Error{Code: "X", Message: hostile}, State: events.TaskRunning}
	for _, format := range []string{"table", "json", "jsonl", "yaml"} {
		var out bytes.Buffer
		if err := output.List(&output.Printer{Format: format, Out: &out}, []openTask{openTaskOf(s, &task)}, taskRows); err != nil {
			t.Errorf("%s: %v", format, err)
		}
		if shown := events.ShowLines(out.String()); shown != out.String() {
			t.Errorf("%s: the terminal gets more than text:\n%s", format, shown)
		}
	}
}
