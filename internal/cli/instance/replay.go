package instance

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/leat-io/leat/internal/cli/input"
	"github.com/leat-io/leat/internal/cli/output"
	"github.com/leat-io/leat/internal/cli/session"
	"github.com/leat-io/leat/internal/decide"
	"github.com/leat-io/leat/internal/definition"
	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

// replayed is what `leat replay` says.
type replayed struct {
	Type       string             `json:"type"`
	InstanceID events.UUID        `json:"instance_id"`
	Version    string             `json:"version"` // "recorded", a number, or the file
	Same       bool               `json:"same"`
	Recorded   int                `json:"recorded"` // events in the history
	Events     int                `json:"events"`   // of them decided the same, from the first on
	Decisions  int                `json:"decisions"`
	Difference *decide.Difference `json:"difference,omitempty"`
}

func (a *app) replayCommand() *cobra.Command {
	var version int32
	var file string
	cmd := &cobra.Command{
		Use: "replay TYPE KEY|ID", Short: "Replay a history and compare", Args: cobra.ExactArgs(2),
		Long: "Decide a recorded history again, without changing anything, and say whether and where it would differ: the sequence,\n" +
			"the recorded event, the event that would follow now, and the fields. With --version or --file, all of it is decided\n" +
			"under that definition. The exit code is 0 when nothing differs, 1 when something does.",
		Example: "  leat replay order order-42\n  leat replay order order-42 --version 4     # would version 4 have done the same?\n" +
			"  leat replay order order-42 --file order.yaml -o json",
		ValidArgsFunction: a.CompleteInstance,
		RunE: func(cmd *cobra.Command, args []string) error {
			if version != 0 && file != "" {
				return problem.New(problem.Usage, "--version and --file exclude each other", "", "")
			}
			return a.With(cmd.Context(), session.Reader, false, func(ctx context.Context, c *client.Client) error {
				return a.replay(ctx, c, args[0], args[1], version, file)
			})
		},
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().Int32Var(&version, "version", 0, "decide under this version (default: the recorded versions)")
	cmd.Flags().StringVar(&file, "file", "", "decide under the definition in this file, - for standard input")
	return cmd
}

func (a *app) replay(ctx context.Context, c *client.Client, workflowType, name string, version int32, file string) error {
	history, err := c.History(ctx, workflowType, name, client.HistoryRequest{})
	if err != nil {
		return err
	}
	r := replayed{Type: workflowType, Version: "recorded", Recorded: len(history), InstanceID: history[0].InstanceID}
	if version != 0 {
		r.Version = strconv.Itoa(int(version))
	}
	machines, err := a.machines(ctx, c, workflowType)
	if err != nil {
		return err
	}
	if file != "" {
		machine, err := input.Definition(a.In, file)
		if err != nil {
			return err
		}
		r.Version, version = file, machine.Version()
		machines = func(int32) *fsm.Machine { return machine }
	}
	if version != 0 && machines(version) == nil {
		return problem.New(problem.DefinitionMissing, fmt.Sprintf("version %d of %s is not deployed", version, workflowType), "", "")
	}
	found, err := decide.Replay(history, machines, version)
	if err != nil {
		return problem.Wrap(problem.ReplayDiffers, "the history cannot be replayed", err)
	}
	r.Same, r.Events, r.Decisions, r.Difference = found.Difference == nil, found.Events, found.Decisions, found.Difference
	if err := a.Print.Value(r, func(w io.Writer) { showReplay(w, &r) }); err != nil || r.Same {
		return err
	}
	return problem.New(problem.ReplayDiffers, fmt.Sprintf("the history differs at sequence %d", r.Difference.Sequence), "", "")
}

// machines are the deployed versions of a type, compiled when they are asked for.
func (a *app) machines(ctx context.Context, c *client.Client, workflowType string) (decide.Machines, error) {
	records, err := c.Definitions(ctx)
	if err != nil {
		return nil, err
	}
	compiled := make(map[int32]*fsm.Machine)
	return func(version int32) *fsm.Machine {
		if m, ok := compiled[version]; ok {
			return m
		}
		for i := range records {
			if records[i].WorkflowType != workflowType || records[i].Version != version {
				continue
			}
			source := records[i].Source
			if source == "" { // lists may leave it out
				d, err := c.Definition(ctx, workflowType, version)
				if err != nil {
					return nil
				}
				source = d.Source
			}
			if m, _, err := definition.Parse(fmt.Sprintf("%s@%d", workflowType, version), []byte(source)); err == nil {
				compiled[version] = m
			}
		}
		return compiled[version]
	}, nil
}

func showReplay(w io.Writer, r *replayed) {
	if r.Same {
		_, _ = fmt.Fprintf(w, "same: %d decisions give the %d recorded events again\n", r.Decisions, r.Events)
		return
	}
	_, _ = fmt.Fprintf(w, "%d of %d events are the same, then sequence %d differs\n", r.Events, r.Recorded, r.Difference.Sequence)
	d := r.Difference
	side := func(e *events.Event) string {
		if e == nil {
			return "nothing"
		}
		return string(e.EventType) + "  " + eventDetail(e)
	}
	output.Fields(w, "  recorded", side(d.Recorded), "  now", side(d.Now), "  why", d.Why)
	for _, f := range d.Fields {
		output.Fields(w, "  "+f.Field, cmp.Or(f.Recorded, "(absent)")+" -> "+cmp.Or(f.Now, "(absent)"))
	}
}
