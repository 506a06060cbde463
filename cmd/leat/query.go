package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
)

func (a *app) getCommand() *cobra.Command {
	var o client.GetOptions
	cmd := &cobra.Command{
		Use: "get TYPE KEY|ID", Short: "Show where a workflow stands", Args: cobra.ExactArgs(2),
		Example:           "  leat get order order-42\n  leat get order order-42 -o json\n  leat get order order-42 --min-sequence 7   # not before event 7 is in the view",
		ValidArgsFunction: a.completeInstance,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), needsReader, false, func(ctx context.Context, c *client.Client) error {
				s, err := c.Get(ctx, args[0], args[1], o)
				if err != nil {
					return err
				}
				return a.showInstance(&s)
			})
		},
	}
	cmd.Flags().Int64Var(&o.MinSequence, "min-sequence", 0, "wait until the answer reflects this sequence: read your writes")
	return cmd
}

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
			return a.with(cmd.Context(), needsReader, false, func(ctx context.Context, c *client.Client) error {
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
	flags.StringVar(&workflow, "workflow-state", "", "state of life: running, completed, failed, …")
	flags.StringArrayVar(&r.Where, "where", nil, whereHelp)
	flags.BoolVar(&incidents, "incidents", false, "only what waits for a person: where it failed and what to do")
	flags.IntVar(&r.Limit, "limit", 100, "how many at most; 0 for all")
	_ = cmd.RegisterFlagCompletionFunc("type", a.completeType)
	_ = cmd.RegisterFlagCompletionFunc("workflow-state", cobra.FixedCompletions(workflowStates(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

const whereHelp = "condition on searchable data: NAME, one of = < <= > >= ^= (begins with), value; may be repeated"

func workflowStates() []string {
	var names []string
	for _, s := range events.WorkflowStates() {
		names = append(names, string(s))
	}
	return names
}

func unknownState(asked string) error {
	p := problem.New(problem.Usage, fmt.Sprintf("--workflow-state %q is no workflow state", asked), fmt.Sprintf("there are: %v", events.WorkflowStates()), "--state takes the states of the definition")
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
	if err := list(a.print, items, instanceRows); err != nil {
		return err
	}
	switch {
	case a.print.format != "table":
	case len(items) == 0:
		a.print.say("no workflows; leat start TYPE --key KEY starts one")
	case r.Cursor != "":
		a.print.say("the newest %d; there are more: --limit 0 shows all", len(items))
	}
	return nil
}

func (a *app) historyCommand() *cobra.Command {
	var r client.HistoryRequest
	var follow bool
	cmd := &cobra.Command{
		Use: "history TYPE KEY|ID", Short: "Show how a workflow came to where it stands", Args: cobra.ExactArgs(2),
		Long: "Show every event of a workflow. CAUSE is the sequence number of the event that led to it, - for none.\n" +
			"With --follow, what comes is shown as it is committed, until the workflow is finished.",
		Example:           "  leat history order order-42\n  leat history order order-42 --follow\n  leat history order order-42 -o jsonl | jq .event_type",
		ValidArgsFunction: a.completeInstance,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), needsReader, follow, func(ctx context.Context, c *client.Client) error {
				if follow {
					return a.follow(ctx, c, args[0], args[1], r.From)
				}
				return a.history(ctx, c, args[0], args[1], r)
			})
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.BoolVarP(&follow, "follow", "f", false, "go on with what comes, until the workflow is finished")
	flags.Int64Var(&r.From, "from", 1, "first sequence number")
	flags.IntVar(&r.Limit, "limit", 0, "how many events at most; 0 for all")
	return cmd
}

func (a *app) history(ctx context.Context, c *client.Client, workflowType, name string, r client.HistoryRequest) error {
	found, err := c.History(ctx, workflowType, name, r)
	if err != nil {
		return err
	}
	if a.print.format != "table" {
		return list(a.print, found, nil)
	}
	historyHeader(a.out)
	for i := range found {
		historyLine(a.out, &found[i])
	}
	return nil
}

// follow writes events as they come; a JSON array or a YAML list could only be
// written at the end, so these become one document an event.
func (a *app) follow(ctx context.Context, c *client.Client, workflowType, name string, from int64) error {
	if a.print.format == "json" {
		a.print.format = "jsonl"
	}
	if a.print.format == "table" {
		historyHeader(a.out)
	}
	for e, err := range c.Follow(ctx, workflowType, name, from) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return err
		}
		if a.print.format == "yaml" {
			_, _ = fmt.Fprintln(a.out, "---")
		}
		if err := a.print.value(e, func(w io.Writer) { historyLine(w, &e) }); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (a *app) countCommand() *cobra.Command {
	var where []string
	cmd := &cobra.Command{
		Use: "count TYPE", Short: "Count workflows by state", Args: cobra.ExactArgs(1),
		Example:           "  leat count quake\n  leat count quake -o json\n  leat count quake --where 'magnitude >= 5'",
		ValidArgsFunction: a.completeType,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), needsReader, false, func(ctx context.Context, c *client.Client) error {
				n, err := c.Counts(ctx, args[0], where...)
				if err != nil {
					return err
				}
				if a.print.format != "table" {
					return a.print.value(n, nil)
				}
				a.print.table(countRows(n))
				if n.Partial {
					a.print.say("there are more than conditions are checked for: these are some of them")
				}
				return nil
			})
		},
	}
	cmd.Flags().StringArrayVar(&where, "where", nil, whereHelp)
	return cmd
}

func countRows(n client.Counts) rows {
	r := rows{header: []string{"kind", "state", "instances"}, right: []int{3}}
	for _, s := range slices.Sorted(maps.Keys(n.State)) {
		r.lines = append(r.lines, []string{"state", s, strconv.FormatInt(n.State[s], 10)})
	}
	for _, s := range slices.Sorted(maps.Keys(n.Workflow)) {
		r.lines = append(r.lines, []string{"workflow", string(s), strconv.FormatInt(n.Workflow[s], 10)})
	}
	r.lines = append(r.lines, []string{"all", "", strconv.FormatInt(n.Instances, 10)})
	return r
}
