package def

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/leat-io/leat/internal/cli/input"
	"github.com/leat-io/leat/internal/cli/output"
	"github.com/leat-io/leat/internal/draw"
	"github.com/leat-io/leat/pkg/fsm"
)

func (a *app) graphCommand() *cobra.Command {
	return &cobra.Command{
		Use: "graph FILE -o mermaid|dot|svg", Short: "Draw a definition", Args: cobra.ExactArgs(1),
		Annotations: map[string]string{output.FormatsOf: "mermaid dot svg"},
		Example:     "  leat def graph order.yaml                     # Mermaid, for Markdown\n  leat def graph order.yaml -o svg > order.svg  # a picture, without any other program\n  leat def graph order.yaml -o dot | dot -Tpdf > order.pdf",
		RunE: func(_ *cobra.Command, args []string) error {
			machine, err := input.Definition(a.In, args[0])
			if err != nil {
				return err
			}
			draw := map[string]func(io.Writer, *fsm.Machine) error{"mermaid": draw.Mermaid, "dot": draw.Dot, "svg": draw.SVG}[a.Print.Format]
			return draw(a.Out, machine)
		},
	}
}
