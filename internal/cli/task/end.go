package task

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/leat-io/leat/internal/cli/input"
	"github.com/leat-io/leat/internal/cli/instance"
	"github.com/leat-io/leat/internal/cli/session"
	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

func (a *app) endCommand(what, short, example string) *cobra.Command {
	var r client.TaskRequest
	var result, code, message string
	var again bool
	cmd := &cobra.Command{
		Use: what + " TYPE KEY|ID TASK", Short: short, Example: example, Args: cobra.ExactArgs(3), ValidArgsFunction: a.CompleteInstance,
		Long: short + ". TASK is the id of the invocation in the definition, or the id of the task.\n" +
			"A task ends once; a second attempt to end it is refused, with exit code 4.",
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if r.By == "" {
				return problem.New(problem.Usage, "--as is missing", "the history records who did it", "leat task "+what+" "+args[0]+" "+args[1]+" "+args[2]+" --as NAME")
			}
			r.Claim = what == "claim"
			switch what {
			case "complete":
				if r.Result, err = input.JSON(a.In, "result", result); err != nil {
					return err
				}
			case "fail":
				if r.Error = (&events.Error{Code: code, Message: message, Retryable: again}); code == "" {
					return problem.New(problem.Usage, "--code is missing", "the definition chooses by it what follows", "--code NOT_POSSIBLE")
				}
			}
			return a.With(cmd.Context(), session.Kafka, false, func(ctx context.Context, c *client.Client) error {
				return a.endTask(ctx, c, r, args[0], args[1], args[2])
			})
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&r.By, "as", "", "your name, for the history (required)")
	switch what {
	case "complete":
		flags.StringVar(&result, "result", "", "result of the task: JSON, @file, or - for standard input")
	case "fail":
		flags.StringVar(&code, "code", "", "error code, such as NO_COVER (required)")
		flags.StringVar(&message, "message", "", "error message, for people")
		flags.BoolVar(&again, "retryable", false, "another attempt may succeed")
	}
	return cmd
}

// endTask claims or ends a task, and shows the state that its instance is in then.
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
		return taskGone(fmt.Sprintf("%s %s is %s and has no open task %q", workflowType, name, instance.FullState(&s), task))
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
			return problem.New(problem.CommandConflict, "The task is not for people",
				"an executor of its queue works on it, and only that one can end it", "leat task list shows what waits for a person")
		}
		a.Print.Say("%s", instance.OutcomeText(o))
	}
	if s, err = c.Get(ctx, workflowType, events.Ref{ID: s.InstanceID}.String(), client.GetOptions{MinSequence: d.Sequence()}); err != nil {
		return err
	}
	return a.Print.Value(&s, func(w io.Writer) {
		_, _ = fmt.Fprintf(w, "accepted: %s of %s %s, which is now %s\n", task, workflowType, name, instance.FullState(&s))
	})
}

func taskGone(why string) error {
	return problem.New(problem.CommandConflict, "The task is no longer open", why, "leat task list shows what is open")
}
