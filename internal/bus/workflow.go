package bus

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/spi/workflow"
	"github.com/leat-io/leat/pkg/events"
)

// Workflow is the contracts of internal/spi/workflow on Kafka: commands go to the
// routers, decisions and histories come from the topics. Up to 10,000 commands
// are under way before PublishCommand blocks.
type Workflow struct {
	config Config
	bus    *EventBus
	life   context.Context //nolint:containedctx // ends with Close
	end    context.CancelFunc
	room   chan struct{} // one element a command under way

	mu     sync.Mutex
	closed bool
	feeds  map[string]*feed // by workflow type
	all    sync.WaitGroup   // of the feeds
}

var (
	_ workflow.EventBus    = (*Workflow)(nil)
	_ workflow.Persistence = (*Workflow)(nil)
	_ workflow.Snapshots   = (*Workflow)(nil)
)

// maxUnderWay is how many commands may be under way.
const maxUnderWay = 10_000

// NewWorkflow makes an engine's client. It connects when it is first used.
func NewWorkflow(c Config) (*Workflow, error) {
	bus, err := NewEventBus(c)
	if err != nil {
		return nil, err
	}
	w := &Workflow{config: bus.config, bus: bus, room: make(chan struct{}, maxUnderWay), feeds: make(map[string]*feed)}
	w.life, w.end = context.WithCancel(context.Background())
	return w, nil
}

// PublishCommand is the contract's.
func (w *Workflow) PublishCommand(ctx context.Context, c events.Command, done func(workflow.Ack, error)) {
	ack, err := prepare(&c)
	if err == nil {
		select {
		case w.room <- struct{}{}:
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	if err != nil {
		go done(ack, fmt.Errorf("publish %s to %q: %w", c.Command, c.WorkflowType, err))
		return
	}
	p := &publication{command: &c, ack: ack}
	p.done = func(ack workflow.Ack, err error) {
		<-w.room
		if err != nil {
			err = fmt.Errorf("publish %s to %q: %w", c.Command, c.WorkflowType, err)
		}
		done(ack, err)
	}
	for taken := false; !taken; { // a feed that has just failed takes nothing; the next one tries again
		taken = w.feed(c.WorkflowType).publish(ctx, p)
	}
}

// prepare completes and checks a command.
func prepare(c *events.Command) (workflow.Ack, error) {
	if c.Command != events.CommandStart && c.Command != events.CommandSignal {
		return workflow.Ack{}, fmt.Errorf("%w: command %q is the executors' own", workflow.ErrInvalid, c.Command)
	}
	c.Resolve(newID())
	ack := workflow.Ack{CommandID: c.CommandID, InstanceID: c.InstanceID}
	if err := cmp.Or(c.Validate(), c.CheckNamed()); err != nil {
		return ack, fmt.Errorf("%w: %w", workflow.ErrInvalid, err)
	}
	return ack, nil
}

func newID() events.UUID {
	var u events.UUID
	_, _ = rand.Read(u[:]) // never fails
	u[6] = u[6]&0x0f | 0x40
	u[8] = u[8]&0x3f | 0x80
	return u
}

// feed is the one that follows the decisions of a type.
func (w *Workflow) feed(workflowType string) *feed {
	w.mu.Lock()
	defer w.mu.Unlock()
	f := w.feeds[workflowType]
	if f == nil {
		f = newFeed(w, workflowType)
		w.feeds[workflowType] = f
		if w.closed {
			f.fail(workflow.ErrClosed)
			return f
		}
		w.all.Go(f.run)
	}
	return f
}

// explain gives an error of Kafka the contract's name, if it has one.
func (w *Workflow) explain(workflowType string, err error) error {
	switch {
	case err == nil:
		return nil
	case w.life.Err() != nil:
		return errors.Join(workflow.ErrClosed, err)
	case kafka.NoTopic(err):
		return fmt.Errorf("%w: %q: %w", workflow.ErrUnknownType, workflowType, err)
	default:
		return err
	}
}

// SubscribeEvents is the contract's.
func (w *Workflow) SubscribeEvents(ctx context.Context, s workflow.Subscription, handle workflow.Handler) (workflow.Unsubscribe, error) {
	if s.Group == "" || handle == nil {
		return nil, fmt.Errorf("subscribe: %w: group and handler are required", workflow.ErrInvalid)
	}
	if err := events.CheckWorkflowType("type", s.Type); err != nil {
		return nil, fmt.Errorf("subscribe: %w: %w", workflow.ErrInvalid, err)
	}
	for _, wanted := range s.EventTypes {
		if !slices.Contains(events.EventTypes(), wanted) {
			return nil, fmt.Errorf("subscribe: %w: %q is no event type", workflow.ErrInvalid, wanted)
		}
	}
	wanted := slices.Clone(s.EventTypes)
	end, err := w.bus.subscribe(ctx, w.config.Names.Events(s.Type), s.Group, func(ctx context.Context, r *kafka.Record) error {
		if !matches(r, wanted) {
			return nil
		}
		e, err := avro.DecodeFact(r.Key, r.Value, r.Offset)
		if errors.Is(err, avro.ErrForeign) {
			w.foreign(ctx, r, err)
			return nil // it would come again for ever
		}
		if err != nil {
			return fmt.Errorf("a newer engine may have written it: %w", err)
		}
		return handle(ctx, e)
	})
	if err != nil {
		return nil, fmt.Errorf("subscribe: %w", w.explain(s.Type, err))
	}
	return end, nil
}

// matches reads the header that every event carries its type in.
func matches(r *kafka.Record, wanted []events.EventType) bool {
	if len(wanted) == 0 {
		return true
	}
	for _, h := range r.Headers {
		if h.Key == "ce_type" {
			return slices.Contains(wanted, events.EventType(h.Value))
		}
	}
	return true
}

// Close ends every subscription and fails what is under way with ErrClosed.
func (w *Workflow) Close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.end()
	w.all.Wait()
	w.bus.Close()
}
