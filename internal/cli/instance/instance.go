// Package instance has the commands for workflows that run or ran: start, signal
// and change them, and show their state, history and audit.
package instance

import (
	"github.com/spf13/cobra"

	"github.com/leat-io/leat/internal/cli/session"
)

// app is what the commands of this package share.
type app struct{ *session.Session }

// Commands are those that start, signal and show workflows.
func Commands(s *session.Session) []*cobra.Command {
	a := &app{s}
	return []*cobra.Command{a.startCommand(), a.signalCommand(), a.getCommand(), a.listCommand(), a.historyCommand(), a.countCommand()}
}

// LifeCommands are those of operators: they hold, end, repair and explain
// workflows.
func LifeCommands(s *session.Session) []*cobra.Command {
	a := &app{s}
	return append(a.lifeCommands(), a.resetCommand(), a.replayCommand(), a.auditCommand())
}
