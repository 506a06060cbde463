package boot

import (
	"github.com/leat-io/leat/internal/boot/config"
	"github.com/leat-io/leat/internal/executor"
	"github.com/leat-io/leat/internal/httpcall"
	"github.com/leat-io/leat/internal/problem"
)

// addHandlers gives an executor its programs and what comes with it.
func addHandlers(w *executor.Executor, running *executor.Programs, programs []string, calls httpcall.Config, mcp config.MCP) error {
	if len(programs) == 0 && len(calls.Allow) == 0 && !mcp.Any() {
		return problem.New(problem.Usage, "the executor has nothing to run", "none of --exec, --http, --http-allow, --mcp-allow and --mcp-command is given",
			"executor --exec 'queue.task=program arg…', executor --http 127.0.0.1:8474 for workers in any language, executor --http-allow api.example.com, or write one in Go with pkg/executor")
	}
	if err := addPrograms(w, running, programs); err != nil {
		return err
	}
	// An executor without a list leaves queue http to those that have one: it
	// would refuse its share of their calls.
	return addBuiltins(w, calls, len(calls.Allow) > 0)
}

// addBuiltins adds the calls that definitions make by themselves, on queues for
// which there is no program.
func addBuiltins(w *executor.Executor, calls httpcall.Config, withHTTP bool) error {
	caller, err := httpcall.New(calls)
	if err != nil {
		return problem.New(problem.BadSetting, "http calls cannot be allowed", err.Error(), "--http-allow 'api.example.com,*.partner.example,http://10.0.0.7:8080'")
	}
	if withHTTP {
		if err := w.HandleBuiltin(httpcall.TaskName, caller.Handle); err != nil {
			return problem.Wrap(problem.Internal, "http calls cannot be served", err)
		}
	}
	return nil
}
