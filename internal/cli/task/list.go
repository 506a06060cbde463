package task

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/leat-io/leat/internal/cli/output"
	"github.com/leat-io/leat/internal/cli/session"
	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
)

// openTask is a task with the instance that it is of.
type openTask struct {
	Type       string      `json:"type"`
	Key        string      `json:"key,omitempty"`
	InstanceID events.UUID `json:"instance_id"`
	Assignee   string      `json:"assignee,omitempty"`
	waits      string      // what it waits for, for people
	*events.TaskStatus
}

func openTaskOf(s *client.Instance, t *events.TaskStatus) openTask {
	o := openTask{Type: s.WorkflowType, Key: s.Key, InstanceID: s.InstanceID, TaskStatus: t, waits: output.Waits(t, s.Chart.Tasks)}
	var asked struct {
		Assignee string `json:"assignee"`
	}
	if t.Name == "human.task" && json.Unmarshal(t.Input, &asked) == nil {
		o.Assignee = asked.Assignee
	}
	return o
}

func (a *app) listCommand() *cobra.Command {
	var workflowType, state, assignee string
	var limit int
	cmd := &cobra.Command{
		Use: "list", Short: "List open tasks", Args: cobra.NoArgs,
		Long: "List open tasks, those too whose attempt is put down, and the questions that it asks: `leat task complete`\n" +
			"answers a question, `leat task fail` refuses it. In -o json, `resume_at` is when an attempt goes on, `continuation`\n" +
			"what it goes on with, and `asked_by` the task_id of the task that asks a question.",
		Example: "  leat task list --state waiting_for_input\n  leat task list --assignee ann -o jsonl\n  leat task list --type order --state retrying",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if state != "" && !contains(taskStates(), state) {
				return problem.New(problem.Usage, fmt.Sprintf("--state %q is not a task state", state), fmt.Sprintf("the states are %v", taskStates()), "did you mean "+problem.Suggest(state, taskStates())+"?")
			}
			return a.With(cmd.Context(), session.Reader, false, func(ctx context.Context, c *client.Client) error {
				found, err := openTasks(ctx, c, workflowType, limit, func(t *openTask) bool {
					return (state == "" || string(t.State) == state) && (assignee == "" || t.Assignee == assignee)
				})
				if err != nil {
					return err
				}
				return output.List(a.Print, found, taskRows)
			})
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&workflowType, "type", "", "workflow type (default: all)")
	flags.StringVar(&state, "state", "", "task state: waiting_for_input, scheduled, running, retrying, blocked, …")
	flags.StringVar(&assignee, "assignee", "", "only tasks of this person or group")
	flags.IntVar(&limit, "limit", 100, "how many at most; 0 for all")
	_ = cmd.RegisterFlagCompletionFunc("type", a.CompleteType)
	_ = cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(taskStates(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func taskStates() []string { return output.Texts(events.TaskStates()) }

func contains(list []string, s string) bool {
	return slices.Contains(list, s)
}

// openTasks reads the tasks of running instances, newest instance first.
func openTasks(ctx context.Context, c *client.Client, workflowType string, limit int, wanted func(*openTask) bool) ([]openTask, error) {
	found := []openTask{}
	r := client.ListRequest{Type: workflowType, WorkflowState: events.WorkflowRunning, Limit: 1000}
	for {
		page, err := c.List(ctx, r)
		if err != nil {
			return nil, err
		}
		for i := range page.Items {
			s := &page.Items[i]
			for j := range s.Chart.Tasks {
				t := openTaskOf(s, &s.Chart.Tasks[j])
				if t.State.Finished() || !wanted(&t) {
					continue
				}
				if found = append(found, t); limit > 0 && len(found) == limit {
					return found, nil
				}
			}
		}
		if r.Cursor = page.NextCursor; r.Cursor == "" {
			return found, nil
		}
	}
}

func taskRows(items []openTask) output.Rows {
	r := output.Rows{Header: []string{"type", "key", "task", "name", "state", "attempt", "assignee", "by", "since", "waits for", "error", "instance"}, Right: []int{6}}
	for i := range items {
		t := &items[i]
		r.Lines = append(r.Lines, []string{
			t.Type, output.Clip(t.Key, 40), t.Invocation, t.Name, string(t.State), strconv.Itoa(int(t.Attempt)), t.Assignee, t.NodeID,
			output.When(t.ScheduledAt), t.waits, output.Clip(output.Because(t.Error), 60), t.InstanceID.String(),
		})
	}
	return r
}
