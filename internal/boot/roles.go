package boot

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/leat-io/leat/internal/boot/ops"
	"github.com/leat-io/leat/internal/console"
	"github.com/leat-io/leat/internal/executor"
	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/internal/projector"
	"github.com/leat-io/leat/internal/router"
)

// Default addresses of /metrics, /livez, /readyz and /version.
const (
	routerOps    = "127.0.0.1:8471"
	projectorOps = "127.0.0.1:8472"
	executorOps  = "127.0.0.1:8473"
)

// Router is the role that decides.
func Router() Role {
	return Role{
		Name: "router", Short: "decides every command, and writes the history", OpsAddr: routerOps,
		Example: "  router --brokers kafka-1:9092,kafka-2:9092 --slot router-0 --data /var/lib/leat\n" +
			"  KAFKA_BROKERS=kafka:9092 LEAT_TYPES=order,payment router",
		start: func(p *process) (worker, error) {
			slot, err := slotName(p.settings.Text("slot"))
			if err != nil {
				return nil, err
			}
			dir, err := dataDir(p.settings.Text("data"), "router-"+slot)
			if err != nil {
				return nil, err
			}
			p.health.Add("disk", ops.DiskCheck(dir))
			return router.New(router.Config{
				Kafka: p.kafka, Names: p.settings.Names(), Slot: slot, Group: p.settings.Text("group"), Dir: dir,
				Types: p.settings.List("types"), ReplicationFactor: int16(p.settings.Int("replication-factor")), //nolint:gosec // a small number
				Version: ops.Build().Version, Endpoint: p.servers[0].URL(), Logger: p.logger, Metrics: p.metrics.Router(),
			})
		},
	}
}

// slotName is stable over restarts: transactional ids and the group membership
// are made from it.
func slotName(asked string) (string, error) {
	if asked != "" {
		return asked, nil
	}
	host, err := os.Hostname()
	if err != nil {
		return "", problem.New(problem.BadSetting, "the slot has no name", "this machine has no host name: "+err.Error(), "give --slot, a name that stays the same when the worker restarts")
	}
	return host, nil
}

// Projector is the role that answers queries.
func Projector() Role {
	return Role{
		Name: "projector", Short: "follows every workflow and answers queries over HTTP", OpsAddr: projectorOps,
		Example: "  projector --brokers kafka-1:9092,kafka-2:9092 --http 0.0.0.0:8470 --ops-addr 0.0.0.0:8472\n" +
			"  KAFKA_BROKERS=kafka:9092 projector --data /var/lib/leat",
		start: func(p *process) (worker, error) {
			dir, err := dataDir(p.settings.Text("data"), "projector")
			if err != nil {
				return nil, err
			}
			p.health.Add("disk", ops.DiskCheck(dir))
			w, err := projector.New(projector.Config{
				Kafka: p.kafka, Names: p.settings.Names(), Dir: dir, Logger: p.logger, Metrics: p.metrics.Projector(),
				Version: ops.Build().Version, Endpoint: p.servers[0].URL(), Page: console.Handler(),
			})
			if err != nil {
				return nil, err
			}
			return w, p.serveAPI(w)
		},
	}
}

// Executor is the role that runs tasks with the programs of --exec, and hands them
// to workers over HTTP. Handlers in Go are programs of their own: see pkg/executor.
func Executor() Role {
	return Role{
		Name: "executor", Short: "runs the tasks of workflows", OpsAddr: executorOps,
		Example: "  executor --brokers kafka:9092 --exec 'mail.send=/usr/local/bin/send-mail --html' --exec 'pdf.*=./render'\n" +
			"  KAFKA_BROKERS=kafka:9092 LEAT_CONCURRENCY=64 executor --exec 'quakes.classify=./classify.py'\n" +
			"  executor --brokers kafka:9092 --http-allow 'api.example.com,*.partner.example'    # the http calls of definitions\n" +
			"  executor --brokers kafka:9092 --mcp-allow tools.example.com --mcp-command 'time=/usr/bin/mcp-server-time'    # MCP servers\n" +
			"  executor --brokers kafka:9092 --http 127.0.0.1:8474    # workers in any language poll for tasks\n\n" +
			"A program reads the task's input as JSON on standard input and writes the result as JSON on standard output.\n" +
			"Exit code 0 is success, 65 a final failure, any other a failure that may be retried. A line of JSON on file\n" +
			"descriptor 3 is kept for the next attempt, which finds it in LEAT_HEARTBEAT_DETAILS.",
		start: startExecutor,
	}
}

// startExecutor runs programs, hands tasks to workers elsewhere, or both.
func startExecutor(p *process) (worker, error) {
	addr, programs, calls, mcp := p.settings.Text("gateway.http"), p.settings.List("exec"), p.settings.HTTPCalls(), p.settings.MCP()
	seat, err := p.seat()
	if err != nil {
		return nil, err
	}
	all := together{seat}
	var served []string
	if addr == "" || len(programs) > 0 || len(calls.Allow) > 0 || mcp.Any() {
		w, err := executor.New(executor.Config{
			Kafka: p.kafka, Names: p.settings.Names(), Group: p.settings.Text("group"),
			NodeID: seat.NodeID(), Seat: seat, Concurrency: p.settings.Int("concurrency"), DrainTimeout: p.settings.Duration("drain-timeout"),
			Logger: p.logger, Metrics: p.metrics.Executor(),
		})
		if err != nil {
			return nil, err
		}
		if err := addHandlers(w, p.programs, programs, calls, mcp); err != nil {
			return nil, err
		}
		runs, err := withMCP(w, mcp, p.kafka, p.settings.Names(), seat.NodeID(), p.metrics.MCP(), p.logger)
		if err != nil {
			return nil, err
		}
		all, served = append(all, runs), w.Queues()
	}
	token, err := p.settings.GatewayToken()
	if err != nil {
		return nil, err
	}
	if addr != "" {
		w, err := p.serveGateway(addr, token, served, seat)
		if err != nil {
			return nil, err
		}
		all = append(all, w)
	}
	return all, nil
}

// addPrograms adds a handler for each 'queue.task=program arg…'.
func addPrograms(w *executor.Executor, running *executor.Programs, specs []string) error {
	for _, spec := range specs {
		name, command, ok := strings.Cut(spec, "=")
		argv, err := splitArgs(command)
		if !ok || err != nil || len(argv) == 0 {
			return problem.New(problem.Usage, fmt.Sprintf("--exec %q cannot be read", spec), reasonOr(err, "want queue.task=program arg…"), "executor --exec 'mail.send=./send-mail --html'")
		}
		h, err := executor.Program{Argv: argv, Running: running}.Handler()
		if err == nil {
			err = w.Handle(strings.TrimSpace(name), h)
		}
		if err != nil {
			return problem.New(problem.Usage, fmt.Sprintf("--exec %q cannot be used", spec), err.Error(), "")
		}
	}
	return nil
}

func reasonOr(err error, text string) string {
	if err != nil {
		return err.Error()
	}
	return text
}

// dataDir is the directory of a role's local copy.
func dataDir(asked, name string) (string, error) {
	if asked == "" {
		cache, err := os.UserCacheDir()
		if err != nil { // a container without HOME
			cache = os.TempDir()
		}
		asked = filepath.Join(cache, "leat", name)
	}
	dir, err := filepath.Abs(asked)
	if err != nil {
		return "", problem.Wrap(problem.DirectoryBad, "cannot use data directory "+asked, err)
	}
	return dir, nil
}
