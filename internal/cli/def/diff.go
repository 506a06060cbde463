package def

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/leat-io/leat/internal/cli/input"
	"github.com/leat-io/leat/internal/cli/session"
	"github.com/leat-io/leat/internal/definition"
	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/fsm"
)

func (a *app) diffCommand() *cobra.Command {
	return &cobra.Command{
		Use: "diff A B", Short: "Show how two definitions differ", Args: cobra.ExactArgs(2),
		Long: "Show how two definitions differ in meaning, and what that means for running workflows that are moved from the\n" +
			"first to the second. A and B are files, - for standard input, or TYPE@VERSION of what is deployed. The exit code is 0 when\n" +
			"they mean the same, 1 when they differ.",
		Example: "  leat def diff order.yaml order-new.yaml\n  leat def diff order@1 order@2\n  leat def diff order@2 order.yaml -o json",
		RunE: func(cmd *cobra.Command, args []string) error {
			one, err := a.either(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			two, err := a.either(cmd.Context(), args[1])
			if err != nil {
				return err
			}
			d := definition.Compare(one, two)
			if err := a.Print.Value(d, func(w io.Writer) { showDiff(w, &d) }); err != nil || len(d.Changes) == 0 {
				return err
			}
			return problem.New(problem.DefinitionsDiffer, fmt.Sprintf("%s and %s differ", args[0], args[1]), "", "")
		},
	}
}

// either is the definition of a file, or of TYPE@VERSION when there is no such file.
func (a *app) either(ctx context.Context, name string) (*fsm.Machine, error) {
	_, missing := os.Stat(name)
	if name == "-" || missing == nil || filepath.Ext(name) != "" || !strings.Contains(name, "@") {
		return input.Definition(a.In, name)
	}
	workflowType, version, err := splitVersion(name)
	if err != nil {
		return nil, err
	}
	var machine *fsm.Machine
	return machine, a.With(ctx, session.Reader, false, func(ctx context.Context, c *client.Client) error {
		machine, err = deployedMachine(ctx, c, workflowType, version)
		return err
	})
}

func deployedMachine(ctx context.Context, c *client.Client, workflowType string, version int32) (*fsm.Machine, error) {
	d, err := c.Definition(ctx, workflowType, version)
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("%s@%d", workflowType, d.Version)
	machine, findings, err := definition.Parse(name, []byte(d.Source))
	if err != nil {
		return nil, input.NoDefinition(name, findings, err)
	}
	return machine, nil
}

func showDiff(w io.Writer, d *definition.Diff) {
	if len(d.Changes) == 0 {
		_, _ = fmt.Fprintln(w, "no difference in meaning")
		return
	}
	sign := map[string]string{"added": "+", "removed": "-", "changed": "~"}
	for i := range d.Changes {
		c := &d.Changes[i]
		text := c.Old + c.New
		if c.Kind == "changed" {
			text = c.Old + "\n    now " + c.New
		}
		_, _ = fmt.Fprintf(w, "%s %s %s: %s\n", sign[c.Kind], c.Part, c.Subject, text)
	}
	showMoving(w, d.Moving)
	if d.Safe {
		_, _ = fmt.Fprintln(w, "\nrunning workflows can be moved as they are: leat def migrate")
	} else {
		_, _ = fmt.Fprintln(w, "\nrunning workflows need a mapping: leat def migrate --map OLD=NEW")
	}
}

func showMoving(w io.Writer, findings []fsm.MigrationFinding) {
	if len(findings) > 0 {
		_, _ = fmt.Fprintln(w, "\nwhen running workflows are moved:")
	}
	for _, f := range findings {
		kind := "note"
		if f.Fatal {
			kind = "error"
		}
		_, _ = fmt.Fprintf(w, "  %s: %s %s\n", kind, f.Subject, f.Text)
	}
}
