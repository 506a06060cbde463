package memory

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"

	"github.com/leat-io/leat/internal/spi/workflow"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/topics"
)

// DefaultMaxReplay is how many events ReplayEvents lists by default.
const DefaultMaxReplay = 10_000

// Workflow is the contracts of internal/spi/workflow in memory. It has no bound on
// what is under way: a command is decided before PublishCommand returns, and only
// the completion comes later.
type Workflow struct {
	// MaxReplay is how many events ReplayEvents lists. It is set before use.
	MaxReplay int

	calls calls
	ends  ends

	mu     sync.Mutex
	closed bool
	ids    int64
	types  map[string]*workflowType
}

var (
	_ workflow.EventBus    = (*Workflow)(nil)
	_ workflow.Persistence = (*Workflow)(nil)
	_ workflow.Snapshots   = (*Workflow)(nil)
)

// workflowType is everything about one type, guarded by Workflow.mu.
type workflowType struct {
	decide    Decide
	log       *topic[events.Event]
	instances map[events.UUID]*instance
}

// NewWorkflow makes an engine without workflow types.
func NewWorkflow() *Workflow {
	return &Workflow{MaxReplay: DefaultMaxReplay, types: make(map[string]*workflowType)}
}

// Deploy makes a workflow type known. Nil decides like [Journal]. A type that is
// there stays as it is.
func (w *Workflow) Deploy(name string, partitions int32, decide Decide) {
	if decide == nil {
		decide = Journal
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.types[name] == nil {
		w.types[name] = &workflowType{decide: decide, log: newTopic[events.Event](partitions), instances: make(map[events.UUID]*instance)}
	}
}

// get is a type. w.mu is held.
func (w *Workflow) get(name string) (*workflowType, error) {
	switch t := w.types[name]; {
	case w.closed:
		return nil, workflow.ErrClosed
	case t == nil:
		return nil, fmt.Errorf("%w: %q", workflow.ErrUnknownType, name)
	default:
		return t, nil
	}
}

// PublishCommand is the contract's.
func (w *Workflow) PublishCommand(ctx context.Context, c events.Command, done func(workflow.Ack, error)) {
	ack, err := w.publish(ctx, &c)
	if err != nil {
		err = fmt.Errorf("publish %s to %q: %w", c.Command, c.WorkflowType, err)
	}
	w.calls.add(func() { done(ack, err) })
}

func (w *Workflow) publish(ctx context.Context, c *events.Command) (workflow.Ack, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.Command != events.CommandStart && c.Command != events.CommandSignal {
		return workflow.Ack{}, fmt.Errorf("%w: command %q is the executors' own", workflow.ErrInvalid, c.Command)
	}
	w.ids++
	c.Resolve(events.DeriveUUID(events.Namespace, fmt.Sprintf("memory/%p/%d", w, w.ids)))
	ack := workflow.Ack{CommandID: c.CommandID, InstanceID: c.InstanceID}
	if err := cmp.Or(c.Validate(), c.CheckNamed()); err != nil {
		return ack, fmt.Errorf("%w: %w", workflow.ErrInvalid, err)
	}
	if err := ctx.Err(); err != nil {
		return ack, err
	}
	t, err := w.get(c.WorkflowType)
	if err != nil {
		return ack, err
	}
	made, err := t.decideOn(c, &ack)
	partition := topics.Partition([]byte(c.InstanceID.String()), int32(len(t.log.logs))) //nolint:gosec // partition counts are small
	for i := range made {
		t.log.add(partition, func(int64) events.Event { return made[i] })
	}
	return ack, err
}

// ReplayEvents is the contract's.
func (w *Workflow) ReplayEvents(ctx context.Context, workflowType string, id events.UUID, from int64) ([]events.Event, error) {
	if from < 1 {
		return nil, fmt.Errorf("replay: %w: sequence numbers begin at 1", workflow.ErrInvalid)
	}
	all, err := w.history(ctx, workflowType, id)
	if err != nil {
		return nil, fmt.Errorf("replay: %w", err)
	}
	all = all[min(from-1, int64(len(all))):]
	if len(all) > w.MaxReplay {
		return nil, fmt.Errorf("replay: %w: there are more than %d", workflow.ErrTooLarge, w.MaxReplay)
	}
	return slices.Clone(all), nil
}

// history is the instance's events as they are now; they are only ever added to.
func (w *Workflow) history(ctx context.Context, workflowType string, id events.UUID) ([]events.Event, error) {
	if id.IsNil() {
		return nil, fmt.Errorf("%w: no instance is named", workflow.ErrInvalid)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	t, err := w.get(workflowType)
	if err != nil {
		return nil, err
	}
	if i := t.instances[id]; i != nil {
		return i.events, nil
	}
	return nil, nil
}

// EventsStream is the contract's.
func (w *Workflow) EventsStream(ctx context.Context, workflowType string, id events.UUID, limit int) iter.Seq2[events.Event, error] {
	return func(yield func(events.Event, error) bool) {
		if limit < 0 {
			yield(events.Event{}, fmt.Errorf("stream: %w: limit %d is below 0", workflow.ErrInvalid, limit))
			return
		}
		if limit == 0 {
			limit = workflow.DefaultStreamLimit
		}
		all, err := w.history(ctx, workflowType, id)
		if err != nil {
			yield(events.Event{}, fmt.Errorf("stream: %w", err))
			return
		}
		for _, e := range all[:min(limit, len(all))] {
			if err := ctx.Err(); err != nil {
				yield(events.Event{}, fmt.Errorf("stream: %w", err))
				return
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

// LoadSnapshot is the contract's.
func (w *Workflow) LoadSnapshot(ctx context.Context, workflowType string, id events.UUID) (events.Snapshot, error) {
	if _, err := w.history(ctx, workflowType, id); err != nil {
		return events.Snapshot{}, fmt.Errorf("load snapshot: %w", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	i := w.types[workflowType].instances[id]
	if i == nil {
		return events.Snapshot{}, fmt.Errorf("load snapshot: %w: %s of %q", workflow.ErrNotFound, id, workflowType)
	}
	s := i.snapshot
	s.Seen = slices.Clone(s.Seen)
	return s, nil
}

// SubscribeEvents is the contract's.
func (w *Workflow) SubscribeEvents(ctx context.Context, s workflow.Subscription, handle workflow.Handler) (workflow.Unsubscribe, error) {
	if s.Group == "" || handle == nil {
		return nil, fmt.Errorf("subscribe: %w: group and handler are required", workflow.ErrInvalid)
	}
	for _, wanted := range s.EventTypes {
		if !slices.Contains(events.EventTypes(), wanted) {
			return nil, fmt.Errorf("subscribe: %w: %q is no event type", workflow.ErrInvalid, wanted)
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	w.mu.Lock()
	t, err := w.get(s.Type)
	w.mu.Unlock()
	if err != nil {
		return nil, fmt.Errorf("subscribe: %w", err)
	}
	wanted := slices.Clone(s.EventTypes)
	end := t.log.subscribe(s.Group, func(ctx context.Context, e events.Event) error {
		if len(wanted) > 0 && !slices.Contains(wanted, e.EventType) {
			return nil
		}
		return handle(ctx, e)
	})
	w.ends.add(end)
	return end, nil
}

// Close ends every subscription and refuses everything from then on. The
// handlers under way are waited for.
func (w *Workflow) Close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.ends.close()
}
