package instance

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/leat-io/leat/internal/cli/output"
	"github.com/leat-io/leat/internal/cli/session"
	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
)

func (a *app) auditCommand() *cobra.Command {
	var r client.AuditRequest
	var since string
	cmd := &cobra.Command{
		Use: "audit", Short: "Show which operations were requested, by whom", Args: cobra.NoArgs,
		Long: "Show every pause, resume, cancel, terminate, retry, reset and migrate that was requested: by whom, why, and with which\n" +
			"outcome, refused ones too. Oldest first.",
		Example: "  leat audit\n  leat audit --type order --instance order-42\n  leat audit --since 24h -o jsonl | jq .action",
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if since != "" {
				if r.Since, err = sinceWhen(since, time.Now()); err != nil {
					return err
				}
			}
			return a.With(cmd.Context(), session.Kafka, false, func(ctx context.Context, c *client.Client) error {
				found, err := c.Audit(ctx, r)
				if err != nil {
					return err
				}
				if err := output.List(a.Print, found, auditRows); err != nil {
					return err
				}
				if a.Print.Format == "table" && len(found) == 0 {
					a.Print.Say("no operation was requested")
				}
				return nil
			})
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&r.Type, "type", "", "workflow type (default: all)")
	flags.StringVar(&r.Instance, "instance", "", "key or id of one instance; needs --type")
	flags.StringVar(&since, "since", "", "not before: a duration ago such as 24h, or a time such as 2026-09-21T10:00:00Z")
	flags.IntVar(&r.Limit, "limit", 0, "only the newest; 0 for all")
	_ = cmd.RegisterFlagCompletionFunc("type", a.CompleteType)
	return cmd
}

// sinceWhen reads a time, or how long ago it was.
func sinceWhen(text string, now time.Time) (time.Time, error) {
	if ago, err := time.ParseDuration(text); err == nil {
		return now.Add(-ago), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, problem.New(problem.Usage, "--since "+text+" is neither a duration nor a time", "", "use --since 24h, or --since 2026-09-21T10:00:00Z")
	}
	return at, nil
}

func auditRows(items []events.AuditEvent) output.Rows {
	r := output.Rows{Header: []string{"time", "actor", "action", "resource", "outcome", "detail"}}
	for i := range items {
		e := &items[i]
		detail := e.Metadata[events.AuditReason].Str()
		if code := e.Metadata[events.AuditCode].Str(); code != "" {
			detail = code + ": " + e.Metadata[events.AuditMessage].Str()
		}
		r.Lines = append(r.Lines, []string{output.When(e.Timestamp), e.Actor, e.Action, e.Resource, e.Outcome, output.Clip(detail, 80)})
	}
	return r
}
