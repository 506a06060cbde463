package boot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/leat-io/leat/internal/boot/config"
	"github.com/leat-io/leat/internal/boot/ops"
	"github.com/leat-io/leat/internal/egress"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/mcp/directory"
	"github.com/leat-io/leat/internal/mcp/fleet"
	"github.com/leat-io/leat/internal/mcp/routing"
	"github.com/leat-io/leat/internal/mcp/wire"
	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/topics"
)

// fleetOptions is what a fleet is made from.
type fleetOptions struct {
	MCP     config.MCP
	NodeID  string
	Kafka   kafka.Config
	Names   topics.Names
	Metrics fleet.Metrics
	Logger  *slog.Logger
}

// newFleet is the MCP servers that an executor may call.
func newFleet(o fleetOptions) (*fleet.Fleet, error) {
	commands, err := mcpCommands(o.MCP.Commands, o.MCP.Env)
	if err != nil {
		return nil, err
	}
	policy := routing.Policy(o.MCP.Routing)
	if !slices.Contains(routing.Policies(), policy) {
		return nil, problem.New(problem.BadSetting, fmt.Sprintf("setting mcp-routing has the value %q", o.MCP.Routing), "there is no such policy", "use round_robin, least_loaded or weighted")
	}
	c := fleet.Config{
		NodeID: o.NodeID, Directory: directory.Config{Kafka: o.Kafka, Names: o.Names, Logger: o.Logger}, Commands: commands, Policy: policy,
		Wire: wire.Options{Name: "leat", Version: ops.Build().Version, Elicitation: true, Tasks: true}, Logger: o.Logger, Metrics: o.Metrics,
	}
	if len(o.MCP.Allow) > 0 {
		gate, err := egress.New(egress.Config{
			Allow: o.MCP.Allow, AllowPrivate: o.MCP.AllowPrivate, For: "calls of MCP servers", Flag: "--mcp-allow", IdlePerHost: 64, Uncompressed: true,
		})
		if err != nil {
			return nil, problem.New(problem.BadSetting, "MCP servers cannot be allowed", err.Error(), "--mcp-allow 'tools.example.com,*.partner.example,http://10.0.0.7:8080'")
		}
		c.Transport, c.Allowed = gate, gate.Check
	}
	return fleet.New(c)
}

// withMCP adds what a node can do because of its MCP servers to its capabilities:
// mcp:http, and mcp:stdio:NAME for each command.
func withMCP(capabilities []string, m config.MCP) []string {
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

// calling is an executor with the MCP servers that its tasks call: those end when
// it has ended, so that no running call loses its connection.
type calling struct {
	worker

	servers *fleet.Fleet
}

// Run runs both; what ends one ends the other.
func (c calling) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	ended := make(chan error, 1)
	go func() {
		ended <- c.servers.Run(life)
		cancel()
	}()
	err := c.worker.Run(ctx)
	end()
	return errors.Join(err, <-ended)
}
