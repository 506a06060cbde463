package devkafka

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"

	"github.com/twmb/franz-go/pkg/kfake"
)

// AddrError says that the broker cannot listen on Addr.
type AddrError struct {
	Addr string
	Err  error
}

// Error names the address.
func (e *AddrError) Error() string { return fmt.Sprintf("listen on %s: %v", e.Addr, e.Err) }

// Unwrap gives the system's error.
func (e *AddrError) Unwrap() error { return e.Err }

// errRemote refuses to serve the network by accident.
var errRemote = errors.New("is not a loopback address, and the embedded broker has no authentication")

func checkAddr(o Options) error {
	host, _, err := net.SplitHostPort(o.Addr)
	if err != nil {
		return &AddrError{Addr: o.Addr, Err: fmt.Errorf("want host:port: %w", err)}
	}
	ip := net.ParseIP(host)
	if o.Remote || host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return &AddrError{Addr: o.Addr, Err: errRemote}
}

// gate is a listener that accepts no connection until it is opened, and that tells
// clients a host that they can connect to.
type gate struct {
	net.Listener
	addr  net.Addr
	ready chan struct{}
	ended chan struct{}
	once  sync.Once
}

func newGate(ln net.Listener, o Options) *gate {
	g := &gate{Listener: ln, addr: ln.Addr(), ready: make(chan struct{}), ended: make(chan struct{})}
	host, port, err := net.SplitHostPort(ln.Addr().String())
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() && o.Remote {
		if name, err := os.Hostname(); err == nil {
			g.addr = advertised(net.JoinHostPort(name, port))
		}
	}
	return g
}

func (g *gate) open() { close(g.ready) }

// Accept waits for the gate.
func (g *gate) Accept() (net.Conn, error) {
	select {
	case <-g.ready:
		return g.Listener.Accept()
	case <-g.ended:
		return nil, net.ErrClosed
	}
}

// Addr is what kfake tells clients.
func (g *gate) Addr() net.Addr { return g.addr }

// Close ends Accept.
func (g *gate) Close() error {
	g.once.Do(func() { close(g.ended) })
	return g.Listener.Close()
}

type advertised string

func (advertised) Network() string  { return "tcp" }
func (a advertised) String() string { return string(a) }

// brokerLog passes kfake's errors on. Its warnings are about what no one can
// change, such as a request that took a few milliseconds, and so for debugging.
type brokerLog struct{ logger *slog.Logger }

func (l brokerLog) Logf(level kfake.LogLevel, format string, args ...any) {
	switch level {
	case kfake.LogLevelError:
		l.logger.Error("embedded broker", "detail", fmt.Sprintf(format, args...))
	case kfake.LogLevelWarn:
		l.logger.Debug("embedded broker", "detail", fmt.Sprintf(format, args...))
	default:
	}
}
