package instance

import (
	"context"
	"fmt"
	"strconv"

	"github.com/leat-io/leat/internal/cli/output"
	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
)

// incident says where a workflow failed, "" for no incident.
func incident(s *events.Snapshot) string {
	i := s.Incident
	switch {
	case i == nil:
		return ""
	case i.File == "":
		return i.Code + ": " + i.Message
	default:
		return fmt.Sprintf("%s:%d:%d: %s: %s", i.File, i.Line, i.Column, i.Code, i.Message)
	}
}

func pausedSince(s *events.Snapshot) string {
	p := s.Paused
	if p == nil {
		return ""
	}
	text := "since " + output.When(p.At)
	if p.By != "" {
		text += " by " + p.By
	}
	if p.Reason != "" {
		text += ": " + p.Reason
	}
	return text
}

// held counts what waits for a workflow to go on.
func held(s *events.Snapshot) string {
	if len(s.Held) == 0 {
		return ""
	}
	return strconv.Itoa(len(s.Held)) + " signals and results"
}

// whatToDo is the next command for a workflow that waits for an operator.
func whatToDo(s *events.Snapshot) string {
	at := s.WorkflowType + " " + nameOf(s)
	switch {
	case s.State == events.WorkflowPaused:
		return "leat resume " + at
	case s.Incident != nil:
		return "repair the cause, then leat retry " + at + "; --skip drops the input that failed"
	default:
		return ""
	}
}

// listIncidents lists the workflows that wait for an operator.
func (a *app) listIncidents(ctx context.Context, c *client.Client, r client.ListRequest) error {
	limit := r.Limit
	var items []*client.Instance
	for {
		r.Limit = 1000
		page, err := c.List(ctx, r)
		if err != nil {
			return err
		}
		for i := range page.Items {
			if page.Items[i].Incident != nil && (limit == 0 || len(items) < limit) {
				items = append(items, &page.Items[i])
			}
		}
		if r.Cursor = page.NextCursor; r.Cursor == "" || limit > 0 && len(items) >= limit {
			break
		}
	}
	if err := output.List(a.Print, items, incidentRows); err != nil {
		return err
	}
	if a.Print.Format == "table" && len(items) == 0 {
		a.Print.Say("no incidents")
	}
	return nil
}

func incidentRows(items []*events.Snapshot) output.Rows {
	r := output.Rows{Header: []string{"type", "key", "workflow", "since", "incident", "instance"}}
	for _, s := range items {
		r.Lines = append(r.Lines, []string{
			s.WorkflowType, output.Clip(s.Key, 40), string(s.State), output.When(s.Incident.At), output.Clip(incident(s), 120), s.InstanceID.String(),
		})
	}
	return r
}
