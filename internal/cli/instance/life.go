package instance

import (
	"github.com/spf13/cobra"

	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
)

// lifeCommands are the commands of those who look after workflows.
func (a *app) lifeCommands() []*cobra.Command {
	return []*cobra.Command{
		a.lifeCommand(events.CommandPause, "Hold a workflow where it is",
			"Hold a workflow where it is. Signals and results are kept in the order in which they come, and timers do not\n"+
				"fire; resume decides them all. What executors are doing goes on.",
			"  leat pause order order-42 --reason 'the carrier is down'\n  leat pause order order-42 --wait"),
		a.lifeCommand(events.CommandResume, "Let a paused workflow go on",
			"Let a paused workflow go on: what was held is decided in the order in which it came, then the timers that are due.",
			"  leat resume order order-42\n  leat resume order order-42 --wait"),
		a.lifeCommand(events.CommandCancel, "End a workflow in good order",
			"End a workflow in good order: exit actions run, open tasks and timers are cancelled, and what was done is undone\n"+
				"if the definition says `compensation: {on: [cancelled]}`.",
			"  leat cancel order order-42 --reason 'ordered twice'\n  leat cancel order order-42 --wait-for finished"),
		a.lifeCommand(events.CommandTerminate, "End a workflow at once",
			"End a workflow at once: no exit actions run and nothing is undone. It works for every workflow that is not finished,\n"+
				"whatever is wrong with it.",
			"  leat terminate order order-42 --reason 'started by mistake'"),
		a.lifeCommand(events.CommandRetry, "Try again what failed",
			"Try again what failed. An incident is decided again, for example under a repaired definition, or dropped with --skip.\n"+
				"A workflow that ended failed, cancelled or timed out enters again the states in which it was before. A task that waits\n"+
				"for its next attempt gets it now.",
			"  leat retry order order-42 --wait\n  leat retry order order-42 --skip   # drop the input that led to the incident"),
	}
}

func (a *app) lifeCommand(what events.CommandType, short, long, example string) *cobra.Command {
	r := client.LifeRequest{Command: what}
	var expected int64
	var w waiting
	cmd := &cobra.Command{
		Use: string(what) + " TYPE KEY|ID", Short: short, Long: long, Example: example, Args: cobra.ExactArgs(2),
		ValidArgsFunction: a.CompleteInstance,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			r.Type = args[0]
			if r.InstanceID, r.Key, err = a.target(cmd.Context(), r.Type, args[1]); err != nil {
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
	flags.StringVar(&r.Reason, "reason", "", "why, for the history and the audit")
	if what == events.CommandRetry {
		flags.BoolVar(&r.Skip, "skip", false, "of an incident: drop the input that led to it")
	}
	flags.Int64Var(&expected, "expect", 0, "refuse unless this is the sequence of the instance's newest event")
	flags.StringVar(&r.IdempotencyKey, "idempotency-key", "", "the same command again is a duplicate")
	w.flags(cmd)
	return cmd
}

// asksForEnd reports whether a request asks that the workflow ends before it is
// done, so that this end is no failure.
func asksForEnd(r client.Request) bool {
	l, ok := r.(client.LifeRequest)
	return ok && (l.Command == events.CommandCancel || l.Command == events.CommandTerminate)
}
