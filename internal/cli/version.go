package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/leat-io/leat/internal/boot/config"
	"github.com/leat-io/leat/internal/boot/ops"
	"github.com/leat-io/leat/internal/cli/output"
	"github.com/leat-io/leat/internal/cli/session"
)

func versionCommand(s *session.Session) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		Example: "  leat version\n  leat version -o json",
		RunE: func(*cobra.Command, []string) error {
			b := ops.Build()
			return s.Print.Value(b, func(w io.Writer) {
				_, _ = fmt.Fprintln(w, strings.Join(strings.Fields("leat "+b.Version+" "+b.Revision+" "+b.Go+" "+b.Platform), " "))
			})
		},
	}
}

func configCommand(s *session.Session) *cobra.Command {
	return &cobra.Command{
		Use: "config", Short: "Print every setting, its value and its source", Args: cobra.NoArgs,
		Long:    "Print every setting, its value and its source: a flag, a variable, a file, or the default.\nSecrets are masked.",
		Example: "  leat config\n  KAFKA_BROKERS=kafka:9092 leat config -o json",
		RunE: func(*cobra.Command, []string) error {
			return output.List(s.Print, s.Settings.Dump(), func(lines []config.Line) output.Rows {
				r := output.Rows{Header: []string{"setting", "value", "source"}}
				for _, l := range lines {
					r.Lines = append(r.Lines, []string{l.Key, fmt.Sprint(l.Value), l.Source})
				}
				return r
			})
		},
	}
}
