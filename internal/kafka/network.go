package kafka

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// networks are the networks within this process, by the address of a broker in
// them. They stand for what DNS and the kernel know of the real one, which is
// also there once for a process: whoever has a broker's address can reach it.
var networks sync.Map // string to DialFunc

// DialFunc opens a connection, as net.Dialer.DialContext does.
type DialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// Within makes the broker at address reachable through dial, for every client of
// this process that is made before remove is called. Such a network has virtual
// time (testing/synctest), where what is done now and then costs as much as what
// is done: its clients do by themselves only what they must.
func Within(address string, dial DialFunc) (remove func()) {
	networks.Store(address, dial)
	return func() { networks.Delete(address) }
}

// within is how a broker of c is reached when it is in this process.
func (c Config) within() (dial DialFunc, ok bool) {
	for _, address := range c.Brokers {
		if found, known := networks.Load(address); known {
			return found.(DialFunc), true
		}
	}
	return nil, false
}

// Bounds of the client library, and of what the workers do now and then.
const (
	longestIdle     = 15 * time.Minute
	longestMetadata = time.Hour
	longestSession  = 20 * 24 * time.Hour // the protocol counts milliseconds in 31 bits
	seldom          = 365 * 24 * time.Hour
)

// Upkeep is how often to do what nobody asks for, such as looking after topics:
// usually every so often, in virtual time almost never.
func (c Config) Upkeep(usually time.Duration) time.Duration {
	if _, virtual := c.within(); virtual {
		return max(usually, seldom)
	}
	return usually
}

// session is how long a group waits for a silent member. In virtual time none is
// lost, and a sign of life waits until something happens.
func (c Config) session(usually time.Duration) time.Duration {
	if _, virtual := c.within(); virtual {
		return longestSession
	}
	return usually
}

// reach says how brokers are reached.
func (c Config) reach() []kgo.Opt {
	if dial, virtual := c.within(); virtual {
		return []kgo.Opt{kgo.Dialer(dial), kgo.ConnIdleTimeout(longestIdle), kgo.MetadataMaxAge(longestMetadata), kgo.DisableClientMetrics()}
	}
	return c.dialer()
}

func (c Config) dialer() (opts []kgo.Opt) {
	if c.TLS != nil {
		opts = append(opts, kgo.DialTLSConfig(c.TLS))
	}
	if c.Dial != nil {
		opts = append(opts, kgo.Dialer(c.Dial))
	}
	return opts
}
