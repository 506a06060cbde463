package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/leat-io/leat/internal/cli/output"
	"github.com/leat-io/leat/internal/cli/session"
	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
)

// execution is a call as it is shown.
type execution struct {
	ID          events.UUID     `json:"execution_id"`
	Type        string          `json:"workflow_type"`
	Key         string          `json:"key,omitempty"`
	Task        *events.UUID    `json:"task_id,omitempty"`
	Tool        string          `json:"tool_name"`
	Subsystem   string          `json:"subsystem_id,omitempty"` // that took the call, or that was asked for
	Parameters  jsonText        `json:"parameters,omitempty"`
	Status      string          `json:"execution_status"` // pending, running, completed, failed, timeout, cancelled or retrying
	StartedAt   time.Time       `json:"started_at"`
	CompletedAt time.Time       `json:"completed_at,omitzero"`
	DurationMS  int64           `json:"duration_ms,omitempty"`
	Result      json.RawMessage `json:"result,omitempty"`
	Error       *events.Error   `json:"error,omitempty"`
	Retries     int32           `json:"retry_count"`
	By          string          `json:"node_id,omitempty"`
}

// taskName is that of every call.
const taskName = "mcp.call"

// executionsOf are the calls of an instance, as far as its snapshot has them.
func executionsOf(s *client.Instance) (all []execution) {
	for i := range s.Chart.Tasks {
		t := &s.Chart.Tasks[i]
		if t.Name != taskName {
			continue
		}
		id := t.TaskID
		e := execution{
			ID: s.InstanceID, Type: s.WorkflowType, Key: s.Key, Task: &id, Status: taskStatus(t.State), StartedAt: firstTime(t.StartedAt, t.ScheduledAt, s.CreatedAt),
			Result: t.Result, Error: t.Error, Retries: max(t.Attempt-1, 0), By: t.NodeID,
		}
		e.describe(t.Input)
		all = append(all, e)
	}
	if len(all) > 0 && s.WorkflowType == callType {
		all[0].finish(s)
		return all[:1]
	}
	if s.WorkflowType != callType {
		return all
	}
	e := execution{ID: s.InstanceID, Type: s.WorkflowType, Key: s.Key, Status: instanceStatus(s.State), StartedAt: s.CreatedAt}
	e.describe(s.Chart.Input)
	e.finish(s)
	return []execution{e}
}

// describe takes over what was asked for.
func (e *execution) describe(text json.RawMessage) {
	var r request
	if json.Unmarshal(text, &r) == nil {
		e.Tool, e.Subsystem, e.Parameters = r.Tool, r.Subsystem, jsonText(r.Arguments)
	}
}

// finish takes over how the call ended, from the workflow that is nothing else.
func (e *execution) finish(s *client.Instance) {
	if !s.State.Finished() {
		return
	}
	e.Status, e.CompletedAt, e.DurationMS = instanceStatus(s.State), s.FinishedAt, s.FinishedAt.Sub(s.CreatedAt).Milliseconds()
	if s.State != events.WorkflowCompleted {
		failure := failureOf(s)
		e.Error, e.Result = &failure, nil
		return
	}
	e.Result = s.Output
	var took struct {
		Subsystem string `json:"subsystem"`
	}
	if json.Unmarshal(s.Output, &took) == nil && took.Subsystem != "" {
		e.Subsystem = took.Subsystem
	}
}

// instanceStatus is the status of a call whose workflow is nothing else.
func instanceStatus(s events.WorkflowState) string {
	switch s {
	case events.WorkflowPending, events.WorkflowInitializing, events.WorkflowPaused, events.WorkflowWaitingForDependency:
		return "pending"
	case events.WorkflowCompleted, events.WorkflowFailed, events.WorkflowTimeout, events.WorkflowCancelled, events.WorkflowRetrying:
		return string(s)
	default:
		return "running"
	}
}

// taskStatus is the status of a call that is a task among others.
func taskStatus(s events.TaskState) string {
	switch s {
	case events.TaskPending, events.TaskScheduled, events.TaskBlocked:
		return "pending"
	case events.TaskCompleted, events.TaskFailed, events.TaskTimeout, events.TaskCancelled, events.TaskRetrying:
		return string(s)
	case events.TaskSkipped:
		return "cancelled"
	default:
		return "running"
	}
}

func (a *app) executionsCommand() *cobra.Command {
	var tool, subsystem, status, of string
	var limit int
	cmd := &cobra.Command{
		Use: "executions [ID...]", Short: "List calls of tools, or show one with its result",
		Long: "List the calls that were made with leat mcp call, newest first, or show those with these ids or keys.\n" +
			"With --of, the calls that workflows of another type make, as far as their snapshots hold them; leat history has all.",
		Example: "  leat mcp executions\n  leat mcp executions --tool read_file --status failed\n  leat mcp executions id:0198c0de-0000-7000-8000-000000000001 -o json\n" +
			"  leat mcp executions --of order",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.With(cmd.Context(), session.Reader, false, func(ctx context.Context, c *client.Client) error {
				instances, err := callsOf(ctx, c, of, args, limit)
				if err != nil {
					return err
				}
				list := []execution{}
				for i := range instances {
					for _, e := range executionsOf(&instances[i]) {
						if tool != "" && e.Tool != tool || subsystem != "" && e.Subsystem != subsystem || status != "" && e.Status != status {
							continue
						}
						list = append(list, e)
					}
				}
				if len(args) == 1 && len(list) == 1 {
					return a.Print.Value(list[0], list[0].people)
				}
				return output.List(a.Print, list, executionRows)
			})
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&tool, "tool", "", "only calls of this tool")
	flags.StringVar(&subsystem, "subsystem", "", "only calls of this subsystem")
	flags.StringVar(&status, "status", "", "only those that are pending, running, completed, failed, timeout, cancelled or retrying")
	flags.StringVar(&of, "of", callType, "workflow type that makes the calls")
	flags.IntVarP(&limit, "limit", "n", 50, "at most so many workflows, newest first")
	_ = cmd.RegisterFlagCompletionFunc("of", a.CompleteType)
	return cmd
}

// callsOf reads the instances that make calls.
func callsOf(ctx context.Context, c *client.Client, workflowType string, names []string, limit int) ([]client.Instance, error) {
	if len(names) == 0 {
		page, err := c.List(ctx, client.ListRequest{Type: workflowType, Limit: limit})
		if workflowType == callType && errors.Is(err, client.ErrUnknownType) {
			return nil, nil // nobody has called anything yet
		}
		return page.Items, err
	}
	var all []client.Instance
	for _, name := range names {
		s, err := c.Get(ctx, workflowType, name, client.GetOptions{})
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

func executionRows(list []execution) output.Rows {
	rows := output.Rows{Header: []string{"execution", "tool", "status", "started", "ms", "error"}, Right: []int{5}}
	for _, e := range list {
		took, why := "", ""
		if !e.CompletedAt.IsZero() {
			took = strconv.FormatInt(e.DurationMS, 10)
		}
		if e.Error != nil {
			why = e.Error.Code + " " + e.Error.Message
		}
		rows.Lines = append(rows.Lines, []string{
			events.NameOf(e.Type, e.Key, e.ID), strings.TrimPrefix(e.Subsystem+"/"+e.Tool, "/"), e.Status, output.When(e.StartedAt), took, output.Clip(why, 60),
		})
	}
	return rows
}

// people shows one call with its result.
func (e *execution) people(w io.Writer) {
	output.Fields(w, "execution", events.NameOf(e.Type, e.Key, e.ID), "tool", strings.TrimPrefix(e.Subsystem+"/"+e.Tool, "/"), "status", e.Status,
		"arguments", string(e.Parameters), "started", output.When(e.StartedAt), "completed", output.When(e.CompletedAt))
	if e.Error != nil {
		output.Fields(w, "error", e.Error.Code+" "+e.Error.Message)
	}
	if e.Result != nil {
		result(w, e.Result)
	}
}

// firstTime is the first that is known.
func firstTime(all ...time.Time) time.Time {
	for _, t := range all {
		if !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}
