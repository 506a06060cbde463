package kafka

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Network is a network within this process, with virtual time (testing/synctest):
// what is done now and then would be most of what is done there, so its clients do
// by themselves only what they must, and it leaves them waiting while nothing
// happens.
type Network interface {
	// Dialer is for one client, which from now on asks for metadata every refresh
	// without being asked.
	Dialer(refresh time.Duration) func(ctx context.Context, network, address string) (net.Conn, error)
	// Move says that a client is about to do something.
	Move()
}

// networks are those of this process, by the address of a broker in them. They
// stand for what DNS and the kernel know of the real one: a client that has a broker's
// address can reach it.
var networks sync.Map // string to Network

// Within makes the broker at address part of n, for every client of this process
// that is made before remove is called.
func Within(address string, n Network) (remove func()) {
	networks.Store(address, n)
	return func() { networks.Delete(address) }
}

// within is the network of this process that the brokers are in, nil when they
// are in none.
func (c Config) within() Network {
	for _, address := range c.Brokers {
		if n, ok := networks.Load(address); ok {
			return n.(Network)
		}
	}
	return nil
}

// Virtual reports whether the brokers are in a network of this process, where time
// is virtual.
func (c Config) Virtual() bool { return c.within() != nil }

// move tells the network of this process, if it is one, that a client is about to
// do something.
func (c Config) move() {
	if n := c.within(); n != nil {
		n.Move()
	}
}

const (
	longestIdle    = 15 * time.Minute    // the client library's bound
	longestSession = 20 * 24 * time.Hour // the protocol counts milliseconds in 31 bits
	seldom         = 200 * 365 * 24 * time.Hour
	// refresh is odd, and just below the client library's bound: no test happens to
	// ask for something at such a time.
	refresh = 58*time.Minute + 27*time.Second + 182818284*time.Nanosecond
)

// Upkeep is how often to do regular work, such as checking topics:
// usually every so often, in virtual time almost never.
func (c Config) Upkeep(usually time.Duration) time.Duration {
	if c.Virtual() {
		return max(usually, seldom)
	}
	return usually
}

// session is how long a group waits for a silent member. In virtual time none is
// lost, and its heartbeats wait until something happens.
func (c Config) session(usually time.Duration) time.Duration {
	if c.Virtual() {
		return longestSession
	}
	return usually
}

// reach says how brokers are reached.
func (c Config) reach() (opts []kgo.Opt) {
	if n := c.within(); n != nil {
		return []kgo.Opt{
			kgo.Dialer(n.Dialer(refresh)), kgo.MetadataMaxAge(refresh), kgo.ConnIdleTimeout(longestIdle), kgo.DisableClientMetrics(),
			kgo.WithHooks(moveHook{n}),
		}
	}
	if c.TLS != nil {
		opts = append(opts, kgo.DialTLSConfig(c.TLS))
	}
	if c.Dial != nil {
		opts = append(opts, kgo.Dialer(c.Dial))
	}
	return opts
}

// moveHook hears of records before the client asks where they go.
type moveHook struct{ Network }

func (h moveHook) OnProduceRecordBuffered(*kgo.Record) { h.Move() }

var _ kgo.HookProduceRecordBuffered = moveHook{}
