package def

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/internal/simulate"
)

func (a *app) testCommand() *cobra.Command {
	return &cobra.Command{
		Use: "test CASES.json...", Short: "Run test cases of definitions", Args: cobra.MinimumNArgs(1),
		Long:    "Run test cases of definitions, without a broker: the input, and the states that are expected after each event.\nA line is printed for each case that fails.",
		Example: "  leat def test order_cases.json\n  leat def test examples/*/cases.json",
		RunE: func(_ *cobra.Command, args []string) error {
			failed, err := simulate.TestCases(a.Out, args...)
			if err != nil {
				return problem.Wrap(problem.NoSuchFile, "the cases cannot be run", err)
			}
			if failed > 0 {
				return problem.New(problem.CasesFailed, fmt.Sprintf("%d cases failed", failed), "", "")
			}
			return nil
		},
	}
}
