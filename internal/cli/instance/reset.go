package instance

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/leat-io/leat/internal/cli/output"
	"github.com/leat-io/leat/internal/cli/session"
	"github.com/leat-io/leat/internal/decide"
	"github.com/leat-io/leat/internal/facts"
	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/pkg/client"
)

func (a *app) resetCommand() *cobra.Command {
	var r client.ResetRequest
	var expected int64
	var dry bool
	var w waiting
	cmd := &cobra.Command{
		Use: "reset TYPE KEY|ID --to SEQUENCE", Short: "Go back to an earlier point of the history", Args: cobra.ExactArgs(2),
		Long: "Return a workflow to the state that it was in after event SEQUENCE, and go on from there. What had ended by then is\n" +
			"kept and not done again; tasks that were open then start again, under new ids; timers have as long to go as they had\n" +
			"then. The history is kept: the reset is an event in it. SEQUENCE has to be the last event of a decision.",
		Example: "  leat history order order-42                   # find the sequence\n  leat reset order order-42 --to 7 --dry-run    # which state would it be in?\n" +
			"  leat reset order order-42 --to 7 --reason 'the carrier lost it' --wait",
		ValidArgsFunction: a.CompleteInstance,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !cmd.Flags().Changed("to") {
				return problem.New(problem.Usage, "--to is missing", "a reset needs the sequence to go back to", "leat history TYPE KEY shows them")
			}
			r.Type = args[0]
			if cmd.Flags().Changed("expect") {
				r.ExpectedSequence = &expected
			}
			if err := a.With(cmd.Context(), session.Reader, false, func(ctx context.Context, c *client.Client) error {
				return a.recall(ctx, c, &r, args[1], dry)
			}); err != nil || dry {
				return err
			}
			return a.command(cmd.Context(), r, &w)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.Int64Var(&r.To, "to", 0, "sequence of the last event that counts")
	flags.StringVar(&r.Reason, "reason", "", "reason, for the history and the audit")
	flags.BoolVar(&dry, "dry-run", false, "show the state that it would be in, and change nothing")
	flags.Int64Var(&expected, "expect", 0, "a conflict unless this is the sequence of the instance's newest event")
	flags.StringVar(&r.IdempotencyKey, "idempotency-key", "", "a second command with this key is a duplicate")
	w.flags(cmd)
	return cmd
}

// recall reads the history, checks that it can be gone back to, and with dry
// shows the state that the workflow would be in.
func (a *app) recall(ctx context.Context, c *client.Client, r *client.ResetRequest, name string, dry bool) error {
	history, err := c.History(ctx, r.Type, name, client.HistoryRequest{})
	if err != nil {
		return err
	}
	r.History, r.InstanceID, r.Key = history, history[0].InstanceID, ""
	if _, err := facts.ForReset(history, r.To); err != nil {
		return problem.New(problem.CommandRejected, "it cannot be reset to "+strconv.FormatInt(r.To, 10), err.Error(), "leat history "+r.Type+" "+name+" shows the events")
	}
	machines, err := a.machines(ctx, c, r.Type)
	if err != nil {
		return err
	}
	found, err := decide.Replay(history[:r.To], machines, 0)
	switch {
	case err != nil:
		return problem.Wrap(problem.ReplayDiffers, "the history cannot be decided again, so it cannot be reset", err)
	case found.Difference != nil:
		return problem.New(problem.ReplayDiffers, fmt.Sprintf("the history differs at sequence %d when it is decided again, so it cannot be reset", found.Difference.Sequence),
			found.Difference.Why, "leat replay "+r.Type+" "+name+" shows the difference")
	case !dry:
		return nil
	}
	return a.Print.Value(found.Snapshot, func(w io.Writer) {
		_, _ = fmt.Fprintf(w, "it would be in its state after sequence %d\n", r.To)
		var again []string
		for i := range found.Snapshot.Chart.Tasks {
			if t := &found.Snapshot.Chart.Tasks[i]; !t.State.Finished() && t.Attempt > 0 {
				again = append(again, t.Invocation+" ("+t.Name+")")
			}
		}
		output.Fields(w, "  state", FullState(found.Snapshot), "  version", strconv.Itoa(int(found.Snapshot.Version)), "  tasks that start again", strings.Join(again, ", "))
	})
}
