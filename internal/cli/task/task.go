// Package task has the commands for open tasks: those that wait for people are
// claimed and ended here, those of executors can be listed.
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
		Use: "task", Short: "List open tasks, and end those of people",
		Long: "Open tasks: those that were scheduled and have not ended. A task for a person is waiting_for_input until they\n" +
			"complete or fail it; the tasks of executors can be listed.",
		Example: "  leat task list --assignee ann\n  leat task complete leave l-1 approve --result '{\"ok\": true}' --as ann",
	}
	cmd.AddCommand(a.listCommand(),
		a.endCommand("claim", "Claim a task, so that no one else can end it",
			"  leat task claim leave l-1 approve --as ann"),
		a.endCommand("complete", "Complete a task",
			"  leat task complete leave l-1 approve --result '{\"ok\": true}' --as ann\n  leat task complete leave l-1 approve --result @form.json --as ann"),
		a.endCommand("fail", "Fail a task",
			"  leat task fail leave l-1 approve --code NO_COVER --message 'no one can cover' --as ann"))
	return cmd
}
