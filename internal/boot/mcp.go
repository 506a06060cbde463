package boot

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/leat-io/leat/internal/boot/config"
	"github.com/leat-io/leat/internal/boot/ops"
	"github.com/leat-io/leat/internal/executor"
	"github.com/leat-io/leat/internal/executor/seat"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/mcp/directory"
	"github.com/leat-io/leat/internal/mcp/fleet"
	"github.com/leat-io/leat/internal/mcp/invoke"
	"github.com/leat-io/leat/internal/mcp/wire"
	"github.com/leat-io/leat/internal/problem"
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
func withMCP(w *executor.Executor, calls config.MCP, c mcpConfig) (worker, error) {
	if !calls.Any() {
		return w, nil
	}
	return addMCP(w, calls, c)
}

// mcpConfig is what an executor's servers share with it.
type mcpConfig struct {
	kafka   kafka.Config
	names   topics.Names
	seat    *seat.Seat // which says what this executor can reach
	logger  *slog.Logger
	metrics fleet.Metrics
}

// addMCP lets an executor make the mcp calls of definitions, and its node say which.
func addMCP(w *executor.Executor, calls config.MCP, c mcpConfig) (*mcpExecutor, error) {
	commands, err := mcpCommands(calls.Commands, calls.Env)
	if err != nil {
		return nil, err
	}
	gate, err := wire.NewGate(calls.Allow, calls.AllowPrivate, nil)
	if err != nil {
		return nil, problem.New(problem.BadSetting, "MCP servers cannot be allowed", err.Error(), "--mcp-allow 'mcp.example.com,http://127.0.0.1:3001'")
	}
	f, err := fleet.New(fleet.Config{
		NodeID: c.seat.NodeID(), Directory: directory.Config{Kafka: c.kafka, Names: c.names, Logger: c.logger}, Transport: gate, Allowed: gate.Check,
		Commands: commands, Wire: wire.Options{Name: "leat", Version: ops.Build().Version, Elicitation: true, Tasks: true}, Logger: c.logger,
		Metrics: c.metrics,
	})
	if err != nil {
		return nil, err
	}
	if err := c.seat.Can(f.Capabilities()...); err != nil {
		return nil, problem.New(problem.BadSetting, "the node cannot say which MCP servers it can call", err.Error(), "--mcp-command 'files=npx @modelcontextprotocol/server-filesystem /srv/files'")
	}
	if err := w.HandleBuiltinRunner(invoke.TaskName, invoke.New(f)); err != nil {
		return nil, problem.Wrap(problem.Internal, "mcp calls cannot be served", err)
	}
	return &mcpExecutor{Executor: w, fleet: f}, nil
}

// mcpCommands reads NAME='program arg…' and NAME=VAR=value.
func mcpCommands(specs, env []string) (map[string]fleet.Command, error) {
	out := make(map[string]fleet.Command, len(specs))
	for _, spec := range specs {
		name, line, ok := strings.Cut(spec, "=")
		argv, err := splitArgs(line)
		if name = strings.TrimSpace(name); !ok || err != nil || name == "" || len(argv) == 0 {
			return nil, problem.New(problem.Usage, fmt.Sprintf("--mcp-command %q cannot be read", spec), reasonOr(err, "want NAME=program arg…"),
				"--mcp-command 'files=npx @modelcontextprotocol/server-filesystem /srv/files'")
		}
		if _, twice := out[name]; twice {
			return nil, problem.New(problem.Usage, fmt.Sprintf("--mcp-command %s is given twice", name), "each command has a name of its own", "")
		}
		out[name] = fleet.Command{Argv: argv}
	}
	for _, spec := range env {
		name, variable, ok := strings.Cut(spec, "=")
		command, known := out[strings.TrimSpace(name)]
		variableName, _, pair := strings.Cut(variable, "=")
		if !ok || !known || !pair || variableName == "" {
			// The value may be a secret and is not shown.
			return nil, problem.New(problem.Usage, fmt.Sprintf("--mcp-env for %q cannot be used", name), "want NAME=VARIABLE=value, with the NAME of an --mcp-command", "--mcp-env 'files=LOG_LEVEL=warn'")
		}
		command.Env = append(command.Env, variable)
		out[strings.TrimSpace(name)] = command
	}
	return out, nil
}
