package serve

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Methods of the extension.
const (
	methodGet    = "tasks/get"
	methodUpdate = "tasks/update"
	methodCancel = "tasks/cancel"
)

// taskParams is what the three methods are asked with.
type taskParams struct {
	mcp.ParamsBase
	TaskID         string                     `json:"taskId"`
	InputResponses map[string]json.RawMessage `json:"inputResponses,omitempty"`
}

// acknowledged is the answer of tasks/update and tasks/cancel.
type acknowledged struct {
	mcp.ResultBase
	ResultType string `json:"resultType"`
}

// slot is where a tool's handler puts the task that its call became: the SDK's
// result of a call has no room for one.
type slot struct{ task *Task }

type (
	slotKey   struct{}
	callerKey struct{}
)

// addExtension adds the tasks to the SDK's server.
func (s *Server) addExtension() error {
	s.sdk.AddReceivingMiddleware(s.extend)
	tasks := s.config.Tasks
	err := mcp.AddReceivingCustomMethod(s.sdk, methodGet, func(ctx context.Context, _ *mcp.ServerSession, p *taskParams) (*taskResult, error) {
		t, err := tasks.Task(ctx, callerFrom(ctx), p.TaskID)
		if err != nil {
			return nil, wireError(err)
		}
		return detailsOf(t), nil
	})
	if err != nil {
		return fmt.Errorf("add the extension of tasks: %w", err)
	}
	err = mcp.AddReceivingCustomMethod(s.sdk, methodUpdate, func(ctx context.Context, _ *mcp.ServerSession, p *taskParams) (*acknowledged, error) {
		return acknowledge(tasks.Update(ctx, callerFrom(ctx), p.TaskID, readable(p.InputResponses)))
	})
	if err != nil {
		return fmt.Errorf("add the extension of tasks: %w", err)
	}
	err = mcp.AddReceivingCustomMethod(s.sdk, methodCancel, func(ctx context.Context, _ *mcp.ServerSession, p *taskParams) (*acknowledged, error) {
		return acknowledge(tasks.Cancel(ctx, callerFrom(ctx), p.TaskID))
	})
	if err != nil {
		return fmt.Errorf("add the extension of tasks: %w", err)
	}
	return nil
}

func acknowledge(err error) (*acknowledged, error) {
	if err != nil {
		return nil, wireError(err)
	}
	return &acknowledged{ResultType: "complete"}, nil
}

// readable is the answers that can be read. The others are to nothing that was
// asked: every question is one for a person.
func readable(responses map[string]json.RawMessage) map[string]Answer {
	out := make(map[string]Answer, len(responses))
	for id, raw := range responses {
		var a Answer
		if json.Unmarshal(raw, &a) == nil && a.Action != "" {
			out[id] = a
		}
	}
	return out
}

// extend stands before every request: it says who asks, refuses what the extension
// refuses, and puts a task in the place of a call's result.
func (s *Server) extend(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		switch method {
		case methodGet, methodUpdate, methodCancel:
			if err := checkTaskRequest(method, req); err != nil {
				return nil, wireError(err)
			}
			return next(context.WithValue(ctx, callerKey{}, callerOf(req)), method, req)
		case "tools/call":
			made := new(slot)
			res, err := next(context.WithValue(ctx, slotKey{}, made), method, req)
			if err == nil && made.task != nil {
				return createdOf(made.task), nil
			}
			return res, err
		default:
			return next(ctx, method, req)
		}
	}
}

// checkTaskRequest refuses a client that does not say that it knows tasks, and a
// header that names another task than the body: who routes by it would be misled. A
// header that is missing misleads nobody, and there are clients that leave it out.
func checkTaskRequest(method string, req mcp.Request) error {
	if !callerOf(req).Tasks {
		return NeedsTasks(method)
	}
	p, ok := req.GetParams().(*taskParams)
	if !ok || p == nil || p.TaskID == "" {
		return Invalid("%s needs a taskId", method)
	}
	if e := req.GetExtra(); e != nil && e.Header != nil {
		if name := e.Header.Get("Mcp-Name"); name != "" && name != p.TaskID {
			return &Error{Code: CodeHeaderMismatch, Message: fmt.Sprintf("header mismatch: Mcp-Name is %q, and the task asked for is another one", name)}
		}
	}
	return nil
}

func callerFrom(ctx context.Context) Caller {
	who, _ := ctx.Value(callerKey{}).(Caller)
	return who
}
