// Package eventbus is the contract of a bus that carries messages on topics, for
// groups of consumers.
//
// Two implementations keep it: internal/bus on Kafka and internal/memory. What
// they promise is what the suite TestEventBus of internal/spi/spitest checks; anyone
// who writes a third runs that suite.
//
// It is not the way to change a workflow: topics that only the router writes are
// refused ([RouterOnly]); send commands with internal/spi/workflow or pkg/client. Left out until
// a second implementation would do something with them: closing (a concern of
// who made the bus), topic administration, transactions, seeking, and the
// broadcast and group commands of the ONEX SPI.
package eventbus

import (
	"context"
	"errors"
	"strings"
)

// Errors that a caller may branch on, with errors.Is. The context's own error
// comes through as well.
var (
	ErrNoTopic    = errors.New("topic does not exist")
	ErrRouterOnly = errors.New("only the router writes this topic")
	ErrInvalid    = errors.New("the request itself is wrong")
	ErrClosed     = errors.New("the bus is closed")
)

// Message is what a bus carries.
//
// Its slices are shared: they must not be changed once the message is published.
type Message struct {
	Topic   string
	Key     []byte // decides the partition, as topics.Partition says; messages of one key stay in order
	Value   []byte
	Headers []Header // in order; a key may repeat

	// Set by the bus; ignored by Publish.
	Partition int32
	Offset    int64 // position in the partition, rising
}

// Header is one header of a message.
type Header struct {
	Key   string
	Value []byte
}

// Handler takes one message. Nil means that it is dealt with and need not come
// again. An error means that it is delivered again, after a pause that grows up
// to a second, for as long as it takes; later messages of the partition wait
// for it, other partitions do not.
//
// A handler is called by one goroutine for each partition that its subscription
// owns, so by several at once. Delivery is at least once: a message that was
// handled may come again after a crash or when a partition moves to another
// member. ctx ends when the subscription ends or the partition moves; a handler
// that goes on after that holds both up. A panic is not caught.
type Handler func(ctx context.Context, m Message) error

// Unsubscribe ends a subscription: it cancels the handlers' contexts, waits for
// handlers under way, remembers how far the group has come, and gives the
// partitions to the other members. After it returned nil no handler is called
// any more, and what was handled does not come again to the group. ctx bounds
// the waiting; the subscription ends in any case, and the error is ctx's.
// Calling it again, from any goroutine, waits for the same end. A handler that
// calls it would wait for itself: let another goroutine do it.
type Unsubscribe func(ctx context.Context) error

// EventBus publishes and subscribes. All methods may be called from many
// goroutines at once.
type EventBus interface {
	// Publish hands a message over and does not wait for it: it returns before
	// the message is durable, and blocks only while too many are under way (an
	// implementation says how many; at least 1,000). Messages that one goroutine
	// publishes with one key keep their order.
	//
	// done is called exactly once, never by Publish itself: with the message, its
	// Partition and Offset set, when it is durable; or with an error: ErrNoTopic,
	// ErrRouterOnly, ErrInvalid (no topic), ErrClosed, ctx's, or what the broker
	// says, after which the message may or may not be there. done is called from a
	// goroutine that all publishers share: it must be quick and must not publish.
	Publish(ctx context.Context, m Message, done func(Message, error))

	// Subscribe adds a member to a group of a topic and delivers to handle. The
	// members of a group share the partitions; each group gets everything. A group
	// that is new begins at the oldest message, one that is known goes on where it
	// was. Joining goes on in the background: messages come soon after Subscribe
	// has returned. ctx bounds Subscribe alone, not the subscription.
	//
	// The error is ErrNoTopic, ErrInvalid (topic or group empty, no handler),
	// ErrClosed, ctx's, or what the broker says.
	Subscribe(ctx context.Context, topic, group string, handle Handler) (Unsubscribe, error)
}

// RouterOnly reports whether only the router writes topic, whose name is given
// without the installation's prefix: the events, state and outcomes of a
// workflow type, and tasks.
func RouterOnly(topic string) bool {
	if strings.HasPrefix(topic, "tasks.") {
		return true
	}
	name, ok := strings.CutPrefix(topic, "workflow.")
	return ok && name != "definitions" && name != "schedules" && !strings.HasSuffix(name, ".commands")
}
