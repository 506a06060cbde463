package offer

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"github.com/leat-io/leat/internal/mcp/serve"
	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
)

// Where resources are.
const (
	instances  = "leat://instances/"
	historyEnd = "/history"
	nodes      = "leat://nodes"
	// historyPage is how many events one read gives at most.
	historyPage = 500
)

func historyURI(s *client.Instance) string {
	return instances + taskID(s.WorkflowType, s.InstanceID) + historyEnd
}

// Resources is what can be read: the workers, and the histories of what the caller
// started.
func (w *Workflows) Resources() []serve.Resource {
	return []serve.Resource{
		{
			URI: nodes, Name: "nodes", Read: w.nodes,
			Description: "The workers that run workflows and their tasks: what each can do, how much of it is free, when it was heard of.",
		},
		{
			URI: instances + "{type}/{id}" + historyEnd, Template: true, Name: "history", Read: w.history,
			Description: "What happened in a workflow that you started by a tool: its first " + strconv.Itoa(historyPage) + " events.",
		},
		{
			URI: instances + "{type}/{id}" + historyEnd + "/{from}", Template: true, Name: "history-from", Read: w.history,
			Description: "The same, from a sequence number on: `next` of what was read before.",
		},
	}
}

// nodes lists the workers of the cluster, as they say of themselves.
func (w *Workflows) nodes(ctx context.Context, _ serve.Caller, _ string) ([]byte, error) {
	all, err := w.config.Client.Nodes(ctx)
	if err != nil {
		return nil, err
	}
	return json.Marshal(map[string]any{"nodes": all})
}

// page is a part of a history.
type page struct {
	State  events.WorkflowState `json:"workflow_state"`
	Events []events.Event       `json:"events"`
	Next   int64                `json:"next,omitempty"` // absent when there is no more
}

// history reads leat://instances/TYPE/ID/history, and the same with /FROM.
func (w *Workflows) history(ctx context.Context, who serve.Caller, uri string) ([]byte, error) {
	name, rest, ok := strings.Cut(strings.TrimPrefix(uri, instances), historyEnd)
	from := int64(1)
	if ok && rest != "" {
		var err error
		if from, err = strconv.ParseInt(strings.TrimPrefix(rest, "/"), 10, 64); err != nil || from < 1 {
			ok = false
		}
	}
	if !ok {
		return nil, serve.ErrNoResource
	}
	s, err := w.find(ctx, who, name)
	if errors.Is(err, serve.ErrNoTask) {
		return nil, serve.ErrNoResource
	}
	if err != nil {
		return nil, err
	}
	p := page{State: s.State, Events: []events.Event{}}
	read, err := w.config.Client.History(ctx, s.WorkflowType, events.Ref{ID: s.InstanceID}.String(), client.HistoryRequest{From: from, Limit: historyPage})
	if err != nil {
		return nil, err
	}
	p.Events = append(p.Events, read...)
	if n := len(read); n == historyPage && read[n-1].SequenceNumber < s.SequenceNumber {
		p.Next = read[n-1].SequenceNumber + 1
	}
	return json.Marshal(p)
}
