package listen

import (
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// handed is a listener of connections that a test hands over.
type handed struct{ conns chan net.Conn }

func (h *handed) Accept() (net.Conn, error) {
	if c, ok := <-h.conns; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (h *handed) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

func (h *handed) Close() (err error) {
	defer func() {
		if recover() != nil {
			err = net.ErrClosed // closed before
		}
	}()
	close(h.conns)
	return nil
}

// visitor is a connection from an address.
type visitor struct {
	net.Conn
	from   string
	closed bool
}

func (v *visitor) RemoteAddr() net.Addr {
	addr, err := net.ResolveTCPAddr("tcp", v.from)
	if err != nil {
		panic(err)
	}
	return addr
}

func (v *visitor) Close() error { v.closed = true; return nil }

func TestConnectionsAreBoundedForEachClientAndInAll(t *testing.T) {
	l := &handed{conns: make(chan net.Conn, 100)}
	d := newDoors(l)
	d.each, d.all = 2, 4
	come := func(from string) *visitor {
		v := &visitor{from: from}
		l.conns <- v
		return v
	}
	accepted := func() net.Conn {
		c, err := d.Accept()
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	first := come("10.0.0.1:1")
	come("10.0.0.1:2")
	third := come("10.0.0.1:3") // one too many of this client
	come("[fd00::1]:4")
	come("10.0.0.3:5")
	a, b, c, e := accepted(), accepted(), accepted(), accepted()
	if !third.closed || first.closed {
		t.Errorf("closed: the third %t, the first %t", third.closed, first.closed)
	}
	for i, want := range []string{"10.0.0.1:1", "10.0.0.1:2", "[fd00::1]:4", "10.0.0.3:5"} {
		if got := []net.Conn{a, b, c, e}[i].RemoteAddr().String(); got != want {
			t.Errorf("connection %d is of %s, want %s", i, got, want)
		}
	}
	for range 3 { // closing twice makes room once
		_ = b.Close()
	}
	sixth := come("10.0.0.1:7")
	if got := accepted().RemoteAddr().String(); got != "10.0.0.1:7" {
		t.Errorf("accepted %s behind one that left", got)
	}
	fifth, seventh := come("10.0.0.4:6"), come("10.0.0.1:8") // there is no room again
	_ = l.Close()
	if _, err := d.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
	if !fifth.closed || sixth.closed || !seventh.closed {
		t.Errorf("closed: the fifth %t, the sixth %t, the seventh %t", fifth.closed, sixth.closed, seventh.closed)
	}
}

// A client that takes nothing is given up, and so is one that takes a byte now
// and then; one that takes its answer slowly but surely gets all of it.
func TestAnswersThatAreNotTaken(t *testing.T) {
	const length = 4 * writePiece
	for _, c := range []struct {
		name  string
		piece int           // that the client takes
		every time.Duration // for each
		whole bool
	}{
		{"nothing", 0, 0, false},
		{"a byte now and then", 1, time.Second, false},
		{"slowly", writePiece / 4, time.Second, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, served := net.Pipe()
				g := &guest{Conn: served, leave: func() {}}
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					if c.piece == 0 {
						return
					}
					buf := make([]byte, c.piece)
					for {
						if _, err := io.ReadFull(client, buf); err != nil {
							return
						}
						<-time.After(c.every)
					}
				}()
				began := time.Now()
				n, err := g.Write(make([]byte, length))
				if (err == nil && n == length) != c.whole {
					t.Errorf("wrote %d of %d: %v", n, length, err)
				}
				if took := time.Since(began); !c.whole && took > 2*writeTime {
					t.Errorf("it was held for %s", took)
				}
				_ = served.Close()
				<-ended
				_ = client.Close()
			})
		})
	}
}
