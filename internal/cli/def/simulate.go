package def

import (
	"cmp"
	"encoding/json"

	"github.com/spf13/cobra"

	"github.com/leat-io/leat/internal/cli/input"
	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/internal/simulate"
)

func (a *app) simulateCommand() *cobra.Command {
	var happens, start string
	var interactive bool
	cmd := &cobra.Command{
		Use: "simulate FILE --events EVENTS.json", Short: "Run a definition without a broker", Args: cobra.ExactArgs(1),
		Long: "Run a definition without a broker and print one JSON object a step.\n\n" +
			"EVENTS.json is an array; an item is an event name, {\"event\": \"name\", \"data\": {}}, {\"advance\": \"30s\"},\n" +
			"{\"task\": \"id\", \"result\": {}} or {\"task\": \"id\", \"error\": {\"code\": \"X\", \"message\": \"m\"}}.",
		Example: "  leat def simulate order.yaml --interactive\n" +
			"  leat def simulate order.yaml --events events.json --input '{\"amount\": 12}'\n" +
			"  echo '[{\"task\": \"charging\", \"result\": {}}]' | leat def simulate order.yaml --events -",
		RunE: func(cmd *cobra.Command, args []string) error {
			if interactive {
				return a.walk(cmd.Context(), args[0], happens, start)
			}
			return a.simulate(args[0], happens, start)
		},
	}
	cmd.Flags().BoolVar(&interactive, "interactive", false, "choose the events with the arrow keys; prints them as EVENTS.json at the end")
	cmd.Flags().StringVar(&happens, "events", "", "JSON file of events, - for standard input (default: none)")
	cmd.Flags().StringVar(&start, "input", "", "start payload: JSON, @file, or - for standard input")
	return cmd
}

func (a *app) simulate(path, happens, start string) error {
	machine, err := input.Definition(a.In, path)
	if err != nil {
		return err
	}
	payload, err := input.JSON(a.In, "input", start)
	if err != nil {
		return err
	}
	var items []simulate.Item
	if happens != "" {
		text, err := input.Text(a.In, happens)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(text, &items); err != nil {
			return problem.New(problem.BadJSON, happens+" is not a list of events", err.Error(), "leat def simulate --help shows the form")
		}
	}
	if err := simulate.Run(a.Out, machine, payload, items); err != nil {
		return problem.New(problem.DefinitionInvalid, "the simulation cannot go on", err.Error(), "correct the item in "+cmp.Or(happens, "--events")+", or the definition")
	}
	return nil
}
