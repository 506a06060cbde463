package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/pkg/events"
)

// holders makes every command that only holds others show its help, and say so
// when the word after it is not a command.
func holders(c *cobra.Command) {
	for _, sub := range c.Commands() {
		holders(sub)
	}
	if !c.HasSubCommands() {
		return
	}
	c.Args = cobra.ArbitraryArgs
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		return unknownCommand(cmd, args[0])
	}
}

func unknownCommand(parent *cobra.Command, word string) error {
	var known []string
	for _, c := range parent.Commands() {
		if c.IsAvailableCommand() {
			known = append(known, c.Name())
		}
	}
	p := problem.New(problem.UnknownCommand, fmt.Sprintf("%q is not a command of %s", word, parent.CommandPath()), "", parent.CommandPath()+" --help lists the commands")
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

// byID gives a command that takes KEY|ID a flag in place of that argument.
func byID(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		byID(sub)
	}
	if !strings.Contains(cmd.Use, " TYPE KEY|ID") {
		return
	}
	var id string
	cmd.Flags().StringVar(&id, "id", "", "instance id, a UUID, in place of KEY|ID")
	whole := func(args []string) []string {
		if !cmd.Flags().Changed("id") || len(args) == 0 {
			return args
		}
		return slices.Insert(slices.Clone(args), 1, "id:"+strings.TrimPrefix(id, "id:"))
	}
	check, run := cmd.Args, cmd.RunE
	cmd.Args = func(cmd *cobra.Command, args []string) error { return check(cmd, whole(args)) }
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if _, err := events.ParseUUID(strings.TrimPrefix(id, "id:")); err != nil && cmd.Flags().Changed("id") {
			return problem.New(problem.Usage, "--id is not a UUID", err.Error(), "leat list shows the ids")
		}
		return run(cmd, whole(args))
	}
}
