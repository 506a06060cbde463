// Package task has the commands for open tasks: those that wait for people are
// claimed and ended here, those of executors can be looked at.
package task

import (
	"github.com/spf13/cobra"

	"github.com/leat-io/leat/internal/cli/session"
)

// app is what the commands of this package share.
type app struct{ *session.Session }

// Command is `leat task` with its commands.
func Command(s *session.Session) *cobra.Command {
	a := &app{s}
	cmd := &cobra.Command{
		Use: "task", Short: "Tasks: what waits for people, and for executors",
		Long: "Tasks that are asked for and have not ended. What a person has to do waits as waiting_for_input until somebody\n" +
			"completes it; what an executor does can be looked at.",
		Example: "  leat task list --assignee ann\n  leat task complete leave l-1 approve --result '{\"ok\": true}' --as ann",
	}
	cmd.AddCommand(a.listCommand(),
		a.endCommand("claim", "Take a task, so that nobody else can end it",
			"  leat task claim leave l-1 approve --as ann"),
		a.endCommand("complete", "Say that a task is done",
			"  leat task complete leave l-1 approve --result '{\"ok\": true}' --as ann\n  leat task complete leave l-1 approve --result @form.json --as ann"),
		a.endCommand("fail", "Say that a task cannot be done",
			"  leat task fail leave l-1 approve --code NO_COVER --message 'nobody can stand in' --as ann"))
	return cmd
}
