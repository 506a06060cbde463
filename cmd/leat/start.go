package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
)

// How far a command waits.
const (
	waitNot      = ""
	waitDecided  = "decided"
	waitFinished = "finished"
)

// waiting is --wait and --wait-for of a command.
type waiting struct {
	wait bool
	goal string
}

func (w *waiting) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&w.wait, "wait", false, "wait until the router has decided, and show what followed")
	cmd.Flags().StringVar(&w.goal, "wait-for", "", "decided or finished; finished waits for the end of the workflow")
	_ = cmd.RegisterFlagCompletionFunc("wait-for", cobra.FixedCompletions([]string{waitDecided, waitFinished}, cobra.ShellCompDirectiveNoFileComp))
}

func (w *waiting) until() (string, error) {
	if w.goal == "" && w.wait {
		return waitDecided, nil
	}
	if !slices.Contains([]string{waitNot, waitDecided, waitFinished}, w.goal) {
		return "", problem.New(problem.Usage, fmt.Sprintf("--wait-for %q is not understood", w.goal), "", "use --wait-for decided, or --wait-for finished")
	}
	return w.goal, nil
}

func (a *app) startCommand() *cobra.Command {
	var r client.StartRequest
	var input, id string
	var w waiting
	cmd := &cobra.Command{
		Use: "start TYPE", Short: "Start a workflow", Args: cobra.ExactArgs(1),
		Long: "Start a workflow. When the command returns, the start is durable in Kafka and will be decided exactly once.\n" +
			"With --key, starting is idempotent: there is one instance for each key of a type.",
		Example: "  leat start order --key order-42 --input '{\"amount\": 12, \"sku\": \"A1\"}'\n" +
			"  leat start order --key order-42 --input @order.json --wait\n" +
			"  leat start order --input - --wait-for finished < order.json",
		ValidArgsFunction: a.completeType,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			r.Type = args[0]
			if r.Input, err = a.jsonArgument("input", input); err != nil {
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
	flags.StringVar(&input, "input", "", "start payload: JSON, @file, or - for standard input")
	flags.Int32Var(&r.Version, "version", 0, "version of the definition (default: the newest)")
	flags.StringVar(&id, "id", "", "instance id, a UUID (default: derived from --key, or new)")
	flags.StringVar(&r.IdempotencyKey, "idempotency-key", "", "the same command again is a duplicate")
	w.flags(cmd)
	return cmd
}

func (a *app) signalCommand() *cobra.Command {
	var r client.SignalRequest
	var data string
	var expected int64
	var w waiting
	cmd := &cobra.Command{
		Use: "signal TYPE KEY|ID EVENT", Short: "Tell a workflow that something happened", Args: cobra.ExactArgs(3),
		Example: "  leat signal quake ci37868143 reviewed\n" +
			"  leat signal order order-42 delivered --data '{\"by\": \"drone\"}' --wait\n" +
			"  leat signal order order-42 cancel --expect 7   # only if nothing happened since event 7",
		ValidArgsFunction: a.completeInstance,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			r.Type, r.Event = args[0], args[2]
			if r.InstanceID, r.Key, err = a.target(cmd.Context(), r.Type, args[1]); err != nil {
				return err
			}
			if r.Data, err = a.jsonArgument("data", data); err != nil {
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
	flags.StringVar(&data, "data", "", "what comes with the event: JSON, @file, or - for standard input")
	flags.Int64Var(&expected, "expect", 0, "refuse unless this is the sequence of the instance's newest event")
	flags.StringVar(&r.IdempotencyKey, "idempotency-key", "", "the same command again is a duplicate")
	w.flags(cmd)
	return cmd
}

// command sends, and waits as far as was asked.
func (a *app) command(ctx context.Context, r client.Request, w *waiting) error {
	until, err := w.until()
	if err != nil {
		return err
	}
	return a.with(ctx, needsKafka, until == waitFinished, func(ctx context.Context, c *client.Client) error {
		if until == waitNot {
			return a.send(ctx, c, r)
		}
		d, err := c.Do(ctx, r)
		if err != nil {
			return err
		}
		return a.decided(ctx, c, d, until, asksForEnd(r))
	})
}

func (a *app) send(ctx context.Context, c *client.Client, r client.Request) error {
	receipt, err := c.Send(ctx, r)
	if err != nil {
		return err
	}
	return a.print.value(receipt, func(w io.Writer) {
		_, _ = fmt.Fprintf(w, "accepted %s %s\n", receipt.Type, receipt.InstanceID)
		fields(w, "  command", receipt.CommandID.String(), "  record", fmt.Sprintf("%s/%d@%d", receipt.Topic, receipt.Partition, receipt.Offset))
	})
}

// decided shows what a command led to, and for how the instance stands.
func (a *app) decided(ctx context.Context, c *client.Client, d client.Decision, until string, wantsEnd bool) error {
	id := events.Ref{ID: d.Receipt.InstanceID}.String()
	if o := d.Outcome; o != nil {
		a.print.say("%s", outcomeText(o))
	}
	var s client.Instance
	var err error
	if until == waitFinished {
		s, err = c.WaitFinished(ctx, d.Receipt.Type, id)
	} else {
		s, err = c.Get(ctx, d.Receipt.Type, id, client.GetOptions{MinSequence: d.Sequence()})
	}
	if err != nil {
		return err
	}
	if err := a.showInstance(&s); err != nil {
		return err
	}
	if wantsEnd && (s.State == events.WorkflowCancelled || s.State == events.WorkflowCompensated) {
		return nil // as it was asked for
	}
	return ended(&s)
}

// ended is the problem of a workflow that ended in failure.
func ended(s *client.Instance) error {
	if !s.State.Finished() || s.State == events.WorkflowCompleted {
		return nil
	}
	why := ""
	if s.Error != nil {
		why = s.Error.Code + ": " + s.Error.Message
	}
	name := nameOf(s)
	return problem.New(problem.WorkflowFailed, fmt.Sprintf("%s %s ended %s", s.WorkflowType, name, fullState(s)), why,
		fmt.Sprintf("leat history %s %s shows how it came to that", s.WorkflowType, name))
}

// outcomeText says why a command led to no event.
func outcomeText(o *events.Outcome) string {
	switch o.Status {
	case events.OutcomeDuplicate:
		return "nothing new: this had been decided before"
	case events.OutcomeIgnored:
		why := ""
		if o.Error != nil {
			why = ": " + o.Error.Message
		}
		return "ignored" + why
	default:
		return string(o.Status) + because(o.Error)
	}
}
