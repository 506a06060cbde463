package devkafka

import (
	"encoding/binary"
	"io"
	"net"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// line is a client's end of a connection. It knows of each answer what was asked,
// and when.
type line struct {
	net.Conn
	network *Network
	// byItself says whether a client that asks for metadata at a time does so only
	// because of the time.
	byItself func(time.Time) bool

	mu     sync.Mutex
	head   []byte // of the request that is being written: size, key, version, correlation id
	left   int    // bytes of it that come behind its head
	asked  map[uint32]question
	giveUp chan struct{} // closed when the client gives its request up
	given  bool          // it is closed

	answer []byte        // what is left of the one that is being read; the reader's own
	next   chan struct{} // one token: another request was written
}

type question struct {
	key  kmsg.Key
	at   time.Time
	idle bool
}

const headSize = 12

// Write takes note of the requests in text.
func (l *line) Write(text []byte) (int, error) {
	for _, key := range l.note(text) {
		l.network.asked.Add(1)
		switch {
		case l.idle(key):
		case key == kmsg.ApiVersions: // the first of every connection: what comes next counts
			l.release()
		default:
			l.release()
			l.network.Move()
		}
	}
	return l.Conn.Write(text)
}

// idle reports whether nothing happens by a request of this kind, now. A client
// whose question for metadata has waited asks again.
func (l *line) idle(key kmsg.Key) bool {
	return key == kmsg.Fetch || key == kmsg.Heartbeat || key == kmsg.Metadata && (l.byItself(time.Now()) || l.network.justLapsed())
}

// release lets an answer go that others wait behind.
func (l *line) release() {
	select {
	case l.next <- struct{}{}:
	default:
	}
}

// note lists the keys of the requests that begin in text.
func (l *line) note(text []byte) (keys []kmsg.Key) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(text) > 0 {
		if l.left > 0 {
			n := min(l.left, len(text))
			l.left, text = l.left-n, text[n:]
			continue
		}
		n := min(headSize-len(l.head), len(text))
		l.head, text = append(l.head, text[:n]...), text[n:]
		if len(l.head) < headSize {
			break
		}
		key := kmsg.Key(binary.BigEndian.Uint16(l.head[4:])) //nolint:gosec // as on the wire
		keys = append(keys, key)
		l.asked[binary.BigEndian.Uint32(l.head[8:])] = question{key, time.Now(), l.idle(key)}
		l.left, l.head = int(binary.BigEndian.Uint32(l.head))+4-headSize, l.head[:0]
	}
	return keys
}

// Read gives answers out, those that say nothing new late.
func (l *line) Read(text []byte) (int, error) {
	if len(l.answer) == 0 {
		var size [4]byte
		if _, err := io.ReadFull(l.Conn, size[:]); err != nil {
			return 0, err
		}
		answer := make([]byte, 4+binary.BigEndian.Uint32(size[:]))
		copy(answer, size[:])
		if _, err := io.ReadFull(l.Conn, answer[4:]); err != nil {
			return 0, err
		}
		l.hold(answer)
		l.answer = answer
	}
	n := copy(text, l.answer)
	l.answer = l.answer[n:]
	return n, nil
}

// hold waits with an answer that says nothing new until something happens.
func (l *line) hold(answer []byte) {
	id := binary.BigEndian.Uint32(answer[4:])
	select { // a token from before now means nothing; a request that comes later leaves its own
	case <-l.next:
	default:
	}
	l.mu.Lock()
	q := l.asked[id]
	delete(l.asked, id)
	alone, giveUp := len(l.asked) == 0, l.giveUp
	l.mu.Unlock()
	if !alone || !q.idle || q.key == kmsg.Fetch && time.Since(q.at) < settling/10 {
		return // a fetch that did not wait at the broker found something
	}
	moved := l.network.still()
	if moved == nil {
		return
	}
	timer := time.NewTimer(stillFor)
	defer timer.Stop()
	select {
	case <-moved:
	case <-l.next:
	case <-timer.C:
		l.network.lapse()
	case <-giveUp:
	}
}

// Close ends the wait for an answer too.
func (l *line) Close() error {
	l.interrupt()
	return l.Conn.Close()
}

// SetDeadline, SetReadDeadline and SetWriteDeadline take only a deadline that is
// over: that is how the client gives a request up. It may go on with the connection
// when the answer was faster.
func (l *line) SetDeadline(t time.Time) error      { return l.expire(t, l.Conn.SetDeadline) }
func (l *line) SetReadDeadline(t time.Time) error  { return l.expire(t, l.Conn.SetReadDeadline) }
func (l *line) SetWriteDeadline(t time.Time) error { return l.expire(t, l.Conn.SetWriteDeadline) }

func (l *line) expire(t time.Time, set func(time.Time) error) error {
	switch {
	case t.IsZero():
		l.resume()
	case t.After(time.Now()):
		return nil
	default:
		l.interrupt()
	}
	return set(t)
}

// interrupt gives the answer out that is waited with, and those that come before resume.
func (l *line) interrupt() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.given {
		close(l.giveUp)
		l.given = true
	}
}

func (l *line) resume() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.given {
		l.giveUp, l.given = make(chan struct{}), false
	}
}
