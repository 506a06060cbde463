package leattest

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
)

// Bounds of what a failed test logs.
const (
	mostInstances = 10
	mostEvents    = 50
	mostDetail    = 200 // bytes of an event's data
)

// explain logs what became of the instances.
func (e *Env) explain() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, workflowType := range e.types {
		page, err := e.own.List(ctx, client.ListRequest{Type: workflowType, Limit: mostInstances})
		if err != nil {
			e.t.Logf("leattest: the instances of %s cannot be listed: %v", workflowType, err)
			continue
		}
		for i := range page.Items {
			e.explainOne(ctx, &page.Items[i])
		}
		if page.NextCursor != "" {
			e.t.Logf("leattest: there are more instances of %s", workflowType)
		}
	}
}

func (e *Env) explainOne(ctx context.Context, i *client.Instance) {
	history, err := e.own.History(ctx, i.WorkflowType, "id:"+i.InstanceID.String(), client.HistoryRequest{})
	if err != nil {
		e.t.Logf("leattest: the history of %s %s cannot be read: %v", i.WorkflowType, nameOf(i), err)
		return
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: %s\n", i.WorkflowType, nameOf(i), standing(i))
	if skipped := len(history) - mostEvents; skipped > 0 {
		fmt.Fprintf(&b, "  … %d events before\n", skipped)
		history = history[skipped:]
	}
	for n := range history {
		event := &history[n]
		fmt.Fprintf(&b, "  %4d %14s  %-24s %s\n", event.SequenceNumber, after(event.Timestamp.Sub(i.CreatedAt)), event.EventType, detail(event))
	}
	e.t.Log(strings.TrimRight(b.String(), "\n"))
}

func nameOf(i *client.Instance) string {
	if i.Key != "" {
		return events.Show(i.Key)
	}
	return i.InstanceID.String()
}

// standing says in a line where an instance is, and what it waits for.
func standing(i *client.Instance) string {
	if i.SequenceNumber == 0 {
		return "there is no such instance"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "it is %s, in state %s", i.State, strings.Join(i.Chart.Active, ", "))
	if i.Error != nil {
		fmt.Fprintf(&b, "; error %s: %s", i.Error.Code, events.Show(i.Error.Message))
	}
	if len(i.Output) > 0 {
		fmt.Fprintf(&b, "; output %s", events.ShowJSON(i.Output))
	}
	if i.State.Finished() {
		return b.String()
	}
	for n := range i.Chart.Tasks {
		if t := &i.Chart.Tasks[n]; !t.State.Finished() {
			fmt.Fprintf(&b, "; task %s is %s (attempt %d)", t.Name, t.State, t.Attempt)
		}
	}
	for n := range i.Chart.Timers {
		t := &i.Chart.Timers[n]
		fmt.Fprintf(&b, "; timer %s of %s is due %s after the start", t.Kind, t.Ref, after(t.Due.Sub(i.CreatedAt)))
	}
	return b.String()
}

// after is a duration in days where that is more readable.
func after(d time.Duration) string {
	const day = 24 * time.Hour
	if d < 2*day {
		return d.String()
	}
	return fmt.Sprintf("%dd%s", d/day, d%day)
}

// detail is what an event says besides its kind.
func detail(event *events.Event) string {
	var parts []string
	if len(event.Data) > 0 {
		if text, err := json.Marshal(event.Data); err == nil {
			parts = append(parts, string(text))
		}
	}
	if len(event.Payload) > 0 {
		parts = append(parts, string(event.Payload))
	}
	return events.Show(events.Cut(strings.Join(parts, " "), mostDetail))
}
