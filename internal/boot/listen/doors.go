package listen

import (
	"net"
	"sync"
	"time"
)

const (
	// writeTime is how long a client may take nothing of what it asked for.
	writeTime = 10 * time.Second
	// writePiece must be taken in writeTime, so that a client that takes a byte now
	// and then does not hold an answer for hours.
	writePiece = 64 << 10

	// connections that are open at once, of one client address and in all.
	maxClientConns = 512
	maxConns       = 4096
)

// doors is a listener that bounds its connections. One too many is closed at
// once: it would have to wait for others that may never end.
type doors struct {
	net.Listener
	each, all int

	mu   sync.Mutex
	open map[string]int // by client address
	sum  int
}

func newDoors(l net.Listener) *doors {
	return &doors{Listener: l, each: maxClientConns, all: maxConns, open: make(map[string]int)}
}

// Accept gives the next connection that there is room for.
func (d *doors) Accept() (net.Conn, error) {
	for {
		conn, err := d.Listener.Accept()
		if err != nil {
			return nil, err
		}
		client := hostOf(conn.RemoteAddr().String())
		if d.enter(client) {
			return &guest{Conn: conn, leave: sync.OnceFunc(func() { d.leave(client) })}, nil
		}
		_ = conn.Close()
	}
}

func (d *doors) enter(client string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open[client] >= d.each || d.sum >= d.all {
		return false
	}
	d.open[client]++
	d.sum++
	return true
}

func (d *doors) leave(client string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sum--
	if d.open[client]--; d.open[client] == 0 {
		delete(d.open, client)
	}
}

// guest is a connection whose writes are bounded in time.
type guest struct {
	net.Conn
	leave func()
}

// Write gives up on a client that takes nothing for writeTime.
func (g *guest) Write(b []byte) (written int, err error) {
	for {
		if err := g.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
			return written, err
		}
		n, err := g.Conn.Write(b[:min(len(b), writePiece)])
		written += n
		if b = b[n:]; err != nil || len(b) == 0 {
			return written, err
		}
	}
}

// Close makes room for another.
func (g *guest) Close() error {
	defer g.leave()
	return g.Conn.Close()
}
