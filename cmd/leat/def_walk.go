package main

import (
	"context"
	"fmt"

	"github.com/leat-io/leat/internal/boot"
	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/internal/tui"
	"github.com/leat-io/leat/pkg/events"
)

// walk simulates a definition on the terminal and prints what was done there.
func (a *app) walk(ctx context.Context, path, happens, input string) error {
	if happens != "" {
		return problem.New(problem.Usage, "--interactive and --events exclude each other", "", "leave one of them out")
	}
	if !boot.IsTerminal(a.in) || !boot.IsTerminal(a.err) {
		return problem.New(problem.Usage, "--interactive needs a terminal", "standard input or standard error is a file or a pipe",
			"run it in a terminal, or give what happens with --events")
	}
	machine, err := a.valid(path)
	if err != nil {
		return err
	}
	payload, err := a.jsonArgument("input", input)
	if err != nil {
		return err
	}
	items, err := tui.Simulate(ctx, a.in, a.err, machine, payload)
	if err != nil {
		return problem.New(problem.DefinitionInvalid, "the simulation cannot go on", err.Error(), "")
	}
	text, err := events.EncodeJSON(items)
	if err != nil {
		return fmt.Errorf("write what was done: %w", err)
	}
	_, err = fmt.Fprintf(a.out, "%s\n", text)
	return err
}
