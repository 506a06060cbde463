package instance

import (
	"context"
	"maps"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/leat-io/leat/internal/cli/output"
	"github.com/leat-io/leat/internal/cli/session"
	"github.com/leat-io/leat/pkg/client"
)

func (a *app) countCommand() *cobra.Command {
	var where []string
	cmd := &cobra.Command{
		Use: "count TYPE", Short: "Count workflows by state", Args: cobra.ExactArgs(1),
		Example:           "  leat count quake\n  leat count quake -o json\n  leat count quake --where 'magnitude >= 5'",
		ValidArgsFunction: a.CompleteType,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.With(cmd.Context(), session.Reader, false, func(ctx context.Context, c *client.Client) error {
				n, err := c.Counts(ctx, args[0], where...)
				if err != nil {
					return err
				}
				if a.Print.Format != "table" {
					return a.Print.Value(n, nil)
				}
				a.Print.Table(countRows(n))
				if n.Partial {
					a.Print.Say("there are more instances than a condition is checked on: only some of them were counted")
				}
				return nil
			})
		},
	}
	cmd.Flags().StringArrayVar(&where, "where", nil, whereHelp)
	return cmd
}

func countRows(n client.Counts) output.Rows {
	r := output.Rows{Header: []string{"kind", "state", "instances"}, Right: []int{3}}
	for _, s := range slices.Sorted(maps.Keys(n.State)) {
		r.Lines = append(r.Lines, []string{"state", s, strconv.FormatInt(n.State[s], 10)})
	}
	for _, s := range slices.Sorted(maps.Keys(n.Workflow)) {
		r.Lines = append(r.Lines, []string{"workflow", string(s), strconv.FormatInt(n.Workflow[s], 10)})
	}
	r.Lines = append(r.Lines, []string{"all", "", strconv.FormatInt(n.Instances, 10)})
	return r
}
