package boot

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/leat-io/leat/internal/boot/config"
	"github.com/leat-io/leat/internal/boot/ops"
	"github.com/leat-io/leat/internal/executor"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/mcp/directory"
	"github.com/leat-io/leat/internal/mcp/fleet"
	"github.com/leat-io/leat/internal/mcp/invoke"
	"github.com/leat-io/leat/internal/mcp/routing"
	"github.com/leat-io/leat/internal/mcp/wire"
	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/topics"
)

// mcpExecutor is an executor with the MCP servers that it may call. Its servers
// outlive its tasks: a call that runs when the executor stops has its connection
// until the executor gives it up.
type mcpExecutor struct {
	*executor.Executor

	fleet *fleet.Fleet
}

// Run runs both; the fleet ends behind the executor.
func (m *mcpExecutor) Run(ctx context.Context) error {
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	g := newGroup(ctx)
	g.Go(func(context.Context) error { return m.fleet.Run(serving) })
	g.Go(func(ctx context.Context) error {
		defer stop()
		return m.Executor.Run(ctx)
	})
	return g.Wait()
}

// withMCP is w with the mcp calls of definitions, when this process may make any.
// An executor that may make none leaves queue mcp to those that may.
func withMCP(w *executor.Executor, calls config.MCP, k kafka.Config, names topics.Names, node string, metrics fleet.Metrics, logger *slog.Logger) (worker, error) {
	if !calls.Any() {
		return w, nil
	}
	return addMCP(w, calls, k, names, node, metrics, logger)
}

// addMCP lets an executor make the mcp calls of definitions.
func addMCP(w *executor.Executor, calls config.MCP, k kafka.Config, names topics.Names, node string, metrics fleet.Metrics, logger *slog.Logger) (*mcpExecutor, error) {
	commands, err := mcpCommands(calls.Commands, calls.Env)
	if err != nil {
		return nil, err
	}
	policy := cmp.Or(routing.Policy(calls.Routing), routing.RoundRobin)
	if !slices.Contains(routing.Policies(), policy) {
		return nil, problem.New(problem.BadSetting, fmt.Sprintf("setting mcp-routing has the value %q", calls.Routing), "there is no such policy", "use round_robin, least_loaded or weighted")
	}
	gate, err := wire.NewGate(calls.Allow, calls.AllowPrivate, nil)
	if err != nil {
		return nil, problem.New(problem.BadSetting, "MCP servers cannot be allowed", err.Error(), "--mcp-allow 'mcp.example.com,http://127.0.0.1:3001'")
	}
	f, err := fleet.New(fleet.Config{
		NodeID: node, Directory: directory.Config{Kafka: k, Names: names, Logger: logger}, Transport: gate, Allowed: gate.Check,
		Commands: commands, Wire: wire.Options{Name: "leat", Version: ops.Build().Version, Elicitation: true, Tasks: true}, Policy: policy, Metrics: metrics, Logger: logger,
	})
	if err != nil {
		return nil, err
	}
	if err := w.HandleBuiltinRunner(invoke.TaskName, invoke.New(f)); err != nil {
		return nil, problem.Wrap(problem.Internal, "mcp calls cannot be served", err)
	}
	return &mcpExecutor{Executor: w, fleet: f}, nil
}

// mcpCapabilities adds what a node can do because of its MCP servers to its capabilities:
// mcp:http, and mcp:stdio:NAME for each command.
func mcpCapabilities(capabilities []string, m config.MCP) []string {
	all := slices.Clone(capabilities)
	if len(m.Allow) > 0 {
		all = append(all, "mcp:http")
	}
	for _, spec := range m.Commands {
		name, _, _ := strings.Cut(spec, "=")
		all = append(all, "mcp:stdio:"+name)
	}
	return all
}

// mcpCommands reads NAME=/path arg… and NAME=VAR=value. Values are never repeated
// in an error.
func mcpCommands(specs, env []string) (map[string]fleet.Command, error) {
	const example = "--mcp-command 'files=/usr/local/bin/mcp-server-filesystem /data' --mcp-env files=HOME=/tmp"
	all := make(map[string]fleet.Command, len(specs))
	for _, spec := range specs {
		name, line, ok := strings.Cut(spec, "=")
		argv, err := splitArgs(line)
		switch {
		case !ok || err != nil || len(argv) == 0:
			return nil, problem.New(problem.Usage, fmt.Sprintf("--mcp-command %q cannot be read", spec), reasonOr(err, "want NAME=/path arg…"), example)
		case events.CheckSubsystemID("name", name) != nil:
			return nil, problem.New(problem.Usage, fmt.Sprintf("--mcp-command %q has no name", spec), "want NAME=/path arg…", example)
		case !filepath.IsAbs(argv[0]):
			return nil, problem.New(problem.Usage, fmt.Sprintf("--mcp-command %q has no absolute path", spec), argv[0]+" may be another program tomorrow, or elsewhere", example)
		}
		if _, twice := all[name]; twice {
			return nil, problem.New(problem.Usage, fmt.Sprintf("--mcp-command %s is given twice", name), "", example)
		}
		all[name] = fleet.Command{Argv: argv}
	}
	for _, spec := range env {
		name, rest, ok := strings.Cut(spec, "=")
		variable, value, given := strings.Cut(rest, "=")
		command, known := all[name]
		switch {
		case !ok || variable == "":
			return nil, problem.New(problem.Usage, fmt.Sprintf("--mcp-env of %q cannot be read", name), "want NAME=VAR=value, or NAME=VAR for the value that VAR has here", example)
		case !known:
			return nil, problem.New(problem.Usage, fmt.Sprintf("--mcp-env is for a command %q that is not there", name), "", example)
		case !given:
			if value, given = os.LookupEnv(variable); !given {
				return nil, problem.New(problem.Usage, fmt.Sprintf("--mcp-env %s=%s has no value", name, variable), "the variable is not set here", "set it, or write the value behind it")
			}
		}
		command.Env = append(command.Env, variable+"="+value)
		all[name] = command
	}
	return all, nil
}
