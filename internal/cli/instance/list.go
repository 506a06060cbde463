package instance

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/leat-io/leat/internal/cli/output"
	"github.com/leat-io/leat/internal/cli/session"
	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
)

func (a *app) listCommand() *cobra.Command {
	var r client.ListRequest
	var workflow string
	var incidents bool
	cmd := &cobra.Command{
		Use: "list", Short: "List workflows, newest first", Args: cobra.NoArgs,
		Example: "  leat list\n  leat list --type order --state charging\n  leat list --type order --workflow-state failed --limit 0 -o jsonl\n" +
			"  leat list --type order --where 'amount > 100' --where 'sku ^= A'   # names that the definition declares under search",
		RunE: func(cmd *cobra.Command, _ []string) error {
			r.WorkflowState = events.WorkflowState(workflow)
			if workflow != "" && !slices.Contains(events.WorkflowStates(), r.WorkflowState) {
				return unknownState(workflow)
			}
			return a.With(cmd.Context(), session.Reader, false, func(ctx context.Context, c *client.Client) error {
				if incidents {
					return a.listIncidents(ctx, c, r)
				}
				return a.listAll(ctx, c, r)
			})
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&r.Type, "type", "", "workflow type (default: all)")
	flags.StringVar(&r.State, "state", "", "active state of the definition")
	flags.StringVar(&workflow, "workflow-state", "", "workflow state: running, completed, failed, …")
	flags.StringArrayVar(&r.Where, "where", nil, whereHelp)
	flags.BoolVar(&incidents, "incidents", false, "only workflows with an incident: where each failed")
	flags.IntVar(&r.Limit, "limit", 100, "how many at most; 0 for all")
	_ = cmd.RegisterFlagCompletionFunc("type", a.CompleteType)
	_ = cmd.RegisterFlagCompletionFunc("workflow-state", cobra.FixedCompletions(workflowStates(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

const whereHelp = "condition on searchable data: NAME, one of = < <= > >= ^= (begins with), value; may be repeated"

func workflowStates() []string { return output.Texts(events.WorkflowStates()) }

func unknownState(asked string) error {
	p := problem.New(problem.Usage, fmt.Sprintf("--workflow-state %q is not a workflow state", asked), fmt.Sprintf("the states are %v", events.WorkflowStates()), "--state takes the states of the definition")
	if near := problem.Suggest(asked, workflowStates()); near != "" {
		p.Fix = "did you mean " + near + "?"
	}
	return p
}

// listAll reads page after page up to the limit.
func (a *app) listAll(ctx context.Context, c *client.Client, r client.ListRequest) error {
	limit := r.Limit
	var items []*client.Instance
	for {
		r.Limit = 1000
		if limit > 0 {
			r.Limit = min(limit-len(items), 1000)
		}
		page, err := c.List(ctx, r)
		if err != nil {
			return err
		}
		for i := range page.Items {
			items = append(items, &page.Items[i])
		}
		r.Cursor = page.NextCursor
		if r.Cursor == "" || limit > 0 && len(items) >= limit {
			break
		}
	}
	if err := output.List(a.Print, items, instanceRows); err != nil {
		return err
	}
	switch {
	case a.Print.Format != "table":
	case len(items) == 0:
		a.Print.Say("no workflows; leat start TYPE --key KEY starts one")
	case r.Cursor != "":
		a.Print.Say("these are the newest %d; --limit 0 shows all", len(items))
	}
	return nil
}
