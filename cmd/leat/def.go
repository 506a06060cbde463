package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/leat-io/leat/internal/definition"
	"github.com/leat-io/leat/internal/draw"
	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/pkg/fsm"
)

func (a *app) defCommand() *cobra.Command {
	def := group(&cobra.Command{
		Use: "def", Short: "Deploy, check, try and draw workflow definitions",
		Example: "  leat def validate order.yaml\n  leat def deploy order.yaml\n  leat def graph order.yaml -o svg > order.svg",
	})
	def.AddCommand(
		a.defDeployCommand(), a.defGetCommand(), a.defListCommand(),
		a.defValidateCommand(), a.defSimulateCommand(), a.defTestCommand(), a.defGraphCommand(),
		a.defDiffCommand(), a.defMigrateCommand(),
	)
	return def
}

// report is what `leat def validate` says of one file.
type report struct {
	File     string              `json:"file"`
	Valid    bool                `json:"valid"`
	Type     string              `json:"type,omitempty"`
	Version  int32               `json:"version,omitempty"`
	Findings definition.Findings `json:"findings"`
}

func (a *app) defValidateCommand() *cobra.Command {
	return &cobra.Command{
		Use: "validate FILE...", Short: "Check definitions without a broker", Args: cobra.MinimumNArgs(1),
		Long:    "Check definitions without a broker. Every problem is reported as file:line:col: severity: text [rule].\nThe exit code is 0 when there are warnings only, 1 when there are errors.",
		Example: "  leat def validate order.yaml payment.yaml\n  cat order.yaml | leat def validate -\n  leat def validate order.yaml -o json",
		RunE: func(_ *cobra.Command, args []string) error {
			var reports []report
			for _, path := range args {
				_, r, err := a.parse(path)
				if err != nil {
					return err
				}
				reports = append(reports, r)
			}
			if err := a.showReports(reports); err != nil {
				return err
			}
			if i := slices.IndexFunc(reports, func(r report) bool { return !r.Valid }); i >= 0 {
				return invalid(reports[i], a.print.format == "table")
			}
			return nil
		},
	}
}

// showReports prints findings as every compiler does, so that editors can jump.
func (a *app) showReports(reports []report) error {
	if a.print.format != "table" {
		return list(a.print, reports, nil)
	}
	for _, r := range reports {
		for _, f := range r.Findings {
			_, _ = fmt.Fprintln(a.out, f)
		}
		if r.Valid {
			_, _ = fmt.Fprintf(a.out, "%s: %s@%d is valid\n", r.File, r.Type, r.Version)
		}
	}
	return nil
}

// parse reads and compiles one file. The error is that of reading only.
func (a *app) parse(path string) (*fsm.Machine, report, error) {
	r := report{File: path}
	src, err := a.readText(path)
	if err != nil {
		return nil, r, err
	}
	machine, findings, err := definition.Parse(path, src)
	r.Findings, r.Valid = findings, err == nil
	if err != nil && !findings.HasErrors() {
		return nil, r, explainSource(path, nil, err)
	}
	if machine != nil {
		r.Type, r.Version = machine.Type(), machine.Version()
	}
	return machine, r, nil
}

// invalid is the problem of a file with errors. shown says that the findings
// have been printed.
func invalid(r report, shown bool) error {
	p := problem.New(problem.DefinitionInvalid, r.File+" is not a valid definition", "", "")
	if !shown {
		p.Why = strings.TrimSpace(r.Findings.Err().Error())
	}
	return p
}

// explainSource is the problem of a file that is no definition.
func explainSource(path string, findings definition.Findings, err error) error {
	if findings.HasErrors() {
		return invalid(report{File: path, Findings: findings}, false)
	}
	return problem.Wrap(problem.DefinitionInvalid, path+" cannot be read as a definition", err)
}

// valid parses a file and insists.
func (a *app) valid(path string) (*fsm.Machine, error) {
	machine, r, err := a.parse(path)
	if err != nil {
		return nil, err
	}
	if !r.Valid {
		return nil, invalid(r, false)
	}
	return machine, nil
}

func (a *app) defSimulateCommand() *cobra.Command {
	var events, input string
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
				return a.walk(cmd.Context(), args[0], events, input)
			}
			return a.simulate(args[0], events, input)
		},
	}
	cmd.Flags().BoolVar(&interactive, "interactive", false, "choose what happens with the arrow keys; prints it as EVENTS.json at the end")
	cmd.Flags().StringVar(&events, "events", "", "JSON file of what happens, - for standard input (default: nothing happens)")
	cmd.Flags().StringVar(&input, "input", "", "start payload: JSON, @file, or - for standard input")
	return cmd
}

func (a *app) simulate(path, events, input string) error {
	machine, err := a.valid(path)
	if err != nil {
		return err
	}
	payload, err := a.jsonArgument("input", input)
	if err != nil {
		return err
	}
	var items []definition.Item
	if events != "" {
		text, err := a.readText(events)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(text, &items); err != nil {
			return problem.New(problem.BadJSON, events+" is not a list of events", err.Error(), "leat def simulate --help shows the form")
		}
	}
	if err := definition.Simulate(a.out, machine, payload, items); err != nil {
		return problem.New(problem.DefinitionInvalid, "the simulation cannot go on", err.Error(), "correct the item in "+orText(events, "--events")+", or the definition")
	}
	return nil
}

func orText(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

func (a *app) defTestCommand() *cobra.Command {
	return &cobra.Command{
		Use: "test CASES.json...", Short: "Run test cases of definitions", Args: cobra.MinimumNArgs(1),
		Long:    "Run test cases of definitions, without a broker: what goes in, and the configuration that is expected after each\nevent. A line is printed for each case that fails.",
		Example: "  leat def test order_cases.json\n  leat def test examples/*/cases.json",
		RunE: func(_ *cobra.Command, args []string) error {
			failed, err := definition.TestCases(a.out, args...)
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

func (a *app) defGraphCommand() *cobra.Command {
	return &cobra.Command{
		Use: "graph FILE -o mermaid|dot|svg", Short: "Draw a definition", Args: cobra.ExactArgs(1),
		Annotations: map[string]string{formatsOf: "mermaid dot svg"},
		Example:     "  leat def graph order.yaml                     # Mermaid, for Markdown\n  leat def graph order.yaml -o svg > order.svg  # a picture, without any other program\n  leat def graph order.yaml -o dot | dot -Tpdf > order.pdf",
		RunE: func(_ *cobra.Command, args []string) error {
			machine, err := a.valid(args[0])
			if err != nil {
				return err
			}
			draw := map[string]func(io.Writer, *fsm.Machine) error{"mermaid": definition.Mermaid, "dot": definition.Dot, "svg": draw.SVG}[a.print.format]
			return draw(a.out, machine)
		},
	}
}
