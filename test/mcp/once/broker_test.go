//go:build unix

package once

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
)

// The writes of an executor by Kafka's numbers of requests.
const (
	produce      = 0
	offsetCommit = 8
)

// brokerRelay stands between one program and its broker. It counts what the program
// writes once it is armed, and does what it was told at one of the writes.
type brokerRelay struct {
	listener net.Listener
	broker   string

	mu     sync.Mutex
	armed  bool
	writes []string // seen since then
	at     int      // the number of the write, from 1; 0 for none
	behind bool     // the broker has it, and the program has not heard so
	kill   func()
	waits  map[answerOf]bool // answers at which the program dies
	conns  []net.Conn
	all    sync.WaitGroup
}

// answerOf is a request on a connection.
type answerOf struct {
	conn        net.Conn
	correlation uint32
}

func newBrokerRelay(ctx context.Context, broker string) (*brokerRelay, error) {
	var c net.ListenConfig
	l, err := c.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &brokerRelay{listener: l, broker: broker, waits: make(map[answerOf]bool)}
	b.all.Go(func() { // until Close
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			b.take(ctx, client)
		}
	})
	return b, nil
}

func (b *brokerRelay) addr() string { return b.listener.Addr().String() }

// arm begins to count. At the write of that number, the program is killed: before the
// broker sees it, or behind.
func (b *brokerRelay) arm(at int, behind bool, kill func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.armed, b.at, b.behind, b.kill = true, at, behind, kill
}

func (b *brokerRelay) seen() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.writes...)
}

// Close ends it and its connections.
func (b *brokerRelay) Close() {
	_ = b.listener.Close()
	b.mu.Lock()
	for _, c := range b.conns {
		_ = c.Close()
	}
	b.mu.Unlock()
	b.all.Wait()
}

func (b *brokerRelay) take(ctx context.Context, client net.Conn) {
	var d net.Dialer
	server, err := d.DialContext(ctx, "tcp", b.broker)
	if err != nil {
		_ = client.Close()
		return
	}
	b.mu.Lock()
	b.conns = append(b.conns, client, server)
	b.mu.Unlock()
	both := func() { _, _ = client.Close(), server.Close() }
	b.all.Go(func() { // until one of them closes
		defer both()
		frames(client, func(frame []byte) bool { return b.request(client, frame) && write(server, frame) })
	})
	b.all.Go(func() { // until one of them closes
		defer both()
		frames(server, func(frame []byte) bool { return b.answer(client, frame) && write(client, b.renamed(frame)) })
	})
}

// request is told of each request, and says whether the broker gets it.
func (b *brokerRelay) request(client net.Conn, frame []byte) bool {
	if len(frame) < 8 {
		return true
	}
	var name string
	switch binary.BigEndian.Uint16(frame) {
	case produce:
		name = "produce"
	case offsetCommit:
		name = "commit"
	default:
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.armed {
		return true
	}
	b.writes = append(b.writes, name)
	if len(b.writes) != b.at {
		return b.at == 0 || len(b.writes) < b.at // it is dying
	}
	if b.behind {
		b.waits[answerOf{client, binary.BigEndian.Uint32(frame[4:])}] = true
		return true
	}
	b.kill()
	return false
}

// answer is told of each answer, and says whether the program gets it.
func (b *brokerRelay) answer(client net.Conn, frame []byte) bool {
	if len(frame) < 4 {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.waits[answerOf{client, binary.BigEndian.Uint32(frame)}] {
		return true
	}
	b.kill()
	return false
}

// renamed puts this relay where an answer names the broker: host, and port behind it.
func (b *brokerRelay) renamed(frame []byte) []byte {
	return bytes.ReplaceAll(frame, address(b.broker), address(b.addr()))
}

func address(addr string) []byte {
	host, text, _ := net.SplitHostPort(addr)
	port, _ := strconv.Atoi(text)
	return binary.BigEndian.AppendUint32([]byte(host), uint32(port))
}

// frames reads messages until one is not wanted.
func frames(r io.Reader, next func([]byte) bool) {
	var size [4]byte
	for {
		if _, err := io.ReadFull(r, size[:]); err != nil {
			return
		}
		frame := make([]byte, binary.BigEndian.Uint32(size[:]))
		if _, err := io.ReadFull(r, frame); err != nil || !next(frame) {
			return
		}
	}
}

func write(w io.Writer, frame []byte) bool {
	_, err := w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(frame))), frame...))
	return err == nil
}

func (b *brokerRelay) String() string { return fmt.Sprintf("writes %v", b.seen()) }
