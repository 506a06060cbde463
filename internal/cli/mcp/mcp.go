// Package mcp has the commands for MCP servers and their tools, and `leat mcp serve`,
// which is such a server.
package mcp

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/leat-io/leat/internal/cli/session"
	"github.com/leat-io/leat/internal/mcp/catalog"
	"github.com/leat-io/leat/internal/mcp/directory"
	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
)

// app is what the commands of this package share.
type app struct{ *session.Session }

// Command is `leat mcp` with its commands.
func Command(s *session.Session) *cobra.Command {
	a := &app{s}
	cmd := &cobra.Command{
		Use: "mcp", Short: "Register MCP servers, approve and call their tools, and serve workflows as tools",
		Long: "Register MCP servers, approve their tools, call them; and be such a server, whose tools are workflows.\n\n" +
			"A server that is registered is a subsystem. Executors connect to those that they may reach, and list their tools. A tool\n" +
			"is called when somebody has approved it, as it was then: one that changes is not called until it is approved again.",
		Example: "  leat mcp register files.yaml\n" +
			"  leat mcp tools --status new\n" +
			"  leat mcp approve files\n" +
			"  leat mcp call files/read_file --args '{\"path\": \"/data/a.txt\"}'\n" +
			"  leat mcp health\n" +
			"  leat mcp serve",
	}
	cmd.AddCommand(a.registerCommand(), a.unregisterCommand(), a.listCommand(), a.toolsCommand(), a.approveCommand(),
		a.callCommand(), a.executionsCommand(), a.healthCommand(), a.serveCommand())
	return cmd
}

// with runs f with the address of the topics and a context that --timeout bounds.
func (a *app) with(ctx context.Context, f func(context.Context, directory.Config) error) error {
	return a.With(ctx, session.Kafka, false, func(ctx context.Context, _ *client.Client) error {
		logger, err := a.Logger("error")
		if err != nil {
			return err
		}
		k, err := a.Settings.Kafka(logger)
		if err != nil {
			return err
		}
		return f(ctx, directory.Config{Kafka: k, Names: a.Settings.Names(), Logger: logger})
	})
}

// reading runs f with everything that is registered.
func (a *app) reading(ctx context.Context, f func(context.Context, *catalog.Catalog) error) error {
	return a.with(ctx, func(ctx context.Context, c directory.Config) error {
		all, err := directory.Read(ctx, c)
		if err != nil {
			return err
		}
		return f(ctx, all)
	})
}

// missing says that there is no such subsystem, and which is meant.
func missing(all *catalog.Catalog, id string) error {
	var known []string
	for _, s := range all.Subsystems() {
		known = append(known, s.SubsystemID)
	}
	p := problem.New(problem.SubsystemMissing, fmt.Sprintf("there is no subsystem %q", id), "", "")
	if near := problem.Suggest(id, known); near != "" {
		p.Fix = "did you mean " + near + "?"
	}
	return p
}

// noTool says that a subsystem has no such tool, and which is meant.
func noTool(rows []catalog.Row, id, tool string) error {
	var known []string
	for _, r := range rows {
		known = append(known, r.Name)
	}
	p := problem.New(problem.ToolMissing, fmt.Sprintf("subsystem %s lists no tool %q", id, tool), "", "leat mcp tools "+id+" shows those that it lists")
	if near := problem.Suggest(tool, known); near != "" {
		p.Fix = "did you mean " + id + "/" + near + "?"
	}
	return p
}

// completeSubsystem offers those that are registered.
func (a *app) completeSubsystem(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	var ids []string
	a.complete(cmd, func(all *catalog.Catalog) {
		for _, s := range all.Subsystems() {
			ids = append(ids, s.SubsystemID)
		}
	})
	return ids, cobra.ShellCompDirectiveNoFileComp
}

// completeTool offers the tools that are approved.
func (a *app) completeTool(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	a.complete(cmd, func(all *catalog.Catalog) {
		for _, s := range all.Subsystems() {
			for _, t := range s.Approved {
				names = append(names, s.SubsystemID+"/"+t.Name)
			}
		}
	})
	return names, cobra.ShellCompDirectiveNoFileComp
}

// complete runs f for a press of the tab key.
func (a *app) complete(cmd *cobra.Command, f func(*catalog.Catalog)) {
	a.Complete(cmd, func(ctx context.Context, _ *client.Client) {
		k, err := a.Settings.Kafka(nil)
		if err != nil {
			return
		}
		if all, err := directory.Read(ctx, directory.Config{Kafka: k, Names: a.Settings.Names()}); err == nil {
			f(all)
		}
	})
}

// selected are the tools that the arguments name, as they are now: SUBSYSTEM, or
// SUBSYSTEM/TOOL. Without arguments it is everything.
func selected(all *catalog.Catalog, args []string, now time.Time) (out []catalog.Row, err error) {
	if len(args) == 0 {
		for _, s := range all.Subsystems() {
			out = append(out, all.Rows(s.SubsystemID, now)...)
		}
		return out, nil
	}
	for _, arg := range args {
		id, tool, one := events.SplitTool(arg)
		if _, ok := all.Subsystem(id); !ok {
			return nil, missing(all, id)
		}
		of := all.Rows(id, now)
		if !one {
			out = append(out, of...)
			continue
		}
		i := slices.IndexFunc(of, func(r catalog.Row) bool { return r.Name == tool })
		if i < 0 {
			return nil, noTool(of, id, tool)
		}
		out = append(out, of[i])
	}
	return out, nil
}

// first is the first line of a description, for a table.
func first(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}
