package cli

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/leat-io/leat/internal/boot/config"
	"github.com/leat-io/leat/internal/cli/def"
	"github.com/leat-io/leat/internal/cli/dev"
	"github.com/leat-io/leat/internal/cli/instance"
	"github.com/leat-io/leat/internal/cli/mcp"
	"github.com/leat-io/leat/internal/cli/node"
	"github.com/leat-io/leat/internal/cli/schedule"
	"github.com/leat-io/leat/internal/cli/session"
	"github.com/leat-io/leat/internal/cli/task"
)

// newRoot is the whole tree of commands.
func newRoot(s *session.Session) *cobra.Command {
	root := &cobra.Command{
		Use:   "leat",
		Short: "Durable workflows on Kafka",
		Long: "Leat runs durable workflows whose only store is Kafka.\n\n" +
			"Settings come from flags, then LEAT_* and KAFKA_* variables, then " + config.DefaultFile + ", then defaults.\n" +
			"Exit codes: 0 ok, 1 error, 2 usage, 3 not found, 4 conflict, 5 auth, 6 unavailable or timed out, 7 the workflow failed, 130 interrupted.",
		Example: "  leat dev                                      # everything on this machine\n" +
			"  leat def deploy order.yaml\n" +
			"  leat start order --key order-42 --input '{\"amount\": 12}' --wait\n" +
			"  leat history order order-42 --follow",
		SilenceErrors: true, SilenceUsage: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return s.Configure(cmd) },
	}
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	root.SetIn(s.In)
	root.SetFlagErrorFunc(flagProblem)
	flags := root.PersistentFlags()
	flags.SortFlags = false
	flags.StringVarP(&s.Print.Format, "output", "o", "table", "table, json, jsonl or yaml")
	config.AddFlags(flags, "leat")
	hideRare(flags)
	root.AddGroup(
		&cobra.Group{ID: "run", Title: "Run:"},
		&cobra.Group{ID: "flow", Title: "Workflows:"},
		&cobra.Group{ID: "life", Title: "Operations:"},
		&cobra.Group{ID: "other", Title: "Other:"},
	)
	root.SetHelpCommandGroupID("other")
	root.SetCompletionCommandGroupID("other")
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add("run", dev.Command(s), def.Command(s))
	add("flow", instance.Commands(s)...)
	add("flow", schedule.Command(s), task.Command(s), mcp.Command(s))
	add("life", instance.LifeCommands(s)...)
	add("life", node.Command(s))
	add("other", configCommand(s), versionCommand(s))
	holders(root)
	byID(root)
	checkArgs(root)
	refuseEmpty(root)
	return root
}

// hideRare keeps --help short: what is hidden works, and `leat config` lists it.
func hideRare(flags *pflag.FlagSet) {
	flags.VisitAll(func(f *pflag.Flag) {
		if strings.HasPrefix(f.Name, "kafka-") || strings.HasPrefix(f.Name, "log-") {
			f.Hidden = true
		}
	})
}
