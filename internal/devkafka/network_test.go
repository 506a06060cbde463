package devkafka

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// peer is the other end of a line: a broker that answers at once, but a fetch
// after half a second.
func peer(c net.Conn) {
	defer c.Close()
	for {
		var head [headSize]byte
		if _, err := io.ReadFull(c, head[:]); err != nil {
			return
		}
		rest := make([]byte, binary.BigEndian.Uint32(head[:])+4-headSize)
		if _, err := io.ReadFull(c, rest); err != nil {
			return
		}
		if kmsg.Key(binary.BigEndian.Uint16(head[4:])) == kmsg.Fetch {
			time.Sleep(500 * time.Millisecond)
		}
		answer := binary.BigEndian.AppendUint32(nil, 4)
		if _, err := c.Write(append(answer, head[8:]...)); err != nil {
			return
		}
	}
}

// ask writes a request, in two pieces.
func ask(t *testing.T, c net.Conn, key kmsg.Key, id uint32) {
	t.Helper()
	text := binary.BigEndian.AppendUint32(nil, 8+5)
	text = binary.BigEndian.AppendUint16(text, uint16(key))
	text = binary.BigEndian.AppendUint16(text, 0)
	text = append(binary.BigEndian.AppendUint32(text, id), "hello"...)
	for _, piece := range [][]byte{text[:7], text[7:]} {
		if _, err := c.Write(piece); err != nil {
			t.Fatal(err)
		}
	}
}

// answered waits for the answer, and says how long.
func answered(t *testing.T, c net.Conn, id uint32) time.Duration {
	t.Helper()
	began := time.Now()
	var answer [8]byte
	if _, err := io.ReadFull(c, answer[:]); err != nil {
		t.Fatal(err)
	}
	if got := binary.BigEndian.Uint32(answer[4:]); got != id {
		t.Fatalf("answer %d, want %d", got, id)
	}
	return time.Since(began)
}

// between runs f with two lines of one network, and moves the clock past the
// connecting.
func between(t *testing.T, f func(t *testing.T, n *Network, a, b net.Conn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := new(Network)
		l, err := n.Listen("tcp", "here:1")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if _, err := n.Listen("tcp", "here:1"); err == nil {
			t.Error("an address was taken twice")
		}
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go peer(c)
			}
		}()
		var lines [2]net.Conn
		for i := range lines {
			if lines[i], err = n.Dialer(time.Hour)(t.Context(), "tcp", "here:1"); err != nil {
				t.Fatal(err)
			}
			defer lines[i].Close()
		}
		time.Sleep(time.Minute)
		f(t, n, lines[0], lines[1])
	})
}

func TestWhatSaysNothingNewWaits(t *testing.T) {
	between(t, func(t *testing.T, _ *Network, a, b net.Conn) {
		var other sync.WaitGroup
		for i, key := range []kmsg.Key{kmsg.Fetch, kmsg.Heartbeat} {
			id := uint32(10 * i)
			ask(t, a, key, id)
			other.Go(func() {
				time.Sleep(3 * time.Hour)
				ask(t, b, kmsg.Produce, id+1) // something happens
				answered(t, b, id+1)
			})
			if took := answered(t, a, id); took != 3*time.Hour {
				t.Errorf("%s was answered after %s", key.Name(), took)
			}
			other.Wait()
			// Now it does not wait, for a while.
			ask(t, a, key, id+2)
			if took := answered(t, a, id+2); took > time.Second {
				t.Errorf("%s was answered after %s, just after something happened", key.Name(), took)
			}
			time.Sleep(time.Minute)
		}
		ask(t, a, kmsg.Heartbeat, 50)
		if took := answered(t, a, 50); took != stillFor {
			t.Errorf("when nothing happens an answer waits for %s", took)
		}
	})
}

func TestWhoAsksIsAnswered(t *testing.T) {
	between(t, func(t *testing.T, n *Network, a, b net.Conn) {
		for i, key := range []kmsg.Key{kmsg.Produce, kmsg.JoinGroup, kmsg.Metadata, kmsg.ApiVersions} {
			ask(t, a, key, uint32(i))
			if took := answered(t, a, uint32(i)); took > 0 {
				t.Errorf("%s was answered after %s", key.Name(), took)
			}
			time.Sleep(time.Minute)
		}
		// What stands behind an answer that waits does not wait.
		ask(t, a, kmsg.Heartbeat, 10)
		var other sync.WaitGroup
		other.Go(func() {
			time.Sleep(time.Second)
			ask(t, a, kmsg.ApiVersions, 11)
		})
		if took := answered(t, a, 10) + answered(t, a, 11); took != time.Second {
			t.Errorf("answered after %s", took)
		}
		other.Wait()
		// A client that is about to do something says so.
		ask(t, b, kmsg.Fetch, 1)
		time.AfterFunc(time.Minute, n.Move)
		if took := answered(t, b, 1); took != time.Minute {
			t.Errorf("answered after %s", took)
		}
	})
}

// Metadata that a client asks for because an hour is over waits like a heartbeat.
func TestMetadataByItselfWaits(t *testing.T) {
	between(t, func(t *testing.T, _ *Network, a, b net.Conn) {
		time.Sleep(59 * time.Minute) // an hour after the dialer was made
		ask(t, a, kmsg.Metadata, 1)
		var other sync.WaitGroup
		other.Go(func() {
			time.Sleep(time.Minute)
			ask(t, b, kmsg.Metadata, 2)
			answered(t, b, 2)
		})
		if took := answered(t, a, 1); took != time.Minute {
			t.Errorf("answered after %s", took)
		}
		other.Wait()
	})
}

// A deadline that is over gives a request up; the line can be used on. Others mean
// nothing: no answer is lost.
func TestDeadlines(t *testing.T) {
	between(t, func(t *testing.T, _ *Network, a, _ net.Conn) {
		if err := a.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		ask(t, a, kmsg.Heartbeat, 1)
		var other sync.WaitGroup
		other.Go(func() {
			time.Sleep(time.Hour)
			_ = a.SetReadDeadline(time.Now())
		})
		if took := answered(t, a, 1); took != time.Hour {
			t.Errorf("given up after %s", took)
		}
		other.Wait()
		if _, err := a.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if err := a.SetReadDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		ask(t, a, kmsg.Heartbeat, 2)
		if took := answered(t, a, 2); took != stillFor {
			t.Errorf("answered after %s", took)
		}
	})
}

// pkg/leattest shows the rest: a whole engine in such a network.
func TestNobodyListens(t *testing.T) {
	if _, err := new(Network).Dialer(time.Hour)(t.Context(), "tcp", "nobody:1"); err == nil {
		t.Error("nobody was reached")
	}
}
