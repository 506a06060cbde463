package output

import (
	"encoding/json"
	"strings"

	"github.com/leat-io/leat/pkg/events"
)

// Waits is what a task waits for that is put down, or what a question asks; "" for
// every other task. all are the tasks of its instance.
func Waits(t *events.TaskStatus, all []events.TaskStatus) string {
	if !t.AskedBy.IsNil() {
		return question(t)
	}
	if t.State == events.TaskScheduled && !t.ResumeAt.IsZero() {
		return "goes on at " + When(t.ResumeAt)
	}
	var open []string
	for i := range all {
		if q := &all[i]; q.AskedBy == t.TaskID && !q.AskedBy.IsNil() && !q.State.Finished() {
			open = append(open, q.Invocation)
		}
	}
	if len(open) == 0 {
		return ""
	}
	return Clip("answers to "+strings.Join(open, ", "), 100)
}

// question is what the task of a question asks a person, and who is to answer.
func question(t *events.TaskStatus) string {
	var asked struct {
		Message  string `json:"message"`
		Assignee string `json:"assignee"`
	}
	if json.Unmarshal(t.Input, &asked) != nil {
		return ""
	}
	if asked.Assignee != "" {
		return Clip("an answer of "+asked.Assignee+": "+asked.Message, 100)
	}
	return Clip("an answer: "+asked.Message, 100)
}
