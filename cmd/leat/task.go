package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

func (a *app) taskCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "task", Short: "Tasks: what waits for people, and for executors",
		Long: "Tasks that are asked for and have not ended. What a person has to do waits as waiting_for_input until somebody\n" +
			"completes it; what an executor does can be looked at.",
		Example: "  leat task list --assignee ann\n  leat task complete leave l-1 approve --result '{\"ok\": true}' --as ann",
		Args:    cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.taskListCommand(),
		a.taskEndCommand("claim", "Take a task, so that nobody else can end it",
			"  leat task claim leave l-1 approve --as ann"),
		a.taskEndCommand("complete", "Say that a task is done",
			"  leat task complete leave l-1 approve --result '{\"ok\": true}' --as ann\n  leat task complete leave l-1 approve --result @form.json --as ann"),
		a.taskEndCommand("fail", "Say that a task cannot be done",
			"  leat task fail leave l-1 approve --code NO_COVER --message 'nobody can stand in' --as ann"))
	return cmd
}

// openTask is a task with the instance that it is of.
type openTask struct {
	Type       string      `json:"type"`
	Key        string      `json:"key,omitempty"`
	InstanceID events.UUID `json:"instance_id"`
	Assignee   string      `json:"assignee,omitempty"`
	*events.TaskStatus
}

func openTaskOf(s *client.Instance, t *events.TaskStatus) openTask {
	o := openTask{Type: s.WorkflowType, Key: s.Key, InstanceID: s.InstanceID, TaskStatus: t}
	var asked struct {
		Assignee string `json:"assignee"`
	}
	if t.Name == "human.task" && json.Unmarshal(t.Input, &asked) == nil {
		o.Assignee = asked.Assignee
	}
	return o
}

func (a *app) taskListCommand() *cobra.Command {
	var workflowType, state, assignee string
	var limit int
	cmd := &cobra.Command{
		Use: "list", Short: "List open tasks", Args: cobra.NoArgs,
		Example: "  leat task list --state waiting_for_input\n  leat task list --assignee ann -o jsonl\n  leat task list --type order --state retrying",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if state != "" && !contains(taskStates(), state) {
				return problem.New(problem.Usage, fmt.Sprintf("--state %q is no task state", state), fmt.Sprintf("there are: %v", taskStates()), "did you mean "+problem.Suggest(state, taskStates())+"?")
			}
			return a.with(cmd.Context(), needsReader, false, func(ctx context.Context, c *client.Client) error {
				found, err := openTasks(ctx, c, workflowType, limit, func(t *openTask) bool {
					return (state == "" || string(t.State) == state) && (assignee == "" || t.Assignee == assignee)
				})
				if err != nil {
					return err
				}
				return list(a.print, found, taskRows)
			})
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&workflowType, "type", "", "workflow type (default: all)")
	flags.StringVar(&state, "state", "", "task state: waiting_for_input, scheduled, running, retrying, blocked, …")
	flags.StringVar(&assignee, "assignee", "", "only what waits for this person or group")
	flags.IntVar(&limit, "limit", 100, "how many at most; 0 for all")
	_ = cmd.RegisterFlagCompletionFunc("type", a.completeType)
	_ = cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(taskStates(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func taskStates() []string {
	var names []string
	for _, s := range events.TaskStates() {
		names = append(names, string(s))
	}
	return names
}

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

func taskRows(items []openTask) rows {
	r := rows{header: []string{"type", "key", "task", "name", "state", "attempt", "assignee", "by", "since", "error", "instance"}, right: []int{6}}
	for i := range items {
		t := &items[i]
		r.lines = append(r.lines, []string{
			t.Type, clip(t.Key, 40), t.Invocation, t.Name, string(t.State), strconv.Itoa(int(t.Attempt)), t.Assignee, t.NodeID,
			when(t.ScheduledAt), clip(because(t.Error), 60), t.InstanceID.String(),
		})
	}
	return r
}

func (a *app) taskEndCommand(what, short, example string) *cobra.Command {
	var r client.TaskRequest
	var result, code, message string
	var again bool
	cmd := &cobra.Command{
		Use: what + " TYPE KEY|ID TASK", Short: short, Example: example, Args: cobra.ExactArgs(3), ValidArgsFunction: a.completeInstance,
		Long: short + ". TASK is the id of the invocation in the definition, or the id of the task.\n" +
			"Only one end of a task is accepted; whoever comes later is told so, with exit code 4.",
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if r.By == "" {
				return problem.New(problem.Usage, "--as is missing", "it has to be known who says so", "leat task "+what+" "+args[0]+" "+args[1]+" "+args[2]+" --as NAME")
			}
			r.Claim = what == "claim"
			switch what {
			case "complete":
				if r.Result, err = a.jsonArgument("result", result); err != nil {
					return err
				}
			case "fail":
				if r.Error = (&events.Error{Code: code, Message: message, Retryable: again}); code == "" {
					return problem.New(problem.Usage, "--code is missing", "the definition decides by it what follows", "--code NOT_POSSIBLE")
				}
			}
			return a.with(cmd.Context(), needsKafka, false, func(ctx context.Context, c *client.Client) error {
				return a.endTask(ctx, c, r, args[0], args[1], args[2])
			})
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&r.By, "as", "", "who says so (required)")
	switch what {
	case "complete":
		flags.StringVar(&result, "result", "", "what was done: JSON, @file, or - for standard input")
	case "fail":
		flags.StringVar(&code, "code", "", "why, as a code such as NO_COVER (required)")
		flags.StringVar(&message, "message", "", "why, for people")
		flags.BoolVar(&again, "retryable", false, "another attempt may succeed")
	}
	return cmd
}

// endTask says what became of a task, and shows where its instance stands then.
func (a *app) endTask(ctx context.Context, c *client.Client, r client.TaskRequest, workflowType, name, task string) error {
	s, err := c.Get(ctx, workflowType, name, client.GetOptions{})
	if err != nil {
		return err
	}
	r.Type, r.InstanceID = workflowType, s.InstanceID
	for i := range s.Chart.Tasks {
		if t := &s.Chart.Tasks[i]; (t.Invocation == task || t.TaskID.String() == task) && (r.Attempt == 0 || !t.State.Finished()) {
			r.TaskID, r.Attempt = t.TaskID, max(1, t.Attempt)
		}
	}
	if r.Attempt == 0 {
		return taskGone(fmt.Sprintf("%s %s is %s and has no open task %q", workflowType, name, fullState(&s), task))
	}
	d, err := c.Do(ctx, r)
	if err != nil {
		return err
	}
	if o := d.Outcome; o != nil && o.Error != nil && len(d.Events) == 0 {
		switch o.Error.Code {
		case fsm.StaleAttempt, fsm.UnknownTask, fsm.Finished:
			return taskGone(o.Error.Message)
		case fsm.WrongToken:
			return problem.New(problem.CommandConflict, "The task is not one for people",
				"an executor of its queue works on it, and only that one can end it", "leat task list shows what waits for a person")
		}
		a.print.say("%s", outcomeText(o))
	}
	if s, err = c.Get(ctx, workflowType, events.Ref{ID: s.InstanceID}.String(), client.GetOptions{MinSequence: d.Sequence()}); err != nil {
		return err
	}
	return a.print.value(&s, func(w io.Writer) {
		_, _ = fmt.Fprintf(w, "%s of %s %s is told; it is %s\n", task, workflowType, name, fullState(&s))
	})
}

func taskGone(why string) error {
	return problem.New(problem.CommandConflict, "The task is not open any more", why, "leat task list shows what is open")
}
