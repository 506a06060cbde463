package instance

import (
	"github.com/spf13/cobra"

	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
)

// lifeCommands are the commands of operators.
func (a *app) lifeCommands() []*cobra.Command {
	return []*cobra.Command{
		a.lifeCommand(events.CommandPause, "Pause a workflow",
			"Pause a workflow: it stays in its state. Signals and results are held in the order in which they arrive, and timers\n"+
				"do not fire; resume decides them all. Tasks that executors are running go on.",
			"  leat pause order order-42 --reason 'the carrier is down'\n  leat pause order order-42 --wait"),
		a.lifeCommand(events.CommandResume, "Resume a paused workflow",
			"Resume a paused workflow: what was held is decided in the order in which it arrived, then the timers that are due fire.",
			"  leat resume order order-42\n  leat resume order order-42 --wait"),
		a.lifeCommand(events.CommandCancel, "Cancel a workflow, with its exit actions and compensation",
			"Cancel a workflow: exit actions run, open tasks and timers are cancelled, and completed steps are compensated\n"+
				"if the definition says `compensation: {on: [cancelled]}`.",
			"  leat cancel order order-42 --reason 'ordered twice'\n  leat cancel order order-42 --wait-for finished"),
		a.lifeCommand(events.CommandTerminate, "End a workflow at once, without its exit actions",
			"End a workflow at once: no exit actions run and nothing is compensated. It works for every workflow that is not\n"+
				"finished, whatever state it is in.",
			"  leat terminate order order-42 --reason 'started by mistake'"),
		a.lifeCommand(events.CommandRetry, "Retry what failed",
			"Retry what failed. The input that led to an incident is decided again, for example under a repaired definition, or\n"+
				"dropped with --skip. A workflow that ended failed, cancelled or timed out returns to the states that it was in before.\n"+
				"A task that waits for its next attempt gets it now.",
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
	flags.StringVar(&r.Reason, "reason", "", "reason, for the history and the audit")
	if what == events.CommandRetry {
		flags.BoolVar(&r.Skip, "skip", false, "of an incident: drop the input that led to it")
	}
	flags.Int64Var(&expected, "expect", 0, "a conflict unless this is the sequence of the instance's newest event")
	flags.StringVar(&r.IdempotencyKey, "idempotency-key", "", "a second command with this key is a duplicate")
	w.flags(cmd)
	return cmd
}

// asksForEnd reports whether a request asks that the workflow ends before it is
// done, so that this end is not a failure.
func asksForEnd(r client.Request) bool {
	l, ok := r.(client.LifeRequest)
	return ok && (l.Command == events.CommandCancel || l.Command == events.CommandTerminate)
}
