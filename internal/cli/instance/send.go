package instance

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/leat-io/leat/internal/cli/output"
	"github.com/leat-io/leat/internal/cli/session"
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
	cmd.Flags().BoolVar(&w.wait, "wait", false, "wait until the router has decided, and show the result")
	cmd.Flags().StringVar(&w.goal, "wait-for", "", "decided or finished; finished waits for the end of the workflow")
	_ = cmd.RegisterFlagCompletionFunc("wait-for", cobra.FixedCompletions([]string{waitDecided, waitFinished}, cobra.ShellCompDirectiveNoFileComp))
}

func (w *waiting) until() (string, error) {
	if w.goal == "" && w.wait {
		return waitDecided, nil
	}
	if !slices.Contains([]string{waitNot, waitDecided, waitFinished}, w.goal) {
		return "", problem.New(problem.Usage, fmt.Sprintf("--wait-for %q is neither decided nor finished", w.goal), "", "use --wait-for decided, or --wait-for finished")
	}
	return w.goal, nil
}

// command sends, and waits as far as was asked.
func (a *app) command(ctx context.Context, r client.Request, w *waiting) error {
	until, err := w.until()
	if err != nil {
		return err
	}
	return a.With(ctx, session.Kafka, until == waitFinished, func(ctx context.Context, c *client.Client) error {
		start, begins := r.(client.StartRequest)
		switch {
		case until == waitNot:
			return a.send(ctx, c, r)
		case begins && until == waitFinished:
			return a.run(ctx, c, start)
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
	return a.Print.Value(receipt, func(w io.Writer) {
		_, _ = fmt.Fprintf(w, "accepted %s %s\n", receipt.Type, receipt.InstanceID)
		output.Fields(w, "  command", receipt.CommandID.String(), "  record", fmt.Sprintf("%s/%d@%d", receipt.Topic, receipt.Partition, receipt.Offset))
	})
}

// run starts an instance whose end is watched from before its start, and shows how
// it ended.
func (a *app) run(ctx context.Context, c *client.Client, r client.StartRequest) error {
	run, err := c.Start(ctx, r)
	if err != nil {
		return err
	}
	s, err := run.Wait(ctx)
	if err != nil {
		return err
	}
	if s.CorrelationID != run.Receipt().CommandID { // another command started it
		a.Print.Say("%s", OutcomeText(&events.Outcome{Status: events.OutcomeDuplicate, SequenceNumber: 1}))
	}
	if err := a.showInstance(&s); err != nil {
		return err
	}
	return ended(&s)
}

// decided shows what a command led to, and the state that the instance is in.
func (a *app) decided(ctx context.Context, c *client.Client, d client.Decision, until string, wantsEnd bool) error {
	id := events.Ref{ID: d.Receipt.InstanceID}.String()
	if o := d.Outcome; o != nil {
		a.Print.Say("%s", OutcomeText(o))
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
		return nil // as was requested
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
	return problem.New(problem.WorkflowFailed, fmt.Sprintf("%s %s ended %s", s.WorkflowType, name, FullState(s)), why,
		fmt.Sprintf("leat history %s %s shows what led to it", s.WorkflowType, name))
}

// OutcomeText says why a command led to no event.
func OutcomeText(o *events.Outcome) string {
	switch o.Status {
	case events.OutcomeDuplicate:
		if o.SequenceNumber > 0 {
			return fmt.Sprintf("duplicate: already decided at sequence %d", o.SequenceNumber)
		}
		return "duplicate: already decided"
	case events.OutcomeIgnored:
		why := ""
		if o.Error != nil {
			why = ": " + o.Error.Message
		}
		return "ignored" + why
	default:
		return string(o.Status) + output.Because(o.Error)
	}
}
