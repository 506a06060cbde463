package def

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/leat-io/leat/internal/cli/input"
	"github.com/leat-io/leat/internal/cli/output"
	"github.com/leat-io/leat/internal/definition"
	"github.com/leat-io/leat/internal/problem"
)

func (a *app) validateCommand() *cobra.Command {
	var workersFile string
	cmd := &cobra.Command{
		Use: "validate FILE...", Short: "Check definitions without a broker", Args: cobra.MinimumNArgs(1),
		Long: "Check definitions without a broker. Every problem is reported as file:line:col: severity: text [rule].\nThe exit code is 0 when there are warnings only, 1 when there are errors.\n\n" +
			"--workers compares the inputs of tasks with what their handlers take: FILE is the JSON of Executor.Schemas() of pkg/executor, or {\"queue.task\": {\"input\": JSON SCHEMA}}.\n" +
			"Literals and whole data.NAME and input.NAME of a declared type are compared; what other expressions yield is not known beforehand.",
		Example: "  leat def validate order.yaml payment.yaml\n  cat order.yaml | leat def validate -\n  leat def validate order.yaml -o json\n  leat def validate order.yaml --workers workers.json",
		RunE: func(_ *cobra.Command, args []string) error {
			workers, err := a.workers(workersFile)
			if err != nil {
				return err
			}
			var reports []input.Report
			for _, path := range args {
				machine, r, err := input.Check(a.In, path)
				if err != nil {
					return err
				}
				if machine != nil && workers != nil {
					r.Findings = append(r.Findings, definition.CompareWorkers(machine, workers)...)
					r.Valid = r.Valid && !r.Findings.HasErrors()
				}
				reports = append(reports, r)
			}
			if err := a.showReports(reports); err != nil {
				return err
			}
			if i := slices.IndexFunc(reports, func(r input.Report) bool { return !r.Valid }); i >= 0 {
				return reports[i].Problem(a.Print.Format == "table")
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&workersFile, "workers", "", "compare the inputs of tasks with the schemas of their handlers in FILE")
	return cmd
}

// workers reads the file of --workers, nil for none.
func (a *app) workers(path string) (definition.Workers, error) {
	if path == "" {
		return nil, nil
	}
	text, err := input.Text(a.In, path)
	if err != nil {
		return nil, err
	}
	workers, err := definition.ReadWorkers(text)
	if err != nil {
		return nil, problem.New(problem.Usage, path+" does not describe workers", err.Error(), "")
	}
	return workers, nil
}

// showReports prints findings as every compiler does, so that editors can jump.
func (a *app) showReports(reports []input.Report) error {
	if a.Print.Format != "table" {
		return output.List(a.Print, reports, nil)
	}
	for _, r := range reports {
		for _, f := range r.Findings {
			_, _ = fmt.Fprintln(a.Out, f)
		}
		if r.Valid {
			_, _ = fmt.Fprintf(a.Out, "%s: %s@%d is valid\n", r.File, r.Type, r.Version)
		}
	}
	return nil
}
