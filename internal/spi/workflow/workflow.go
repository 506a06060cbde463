// Package workflow is the contract of a workflow engine as its users see it: send
// commands, read back what was decided.
//
// Only the router writes events. To publish is to send a command that the router
// decides; its [Ack] names the sequenced and committed event that it led to. The
// router alone gives events their order and number.
//
// Two implementations keep the contract: internal/bus over Kafka and a router,
// and internal/memory. Both pass the suite TestWorkflow of internal/spi/spitest.
//
// Left out, because today nothing but the router could implement it, and an
// interface needs a second implementation: storing events (store_events_batch),
// appending one ready-made event, saving snapshots, transactions and archiving;
// coordinating tasks is the router's own business. Deleting or changing an event
// is not offered, ever.
package workflow

import (
	"context"
	"errors"
	"iter"

	"github.com/leat-io/leat/pkg/events"
)

// Errors that a caller may branch on, with errors.Is. The context's own error
// comes through as well.
var (
	ErrUnknownType = errors.New("no such workflow type is deployed")
	ErrNotFound    = errors.New("no such instance")
	ErrTooLarge    = errors.New("too many events for a list: use the stream")
	ErrConflict    = errors.New("the instance is not at the expected sequence")
	ErrRejected    = errors.New("the command cannot be done")
	ErrInvalid     = errors.New("the request itself is wrong")
	ErrClosed      = errors.New("the bus is closed")
)

// DefaultStreamLimit is how many events [Persistence.EventsStream] yields at
// most when it is given no limit.
const DefaultStreamLimit = 1000

// Ack says what a command led to.
type Ack struct {
	CommandID  events.UUID
	InstanceID events.UUID
	// EventID and SequenceNumber name the first event that the command led to; for
	// a duplicate, that of the first decision. They are zero when there is none.
	EventID        events.UUID
	SequenceNumber int64
	// Status is "" when the command was decided now; duplicate when it was
	// already decided; ignored when nothing in the instance reacts to it; conflict
	// or rejected, next to the error that says so.
	Status events.OutcomeStatus
}

// Subscription says what a [Handler] wants to see.
type Subscription struct {
	Type  string // workflow type
	Group string // members of a group share the instances; each group sees everything
	// EventTypes lets only these through; empty means all. The group's position
	// moves on past the others.
	EventTypes []events.EventType
}

// Handler takes one event. Nil means that it is dealt with. An error means that
// it is delivered again, after a pause that grows up to a second; later events
// of the partition wait for it, other partitions do not. Delivery is at least
// once, in sequence within an instance, and by several goroutines at once for
// different instances. ctx ends when the subscription ends or the partition
// moves. The event is shared: it must not be changed.
type Handler func(ctx context.Context, e events.Event) error

// Unsubscribe ends a subscription: it cancels the handlers' contexts, waits for
// handlers under way and remembers how far the group has come. After it
// returned nil no handler is called any more. ctx bounds the waiting; the
// subscription ends in any case. Calling it again, from any goroutine, waits for
// the same end. A handler that calls it would wait for itself.
type Unsubscribe func(ctx context.Context) error

// EventBus sends commands and reads events. All methods may be called from many
// goroutines at once.
type EventBus interface {
	// PublishCommand asks for a start or a signal, and does not wait: it returns
	// before the command is durable, and blocks only while too many are under way
	// (at least 1,000). Commands to one instance that one goroutine publishes keep
	// their order. A nil CommandID is replaced by a new one; a nil InstanceID
	// follows from Key. The bus copies the command, not what it points to.
	//
	// done is called exactly once, never by PublishCommand itself, when the
	// command is decided and its events are committed, so that ReplayEvents,
	// EventsStream and LoadSnapshot reflect them; or with an error: ErrInvalid,
	// ErrUnknownType, ErrConflict, ErrRejected, ErrClosed, ctx's, or what the
	// broker says. ErrConflict and ErrRejected come with an *events.Error. After
	// ctx's error and a broker's the command may still be decided: publish it
	// again with the same CommandID or IdempotencyKey, which is a duplicate then.
	// done is called from a goroutine that all publishers share: it must be quick
	// and must not publish.
	PublishCommand(ctx context.Context, c events.Command, done func(Ack, error))

	// ReplayEvents lists the events of one instance from a sequence number on,
	// inclusive, in order and without gaps; 1 gives all of them, one beyond the
	// newest an empty list, as does an instance that is not there. The caller owns
	// the list. It reflects everything that was acknowledged before the call.
	//
	// The error is ErrTooLarge when there are more than the implementation lists
	// (then EventsStream has them), ErrInvalid (fromSequence below 1, nil
	// instance), ErrUnknownType, ErrClosed, ctx's, or what the broker says.
	ReplayEvents(ctx context.Context, workflowType string, instance events.UUID, fromSequence int64) ([]events.Event, error)

	// SubscribeEvents delivers the events of a type to handle. A new group begins
	// at the oldest event, one that is known goes on where it was. An event that
	// this implementation is too old to read is never skipped: its partition waits.
	// ctx bounds SubscribeEvents alone, not the subscription.
	//
	// The error is ErrUnknownType, ErrInvalid (no group, no handler, no such event
	// type), ErrClosed, ctx's, or what the broker says.
	SubscribeEvents(ctx context.Context, s Subscription, handle Handler) (Unsubscribe, error)
}

// Persistence reads histories that may be long.
type Persistence interface {
	// EventsStream yields the events of one instance in order, from the first on,
	// at most limit of them; 0 means DefaultStreamLimit. Nothing is read
	// before the loop begins, and memory does not grow with the history. Each loop
	// reads anew, up to what was committed when it began. Leaving the loop ends the
	// reading. An error is yielded once, last, next to the zero event: ErrInvalid
	// (limit below 0, nil instance), ErrUnknownType, ErrClosed, ctx's before the
	// next event when ctx ends, or what the broker says. An instance that is not
	// there yields nothing.
	EventsStream(ctx context.Context, workflowType string, instance events.UUID, limit int) iter.Seq2[events.Event, error]
}

// Snapshots reads the state of instances.
type Snapshots interface {
	// LoadSnapshot is the state of an instance after its newest event. It reflects
	// everything that was acknowledged before the call. The error is ErrNotFound,
	// ErrUnknownType, ErrInvalid (nil instance), ErrClosed, ctx's, or what the
	// broker says.
	LoadSnapshot(ctx context.Context, workflowType string, instance events.UUID) (events.Snapshot, error)
}
