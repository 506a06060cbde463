package devkafka

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Network is a network within the process, for brokers and clients in virtual
// time (testing/synctest): its connections are pipes, whose waits the clock does
// not wait for. Give it to [Options], and each client a Dialer of its own.
//
// It is still when nothing happens. A client asks for records and says that it
// lives twice a second or so; over thirty virtual days that would be millions of
// requests. Here an answer that says nothing new waits until a client asks for
// something else, so that the clock can go to the next timer in one step. For the
// same reason nothing times out: no request and no answer is ever lost.
//
// The zero value is ready to use. It must be made in the bubble that it is for.
type Network struct {
	mu        sync.Mutex
	listeners map[string]*inner
	last      time.Time     // when a client asked for something last
	moved     chan struct{} // closed then, and replaced
	lapsed    time.Time     // when an answer that waited was given out, because it had waited for so long
	asked     atomic.Int64  // requests
}

const (
	// settling is how long after the last request answers come as they do from any
	// broker. A client that adds partitions says so first ([Network.Move]), and they
	// are in the fetch after the one that it has begun then; a fetch takes half a
	// second.
	settling = 600 * time.Millisecond
	// asksAgain is longer than a client waits between two questions for metadata.
	asksAgain = 6 * time.Second
	// stillFor is the longest that an answer waits. A group waits longer for a member
	// (20 days), whose heartbeat may wait for one answer after another.
	stillFor = 5 * 24 * time.Hour
)

// Listen is [Options.Listen].
func (n *Network) Listen(_, address string) (net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listeners == nil {
		n.listeners = make(map[string]*inner)
	}
	if n.listeners[address] != nil {
		return nil, fmt.Errorf("address %s is in use", address)
	}
	l := &inner{network: n, address: advertised(address), calls: make(chan net.Conn), ended: make(chan struct{})}
	n.listeners[address] = l
	return l, nil
}

// Dialer is for one client, which from now on asks for metadata every refresh
// without being asked: the answers to that wait too.
func (n *Network) Dialer(refresh time.Duration) func(ctx context.Context, network, address string) (net.Conn, error) {
	began := time.Now()
	byItself := func(at time.Time) bool { d := at.Sub(began); return d > 0 && d%refresh == 0 }
	return func(ctx context.Context, _, address string) (net.Conn, error) { return n.dial(ctx, address, byItself) }
}

func (n *Network) dial(ctx context.Context, address string, byItself func(time.Time) bool) (net.Conn, error) {
	n.mu.Lock()
	l := n.listeners[address]
	n.mu.Unlock()
	if l == nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: fmt.Errorf("no server listens on %s", address)}
	}
	ours, theirs := net.Pipe()
	select {
	case l.calls <- theirs:
		return &line{
			Conn: ours, network: n, byItself: byItself, asked: make(map[uint32]question), giveUp: make(chan struct{}), next: make(chan struct{}, 1),
		}, nil
	case <-l.ended:
	case <-ctx.Done():
	}
	_, _ = ours.Close(), theirs.Close()
	return nil, &net.OpError{Op: "dial", Net: "tcp", Err: fmt.Errorf("%s does not answer", address)}
}

// Move tells those that wait that something happens.
func (n *Network) Move() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.last = time.Now()
	if n.moved != nil {
		close(n.moved)
		n.moved = nil
	}
}

// Moved is when something happened last, but for what clients do by themselves.
func (n *Network) Moved() time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.last
}

// lapse says that it is time for an answer that has waited.
func (n *Network) lapse() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lapsed = time.Now()
}

func (n *Network) justLapsed() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return time.Since(n.lapsed) < asksAgain
}

// Asked counts all requests. It may be called from outside of the bubble.
func (n *Network) Asked() int64 { return n.asked.Load() }

// still is closed when something happens; it is nil while it just did.
func (n *Network) still() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	if time.Since(n.last) < settling {
		return nil
	}
	if n.moved == nil {
		n.moved = make(chan struct{})
	}
	return n.moved
}

// inner is a listener.
type inner struct {
	network *Network
	address advertised
	calls   chan net.Conn
	once    sync.Once
	ended   chan struct{}
}

// Accept waits for the next connection.
func (l *inner) Accept() (net.Conn, error) {
	select {
	case c := <-l.calls:
		return c, nil
	case <-l.ended:
		return nil, net.ErrClosed
	}
}

// Addr is the address that was asked for.
func (l *inner) Addr() net.Addr { return l.address }

// Close ends Accept.
func (l *inner) Close() error {
	l.once.Do(func() {
		close(l.ended)
		l.network.mu.Lock()
		defer l.network.mu.Unlock()
		delete(l.network.listeners, string(l.address))
	})
	return nil
}
