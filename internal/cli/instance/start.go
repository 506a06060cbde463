package instance

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/leat-io/leat/internal/cli/input"
	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
)

func (a *app) startCommand() *cobra.Command {
	var r client.StartRequest
	var payload, id string
	var w waiting
	cmd := &cobra.Command{
		Use: "start TYPE", Short: "Start a workflow", Args: cobra.ExactArgs(1),
		Long: "Start a workflow. When the command returns, the start is durable in Kafka and will be decided exactly once.\n" +
			"With --key, starting is idempotent: there is one instance for each key of a type.",
		Example: "  leat start order --key order-42 --input '{\"amount\": 12, \"sku\": \"A1\"}'\n" +
			"  leat start order --key order-42 --input @order.json --wait\n" +
			"  leat start order --input - --wait-for finished < order.json",
		ValidArgsFunction: a.CompleteType,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			r.Type = args[0]
			if r.Input, err = input.JSON(a.In, "input", payload); err != nil {
				return err
			}
			if id != "" {
				if r.InstanceID, err = events.ParseUUID(strings.TrimPrefix(id, "id:")); err != nil {
					return problem.New(problem.Usage, "--id is not a UUID", err.Error(), "leave it out: it is derived from --key, or new")
				}
			}
			return a.command(cmd.Context(), r, &w)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&r.Key, "key", "", "business key: there is one instance for each")
	flags.StringVar(&payload, "input", "", "start payload: JSON, @file, or - for standard input")
	flags.Int32Var(&r.Version, "version", 0, "version of the definition (default: the newest)")
	flags.StringVar(&id, "id", "", "instance id, a UUID (default: derived from --key, or new)")
	flags.StringVar(&r.IdempotencyKey, "idempotency-key", "", "a second command with this key is a duplicate")
	w.flags(cmd)
	return cmd
}
