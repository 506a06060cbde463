package instance

import (
	"github.com/spf13/cobra"

	"github.com/leat-io/leat/internal/cli/input"
	"github.com/leat-io/leat/pkg/client"
)

func (a *app) signalCommand() *cobra.Command {
	var r client.SignalRequest
	var data string
	var expected int64
	var w waiting
	cmd := &cobra.Command{
		Use: "signal TYPE KEY|ID EVENT", Short: "Send an event to a workflow", Args: cobra.ExactArgs(3),
		Example: "  leat signal quake ci37868143 reviewed\n" +
			"  leat signal order order-42 delivered --data '{\"by\": \"drone\"}' --wait\n" +
			"  leat signal order order-42 cancel --expect 7   # only if event 7 is still the newest",
		ValidArgsFunction: a.CompleteInstance,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			r.Type, r.Event = args[0], args[2]
			if r.InstanceID, r.Key, err = a.target(cmd.Context(), r.Type, args[1]); err != nil {
				return err
			}
			if r.Data, err = input.JSON(a.In, "data", data); err != nil {
				return err
			}
			if cmd.Flags().Changed("expect") {
				r.ExpectedSequence = &expected
			}
			return a.command(cmd.Context(), r, &w)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&data, "data", "", "data of the event: JSON, @file, or - for standard input")
	flags.Int64Var(&expected, "expect", 0, "a conflict unless this is the sequence of the instance's newest event")
	flags.StringVar(&r.IdempotencyKey, "idempotency-key", "", "a second command with this key is a duplicate")
	w.flags(cmd)
	return cmd
}
