package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/leat-io/leat/internal/boot"
	"github.com/leat-io/leat/internal/problem"
)

// app is what the commands share.
type app struct {
	streams
	programs *boot.Programs
	settings *boot.Settings
	print    *printer
}

// run is the whole program; it returns the exit code.
func run(ctx context.Context, args []string, s streams) int { return runKnown(ctx, args, s, nil) }

// runKnown is run for a process that ends the programs of leat dev with itself.
func runKnown(ctx context.Context, args []string, s streams, programs *boot.Programs) int {
	a := &app{streams: s, print: newPrinter(s), programs: programs}
	root := a.root()
	root.SetArgs(args)
	root.SetContext(ctx)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return problem.ExitOK
	}
	p := explain(err)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return problem.ExitInterrupted
	}
	a.print.problem(p)
	return p.Exit()
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "leat",
		Short: "Durable workflows on Kafka",
		Long: "Leat runs durable workflows whose only store is Kafka.\n\n" +
			"Settings come from flags, then LEAT_* and KAFKA_* variables, then " + boot.DefaultFile + ", then defaults.\n" +
			"Exit codes: 0 ok, 1 error, 2 usage, 3 not found, 4 conflict, 5 auth, 6 unavailable or late, 7 the workflow failed, 130 interrupted.",
		Example: "  leat dev                                      # everything on this machine\n" +
			"  leat def deploy order.yaml\n" +
			"  leat start order --key order-42 --input '{\"amount\": 12}' --wait\n" +
			"  leat history order order-42 --follow",
		SilenceErrors: true, SilenceUsage: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return a.configure(cmd) },
	}
	group(root)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetIn(a.in)
	root.SetFlagErrorFunc(flagProblem)
	flags := root.PersistentFlags()
	flags.SortFlags = false
	flags.StringVarP(&a.print.format, "output", "o", "table", "table, json, jsonl or yaml")
	boot.AddFlags(flags, "leat")
	hideRare(flags)
	root.AddGroup(
		&cobra.Group{ID: "run", Title: "Run:"},
		&cobra.Group{ID: "flow", Title: "Workflows:"},
		&cobra.Group{ID: "life", Title: "Life of a workflow:"},
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
	add("run", a.devCommand(), a.defCommand())
	add("flow", a.startCommand(), a.signalCommand(), a.getCommand(), a.listCommand(), a.historyCommand(), a.countCommand(), a.scheduleCommand())
	add("flow", a.taskCommand())
	add("life", a.lifeCommands()...)
	add("life", a.resetCommand(), a.replayCommand(), a.auditCommand())
	add("other", a.configCommand(), a.versionCommand())
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

// configure reads the settings before a command runs.
func (a *app) configure(cmd *cobra.Command) error {
	if err := a.print.check(cmd.Annotations[formatsOf], cmd.Flags().Changed("output")); err != nil {
		return err
	}
	var err error
	a.settings, err = boot.Load("leat", cmd.Flags(), a.environ)
	return err
}

// withTimeout bounds one command by --timeout.
func (a *app) withTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	if d := a.settings.Duration("timeout"); d > 0 {
		return context.WithTimeout(ctx, d)
	}
	return context.WithCancel(ctx)
}

// group makes a command that only holds others: it shows its help, and says so
// when a word after it is no command.
func group(c *cobra.Command) *cobra.Command {
	c.Args = cobra.ArbitraryArgs
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		return unknownCommand(cmd, args[0])
	}
	return c
}

func unknownCommand(parent *cobra.Command, word string) error {
	var known []string
	for _, c := range parent.Commands() {
		if c.IsAvailableCommand() {
			known = append(known, c.Name())
		}
	}
	p := problem.New(problem.UnknownCommand, fmt.Sprintf("%q is no command of %s", word, parent.CommandPath()), "", parent.CommandPath()+" --help lists the commands")
	if near := problem.Suggest(word, known); near != "" {
		p.Fix = fmt.Sprintf("did you mean: %s %s", parent.CommandPath(), near)
	}
	return p
}

func flagProblem(cmd *cobra.Command, err error) error {
	p := problem.New(problem.Usage, "the command line is wrong", err.Error(), cmd.CommandPath()+" --help shows the flags")
	if name, found := strings.CutPrefix(err.Error(), "unknown flag: --"); found {
		var known []string
		visit := func(f *pflag.Flag) { known = append(known, f.Name) }
		cmd.Flags().VisitAll(visit)
		cmd.InheritedFlags().VisitAll(visit)
		if near := problem.Suggest(name, known); near != "" {
			p.Fix = "did you mean --" + near + "?"
		}
	}
	return p
}

// checkArgs words the errors of every command's argument check.
func checkArgs(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return problem.New(problem.Usage, "the command line is wrong", err.Error(), "usage: "+cmd.UseLine())
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		checkArgs(sub)
	}
}
