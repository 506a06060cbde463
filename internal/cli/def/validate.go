package def

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/leat-io/leat/internal/cli/input"
	"github.com/leat-io/leat/internal/cli/output"
)

func (a *app) validateCommand() *cobra.Command {
	return &cobra.Command{
		Use: "validate FILE...", Short: "Check definitions without a broker", Args: cobra.MinimumNArgs(1),
		Long:    "Check definitions without a broker. Every problem is reported as file:line:col: severity: text [rule].\nThe exit code is 0 when there are warnings only, 1 when there are errors.",
		Example: "  leat def validate order.yaml payment.yaml\n  cat order.yaml | leat def validate -\n  leat def validate order.yaml -o json",
		RunE: func(_ *cobra.Command, args []string) error {
			var reports []input.Report
			for _, path := range args {
				_, r, err := input.Check(a.In, path)
				if err != nil {
					return err
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
