// Package def has the commands for definitions: check, try, draw and compare them
// without a broker, deploy them, and move running workflows from one to another.
package def

import (
	"github.com/spf13/cobra"

	"github.com/leat-io/leat/internal/cli/session"
)

// app is what the commands of this package share.
type app struct{ *session.Session }

// Command is `leat def` with its commands.
func Command(s *session.Session) *cobra.Command {
	a := &app{s}
	cmd := &cobra.Command{
		Use: "def", Short: "Deploy, check, try and draw workflow definitions",
		Example: "  leat def validate order.yaml\n  leat def deploy order.yaml\n  leat def graph order.yaml -o svg > order.svg",
	}
	cmd.AddCommand(
		a.deployCommand(), a.getCommand(), a.listCommand(),
		a.validateCommand(), a.simulateCommand(), a.testCommand(), a.graphCommand(),
		a.diffCommand(), a.migrateCommand(),
	)
	return cmd
}
