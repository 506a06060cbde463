package offer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"time"

	"github.com/leat-io/leat/internal/mcp/serve"
	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

// Codes of results that say that the tool did not do what it was asked to.
const (
	codeArguments = "INVALID_ARGUMENTS"
	codeRejected  = "REJECTED"
)

// Call makes one call of the tool that a workflow is.
func (w *Workflows) Call(ctx context.Context, name string, c *serve.Call) (serve.Outcome, error) {
	m, ok := w.config.Definitions.Machine(name, 0)
	if !ok || m.Definition().Tool == nil {
		return nil, serve.Invalid("unknown tool %q", name)
	}
	tool := m.Definition().Tool
	if tool.Task == fsm.ToolTaskMust && !c.Caller.Tasks {
		return nil, serve.NeedsTasks("the tool " + name)
	}
	o := &ongoing{Workflows: w, caller: c.Caller, tool: tool, asks: asksPeople(m.Definition().Root), keyed: c.Key != "" || c.State != ""}
	var refused *serve.Result
	var err error
	if c.State != "" {
		err = o.goOn(ctx, name, c)
	} else {
		refused, err = o.start(ctx, m, c)
	}
	switch {
	case err != nil:
		return nil, err
	case refused != nil:
		return refused, nil
	case tool.Task == fsm.ToolTaskMust:
		return o.asTask(ctx, false)
	}
	return o.wait(ctx)
}

// ongoing is a call whose instance goes on.
type ongoing struct {
	*Workflows
	caller serve.Caller
	tool   *fsm.Tool
	asks   bool // the workflow may ask people
	keyed  bool // the caller can come back to the instance by another call
	run    *client.Run
}

// id is the task that the call is, or may become.
func (o *ongoing) id() string { return taskID(o.run.Type(), o.run.InstanceID()) }

// start begins the instance of a call. What is wrong with the arguments is a result,
// so that the model that made them can mend them.
func (o *ongoing) start(ctx context.Context, m *fsm.Machine, c *serve.Call) (*serve.Result, error) {
	d := m.Definition()
	arguments := c.Arguments
	if len(arguments) == 0 || string(arguments) == "null" {
		arguments = json.RawMessage("{}")
	}
	if trimmed := bytes.TrimLeft(arguments, " \t\r\n"); len(trimmed) == 0 || trimmed[0] != '{' {
		return nil, serve.Invalid("the arguments of a tool are an object")
	}
	if d.CheckInput != nil {
		if err := d.CheckInput(arguments); err != nil {
			return failure(codeArguments, err.Error()), nil
		}
	}
	var err error
	o.run, err = o.config.Client.Start(ctx, client.StartRequest{Type: d.Type, Version: d.Version, Key: keyOf(c.Caller, c.Key), Input: arguments})
	if err != nil {
		return nil, err
	}
	if c.Key == "" {
		return nil, nil //nolint:nilnil // nothing was refused
	}
	return nil, o.checkSame(ctx, arguments)
}

// checkSame refuses an idempotency key that was used for other arguments: what was
// asked for then is not what is asked for now.
func (o *ongoing) checkSame(ctx context.Context, arguments json.RawMessage) error {
	s, err := o.find(ctx, o.caller, o.id())
	switch {
	case errors.Is(err, serve.ErrNoTask), errors.Is(err, client.ErrNoRouter):
		return nil // it is refused, or not decided yet: the wait says which
	case err != nil:
		return err
	case !sameJSON(s.Chart.Input, arguments):
		return serve.Invalid("the idempotency key was used for a call with other arguments")
	}
	return nil
}

func sameJSON(a, b json.RawMessage) bool {
	if bytes.Equal(a, b) {
		return true
	}
	read := func(raw json.RawMessage) (v any) {
		d := json.NewDecoder(bytes.NewReader(raw))
		d.UseNumber()
		_ = d.Decode(&v)
		return v
	}
	return reflect.DeepEqual(read(a), read(b))
}

// goOn continues a call that asked its caller, with the answers.
func (o *ongoing) goOn(ctx context.Context, name string, c *serve.Call) error {
	s, err := o.find(ctx, c.Caller, c.State)
	switch {
	case errors.Is(err, serve.ErrNoTask), err == nil && s.WorkflowType != name:
		return serve.Invalid("requestState is not that of a call of %s", name)
	case err != nil:
		return err
	}
	if err := o.answer(ctx, c.Caller, s, c.Answers); err != nil {
		return err
	}
	o.run, err = o.config.Client.Attach(ctx, s.WorkflowType, events.Ref{ID: s.InstanceID}.String())
	return err
}

// failure is a result that says what went wrong.
func failure(code, message string) *serve.Result {
	text := code
	if message != "" {
		text += ": " + message
	}
	return &serve.Result{Text: text, Failed: true}
}

// leave is for a caller who has gone: nobody will ask for the instance, so it is
// cancelled. A call with an idempotency key may be made again, and would find it
// cancelled: that one goes on.
func (o *ongoing) leave(ctx context.Context) {
	if o.keyed || o.stopped.Load() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := o.cancel(ctx, o.run.Type(), o.run.InstanceID(), "the call of "+o.caller.Name+" was closed"); err != nil {
		o.config.Logger.Warn("cannot cancel what a closed call started", "task", o.id(), "error", err)
	}
}
