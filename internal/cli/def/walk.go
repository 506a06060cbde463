package def

import (
	"context"
	"fmt"

	"github.com/leat-io/leat/internal/boot/ops"
	"github.com/leat-io/leat/internal/cli/input"
	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/internal/tui"
	"github.com/leat-io/leat/pkg/events"
)

// walk simulates a definition on the terminal and prints the events that were chosen.
func (a *app) walk(ctx context.Context, path, happens, start string) error {
	if happens != "" {
		return problem.New(problem.Usage, "--interactive and --events exclude each other", "", "leave one of them out")
	}
	if !ops.IsTerminal(a.In) || !ops.IsTerminal(a.Err) {
		return problem.New(problem.Usage, "--interactive needs a terminal", "standard input or standard error is a file or a pipe",
			"run it in a terminal, or give the events with --events")
	}
	machine, err := input.Definition(a.In, path)
	if err != nil {
		return err
	}
	payload, err := input.JSON(a.In, "input", start)
	if err != nil {
		return err
	}
	items, err := tui.Simulate(ctx, a.In, a.Err, machine, payload)
	if err != nil {
		return problem.New(problem.DefinitionInvalid, "the simulation cannot go on", err.Error(), "")
	}
	text, err := events.EncodeJSON(items)
	if err != nil {
		return fmt.Errorf("write what was done: %w", err)
	}
	_, err = fmt.Fprintf(a.Out, "%s\n", text)
	return err
}
