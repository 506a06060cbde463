// Package node has the commands that show the workers of a cluster: which there are,
// what each can do, and which could run a task.
package node

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/leat-io/leat/internal/cli/output"
	"github.com/leat-io/leat/internal/cli/session"
	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/spi/node"
)

// app is what the commands of this package share.
type app struct{ *session.Session }

// Command is `leat node` with its commands.
func Command(s *session.Session) *cobra.Command {
	a := &app{s}
	cmd := &cobra.Command{
		Use: "node", Short: "Show the workers of the cluster, and what each can do",
		Long: "Every worker is a node: routers (ORCHESTRATOR), projectors (REDUCER) and executors (COMPUTE and EFFECT). It says every five\n" +
			"seconds what it can do and how loaded it is. One that misses three beats is unhealthy and gets no tasks of definitions that say\n" +
			"what they need (node.requires, node.resources); one that misses six is expired.",
		Example: "  leat node list\n  leat node show executor-1\n  leat node find --requires gpu --resources memory_mb=4096",
	}
	cmd.AddCommand(a.listCommand(), a.showCommand(), a.findCommand())
	return cmd
}

// nodes reads the nodes.
func (a *app) nodes(ctx context.Context, use func([]node.Node) error) error {
	return a.With(ctx, session.Reader, false, func(ctx context.Context, c *client.Client) error {
		list, err := c.Nodes(ctx)
		if err != nil {
			return err
		}
		return use(list)
	})
}

func (a *app) listCommand() *cobra.Command {
	var kind string
	cmd := &cobra.Command{
		Use: "list", Short: "List the nodes", Args: cobra.NoArgs,
		Example: "  leat node list\n  leat node list --type ORCHESTRATOR\n  leat node list -o jsonl",
		RunE: func(cmd *cobra.Command, _ []string) error {
			kind = strings.ToUpper(kind)
			if kind != "" && !slices.Contains(types(), kind) {
				return problem.New(problem.Usage, fmt.Sprintf("--type %q is not a type of nodes", kind), "the types are "+strings.Join(types(), ", "), "")
			}
			return a.nodes(cmd.Context(), func(list []node.Node) error {
				list = slices.DeleteFunc(list, func(n node.Node) bool {
					return kind != "" && !slices.Contains(n.Types, events.NodeType(kind))
				})
				return output.List(a.Print, list, rows)
			})
		},
	}
	cmd.Flags().StringVar(&kind, "type", "", "only nodes of this type: COMPUTE, EFFECT, REDUCER or ORCHESTRATOR")
	_ = cmd.RegisterFlagCompletionFunc("type", cobra.FixedCompletions(types(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func types() []string { return output.Texts(events.NodeTypes()) }

func rows(list []node.Node) output.Rows {
	r := output.Rows{Header: []string{"node", "types", "health", "beat", "queues", "capabilities", "load", "version"}}
	for i := range list {
		n := &list[i]
		r.Lines = append(r.Lines, []string{
			n.NodeID, typesOf(n), string(n.Health), ago(n.Silent), output.Clip(strings.Join(n.Queues, " "), 40),
			output.Clip(strings.Join(n.Capabilities, " "), 40), output.Clip(strings.Join(loads(n), " "), 60), n.Version,
		})
	}
	return r
}

func typesOf(n *node.Node) string { return strings.Join(output.Texts(n.Types), "+") }

func ago(d time.Duration) string { return d.Round(time.Second).String() + " ago" }

// loads is what a node has, as "gpu=1/2": one of two is taken.
func loads(n *node.Node) []string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(n.Capacity)) {
		list = append(list, fmt.Sprintf("%s=%d/%d", name, n.Load[name], n.Capacity[name]))
	}
	return list
}

func (a *app) showCommand() *cobra.Command {
	return &cobra.Command{
		Use: "show NODE", Short: "Show one node", Args: cobra.ExactArgs(1),
		Example:           "  leat node show executor-1\n  leat node show executor-1 -o json",
		ValidArgsFunction: a.complete,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.nodes(cmd.Context(), func(list []node.Node) error {
				var ids []string
				for i := range list {
					if list[i].NodeID == args[0] {
						return a.Print.Value(list[i], func(w io.Writer) { show(w, &list[i]) })
					}
					ids = append(ids, list[i].NodeID)
				}
				p := problem.New(problem.NodeMissing, fmt.Sprintf("there is no node %q", args[0]), "it has not registered, has stopped, or was silent for too long", "leat node list")
				if near := problem.Suggest(args[0], ids); near != "" {
					p.Fix = "did you mean " + near + "?"
				}
				return p
			})
		},
	}
}

func (a *app) complete(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var ids []string
	if len(args) == 0 && a.Configure(cmd) == nil {
		_ = a.nodes(cmd.Context(), func(list []node.Node) error {
			for i := range list {
				ids = append(ids, list[i].NodeID)
			}
			return nil
		})
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}

func show(w io.Writer, n *node.Node) {
	line := func(name, value string) {
		if value != "" {
			_, _ = fmt.Fprintf(w, "%-14s%s\n", name, value)
		}
	}
	line("node", n.NodeID)
	line("types", typesOf(n))
	line("health", fmt.Sprintf("%s (last beat %s)", n.Health, ago(n.Silent)))
	line("queues", strings.Join(n.Queues, " "))
	line("capabilities", strings.Join(n.Capabilities, " "))
	for i, name := range slices.Sorted(maps.Keys(n.Capacity)) {
		title := "capacity"
		if i > 0 {
			title = ""
		}
		_, _ = fmt.Fprintf(w, "%-14s%s: %d of %d taken\n", title, name, n.Load[name], n.Capacity[name])
	}
	line("version", n.Version)
	line("endpoint", n.Endpoint)
	line("started", output.When(n.StartedAt))
	line("incarnation", n.Incarnation.String())
}

func (a *app) findCommand() *cobra.Command {
	var needs node.Needs
	var resources []string
	cmd := &cobra.Command{
		Use: "find", Short: "Find the nodes that could run a task now", Args: cobra.NoArgs,
		Long: "Find the nodes that have everything that a task asks for, and enough of it free. When there is none, it is said what is missing and\n" +
			"which nodes come nearest, and the exit code is 3.",
		Example: "  leat node find --requires gpu --resources memory_mb=4096\n  leat node find --queue train --requires gpu,cuda -o json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if needs.Resources, err = amounts(resources); err != nil {
				return err
			}
			if err := needs.Validate(); err != nil {
				return problem.New(problem.Usage, "nobody could be asked for that", err.Error(), "leat node find --requires gpu --resources memory_mb=4096")
			}
			return a.nodes(cmd.Context(), func(list []node.Node) error {
				var found []node.Node
				for _, c := range node.Capable(list, &needs, node.NothingGiven) {
					if len(c.Node.Queues) > 0 {
						found = append(found, c.Node)
					}
				}
				if len(found) > 0 {
					return output.List(a.Print, found, rows)
				}
				return problem.New(problem.NodeMissing, "no node can run such a task now", node.WhyNone(list, &needs, node.NothingGiven).Error(), "leat node list; start an executor with --capability and --capacity")
			})
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringSliceVar(&needs.Requires, "requires", nil, "capabilities that the node must have, comma-separated")
	flags.StringSliceVar(&resources, "resources", nil, "how much of what must be free: memory_mb=4096,gpu=1")
	flags.StringVar(&needs.Queue, "queue", "", "queue whose tasks the node must run")
	return cmd
}

func amounts(specs []string) (map[string]int64, error) {
	all := make(map[string]int64)
	for _, spec := range specs {
		name, amount, ok := strings.Cut(spec, "=")
		n, err := strconv.ParseInt(strings.TrimSpace(amount), 10, 64)
		if !ok || err != nil {
			return nil, problem.New(problem.Usage, fmt.Sprintf("--resources %q cannot be read", spec), "want name=amount, a whole number", "--resources memory_mb=4096,gpu=1")
		}
		all[strings.TrimSpace(name)] = n
	}
	return all, nil
}
