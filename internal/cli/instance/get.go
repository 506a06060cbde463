package instance

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/leat-io/leat/internal/cli/session"
	"github.com/leat-io/leat/pkg/client"
)

func (a *app) getCommand() *cobra.Command {
	var o client.GetOptions
	cmd := &cobra.Command{
		Use: "get TYPE KEY|ID", Short: "Show the state of a workflow", Args: cobra.ExactArgs(2),
		Example:           "  leat get order order-42\n  leat get order order-42 -o json\n  leat get order order-42 --min-sequence 7   # wait until event 7 is in the view",
		ValidArgsFunction: a.CompleteInstance,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.With(cmd.Context(), session.Reader, false, func(ctx context.Context, c *client.Client) error {
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
