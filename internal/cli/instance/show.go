package instance

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/leat-io/leat/internal/cli/output"
	"github.com/leat-io/leat/pkg/events"
)

// showInstance prints the state of one instance.
func (a *app) showInstance(s *events.Snapshot) error {
	return a.Print.Value(s, func(w io.Writer) {
		failure := ""
		if s.Error != nil {
			failure = s.Error.Code + ": " + s.Error.Message
		}
		pairs := []string{
			"type", s.WorkflowType, "key", s.Key, "instance", s.InstanceID.String(), "parent", parentText(s.Parent),
			"state", strings.Join(s.Chart.Active, ", "), "workflow", string(s.State), "error", failure,
			"version", strconv.Itoa(int(s.Version)), "sequence", strconv.FormatInt(s.SequenceNumber, 10),
			"created", output.When(s.CreatedAt), "updated", output.When(s.UpdatedAt), "finished", output.When(s.FinishedAt),
			"incident", incident(s), "paused", pausedSince(s), "held", held(s), "what to do", whatToDo(s),
			"input", output.Clip(string(s.Chart.Input), 200), "output", output.Clip(string(s.Output), 200),
		}
		for _, name := range slices.Sorted(maps.Keys(s.Chart.Data)) {
			pairs = append(pairs, "data."+name, output.Plain(s.Chart.Data[name]))
		}
		for _, t := range s.Chart.Tasks {
			pairs = append(pairs, "task "+t.Invocation, fmt.Sprintf("%s, %s, attempt %d%s", t.Name, t.State, t.Attempt, output.Because(t.Error)))
			if waits := output.Waits(&t, s.Chart.Tasks); waits != "" {
				pairs = append(pairs, "", waits)
			}
			if t.Child != nil {
				pairs = append(pairs, "child "+t.Invocation, t.Child.WorkflowType+" "+t.Child.InstanceID.String())
			}
		}
		for _, t := range s.Chart.Timers {
			pairs = append(pairs, "timer "+t.Ref, fmt.Sprintf("%s, due %s", t.Kind, output.When(t.Due)))
		}
		output.Fields(w, pairs...)
	})
}

func parentText(p *events.Parent) string {
	if p == nil {
		return ""
	}
	return p.WorkflowType + " " + p.InstanceID.String()
}

func instanceRows(items []*events.Snapshot) output.Rows {
	r := output.Rows{Header: []string{"type", "key", "state", "workflow", "seq", "updated", "instance"}, Right: []int{5}}
	for _, s := range items {
		r.Lines = append(r.Lines, []string{
			s.WorkflowType, output.Clip(s.Key, 40), strings.Join(s.Chart.Active, ","), string(s.State),
			strconv.FormatInt(s.SequenceNumber, 10), output.When(s.UpdatedAt), s.InstanceID.String(),
		})
	}
	return r
}
