package offer

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/leat-io/leat/internal/mcp/serve"
	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

// Definitions is what is deployed.
type Definitions interface {
	Types() []string
	// Machine is a version of a type, the newest for 0.
	Machine(workflowType string, version int32) (*fsm.Machine, bool)
	// Sync takes in what is deployed by now.
	Sync(ctx context.Context) error
}

// Config says what is offered. Client and Definitions are required.
type Config struct {
	Client      *client.Client // with brokers: what it reads reflects what it wrote
	Definitions Definitions
	Poll        time.Duration // how long clients wait before they ask for a task again; default 1 s
	Logger      *slog.Logger  // default: none
}

// Workflows is the workflows that are offered, as tools and as their tasks. It is
// safe for concurrent use.
type Workflows struct {
	config   Config
	stopping chan struct{}
	stopped  atomic.Bool
}

var _ serve.Tasks = (*Workflows)(nil)

// New offers what c says.
func New(c Config) *Workflows {
	c.Poll = cmp.Or(c.Poll, time.Second)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &Workflows{config: c, stopping: make(chan struct{})}
}

// Stop answers what is waited for, as far as it can be answered now: as a task. From
// then on a call that goes away ends nothing, since it was this process that left.
func (w *Workflows) Stop() {
	if !w.stopped.Swap(true) {
		close(w.stopping)
	}
}

// Tools is every workflow that is offered now: the newest version of its definition
// says how.
func (w *Workflows) Tools() []serve.Tool {
	var tools []serve.Tool
	for _, name := range w.config.Definitions.Types() {
		m, ok := w.config.Definitions.Machine(name, 0)
		if !ok || m.Definition().Tool == nil {
			continue
		}
		input := m.Definition().InputSchema
		if input == nil {
			input = []byte(`{"type":"object"}`)
		}
		tools = append(tools, serve.Tool{
			Name: name, Description: m.Definition().Tool.Description, Input: input,
			Call: func(ctx context.Context, c *serve.Call) (serve.Outcome, error) { return w.Call(ctx, name, c) },
		})
	}
	return tools
}

// find reads an instance that a caller started. Those of others are not there.
func (w *Workflows) find(ctx context.Context, who serve.Caller, id string) (*client.Instance, error) {
	workflowType, instance, ok := parseTaskID(id)
	if !ok {
		return nil, serve.ErrNoTask
	}
	s, err := w.config.Client.Get(ctx, workflowType, events.Ref{ID: instance}.String(), client.GetOptions{})
	switch {
	case errors.Is(err, client.ErrNotFound), errors.Is(err, client.ErrForgotten), errors.Is(err, client.ErrUnknownType):
		return nil, serve.ErrNoTask
	case err != nil:
		return nil, err
	case !startedBy(who, &s):
		return nil, serve.ErrNoTask
	}
	return &s, nil
}

func startedBy(who serve.Caller, s *client.Instance) bool {
	prefix := keyPrefix(who)
	return len(s.Key) > len(prefix) && s.Key[:len(prefix)] == prefix
}

// Task is where an instance stands.
func (w *Workflows) Task(ctx context.Context, who serve.Caller, id string) (*serve.Task, error) {
	s, err := w.find(ctx, who, id)
	if err != nil {
		return nil, err
	}
	return w.taskOf(s), nil
}

// Cancel asks an instance to end in good order.
func (w *Workflows) Cancel(ctx context.Context, who serve.Caller, id string) error {
	s, err := w.find(ctx, who, id)
	if err != nil || s.State.Finished() {
		return err
	}
	return w.cancel(ctx, s.WorkflowType, s.InstanceID, "asked for by "+who.Name)
}

func (w *Workflows) cancel(ctx context.Context, workflowType string, id events.UUID, why string) error {
	_, err := w.config.Client.Send(ctx, client.LifeRequest{
		Type: workflowType, InstanceID: id, Command: events.CommandCancel, Reason: why,
	})
	return err
}
