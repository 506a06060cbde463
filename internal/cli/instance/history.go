package instance

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/leat-io/leat/internal/cli/output"
	"github.com/leat-io/leat/internal/cli/session"
	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
)

func (a *app) historyCommand() *cobra.Command {
	var r client.HistoryRequest
	var follow bool
	cmd := &cobra.Command{
		Use: "history TYPE KEY|ID", Short: "Show the events of a workflow", Args: cobra.ExactArgs(2),
		Long: "Show every event of a workflow. CAUSE is the sequence number of the event that led to it, - for none.\n" +
			"With --follow, new events are shown as they are committed, until the workflow is finished.",
		Example:           "  leat history order order-42\n  leat history order order-42 --follow\n  leat history order order-42 -o jsonl | jq .event_type",
		ValidArgsFunction: a.CompleteInstance,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.With(cmd.Context(), session.Reader, follow, func(ctx context.Context, c *client.Client) error {
				if follow {
					return a.follow(ctx, c, args[0], args[1], r.From)
				}
				return a.history(ctx, c, args[0], args[1], r)
			})
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.BoolVarP(&follow, "follow", "f", false, "keep showing new events until the workflow is finished")
	flags.Int64Var(&r.From, "from", 1, "first sequence number")
	flags.IntVar(&r.Limit, "limit", 0, "how many events at most; 0 for all")
	return cmd
}

func (a *app) history(ctx context.Context, c *client.Client, workflowType, name string, r client.HistoryRequest) error {
	found, err := c.History(ctx, workflowType, name, r)
	if err != nil {
		return err
	}
	if a.Print.Format != "table" {
		return output.List(a.Print, found, nil)
	}
	historyHeader(a.Out)
	for i := range found {
		historyLine(a.Out, &found[i])
	}
	return nil
}

// follow writes events as they come; a JSON array or a YAML list could only be
// written at the end, so these become one document an event.
func (a *app) follow(ctx context.Context, c *client.Client, workflowType, name string, from int64) error {
	if a.Print.Format == "json" {
		a.Print.Format = "jsonl"
	}
	if a.Print.Format == "table" {
		historyHeader(a.Out)
	}
	for e, err := range c.Follow(ctx, workflowType, name, from) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return err
		}
		if a.Print.Format == "yaml" {
			_, _ = fmt.Fprintln(a.Out, "---")
		}
		if err := a.Print.Value(e, func(w io.Writer) { historyLine(w, &e) }); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// eventDetail is what one line of a history says beside the event's type.
func eventDetail(e *events.Event) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(e.Data)) {
		if name == "task_id" {
			continue // long, and in every other format
		}
		parts = append(parts, name+"="+output.Plain(e.Data[name]))
	}
	if v, ok := e.Metadata[events.MetadataDomainEvent]; ok {
		parts = append(parts, "event="+output.Plain(v))
	}
	if len(e.Payload) > 0 {
		parts = append(parts, output.Clip(string(e.Payload), 80))
	}
	return strings.Join(parts, " ")
}

// cause is how a history shows causation: the sequence of the event behind it
// when that is of the same instance, else the beginning of its id.
func cause(e *events.Event) string {
	if e.CausationID.IsNil() {
		return "-"
	}
	for n := e.SequenceNumber - 1; n > 0 && n > e.SequenceNumber-1000; n-- {
		if events.EventID(e.WorkflowType, e.InstanceID, n) == e.CausationID {
			return strconv.FormatInt(n, 10)
		}
	}
	return e.CausationID.String()[:8]
}

const historyFormat = "%5s  %-12s  %-24s  %6s  %s\n"

func historyHeader(w io.Writer) {
	_, _ = fmt.Fprintf(w, historyFormat, "SEQ", "TIME", "EVENT", "CAUSE", "DETAIL")
}

// historyLine is one event for people; the lines come as the events do, so
// their widths are fixed.
func historyLine(w io.Writer, e *events.Event) {
	line := fmt.Sprintf(historyFormat, strconv.FormatInt(e.SequenceNumber, 10), e.Timestamp.Local().Format("15:04:05.000"), e.EventType, cause(e), eventDetail(e))
	_, _ = io.WriteString(w, events.Show(strings.TrimRight(line, " \n"))+"\n")
}
