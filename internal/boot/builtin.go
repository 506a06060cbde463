package boot

import (
	"context"
	"encoding/json"

	"github.com/leat-io/leat/internal/executor"
	"github.com/leat-io/leat/internal/httpcall"
	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/pkg/events"
)

// CodeMCPNotAvailable fails the mcp invocations of definitions.
const CodeMCPNotAvailable = "MCP_NOT_AVAILABLE"

// mcpTask is the task that an mcp invocation is.
const mcpTask = "mcp.call"

// addHandlers gives an executor its programs and what comes with it.
func addHandlers(w *executor.Executor, running *executor.Programs, programs []string, calls httpcall.Config, mcp bool) error {
	if len(programs) == 0 && len(calls.Allow) == 0 && !mcp {
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
	if err := w.HandleBuiltinRunner(mcpTask, mcpNotAvailable{}); err != nil {
		return problem.Wrap(problem.Internal, "mcp calls cannot be answered", err)
	}
	return nil
}

// mcpNotAvailable ends an mcp invocation at once, so that no instance waits for
// what is not available. Nothing is claimed for it.
type mcpNotAvailable struct{}

// Admit refuses every attempt.
func (mcpNotAvailable) Admit(context.Context, *events.Task) (executor.Admission, error) {
	return executor.Admission{}, &events.Error{Code: CodeMCPNotAvailable, Message: "this version of Leat does not call MCP tools: make the invocation a task " +
		"(task: queue.name) of an executor of your own that calls the tool, or serve mcp.call there and not here"}
}

// Run is never called.
func (mcpNotAvailable) Run(context.Context, *events.Task) (json.RawMessage, error) { return nil, nil }
