package instance

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/leat-io/leat/internal/cli/session"
	"github.com/leat-io/leat/pkg/client"
)

func (a *app) getCommand() *cobra.Command {
	var o client.GetOptions
	cmd := &cobra.Command{
		Use: "get TYPE KEY|ID", Short: "Show the state of a workflow", Args: cobra.ExactArgs(2),
		Long: "Show the state of a workflow. A projector is asked, or with --brokers alone the router that decides for the workflow.\n" +
			"--scan needs neither: it reads the state topic from its beginning, which takes longer the more workflows there are.",
		Example: "  leat get order order-42\n  leat get order order-42 -o json\n  leat get order order-42 --min-sequence 7   # wait until event 7 is in the view\n" +
			"  leat get order order-42 --brokers localhost:9092 --scan   # no projector and no router runs",
		ValidArgsFunction: a.CompleteInstance,
		RunE: func(cmd *cobra.Command, args []string) error {
			need := session.Reader
			if o.Scan {
				need, o.Progress = session.Kafka, a.progress("read %d of %d records")
			}
			return a.With(cmd.Context(), need, false, func(ctx context.Context, c *client.Client) error {
				s, err := c.Get(ctx, args[0], args[1], o)
				if err != nil {
					return err
				}
				return a.showInstance(&s)
			})
		},
	}
	cmd.Flags().Int64Var(&o.MinSequence, "min-sequence", 0, "wait until the answer reflects this sequence: read your writes")
	cmd.Flags().BoolVar(&o.Scan, "scan", false, "read the state topic itself: needs no router and no projector, and takes longer")
	return cmd
}

// sayEvery is how often progress is shown.
const sayEvery = time.Second

// progress tells the person how far something is that takes long.
func (a *app) progress(format string) func(done, total int64) {
	next := time.Now().Add(sayEvery)
	return func(done, total int64) {
		if now := time.Now(); now.After(next) {
			next = now.Add(sayEvery)
			a.Print.Say(format, done, total)
		}
	}
}
