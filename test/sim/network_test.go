//go:build synctests

package sim

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// network carries frames between hosts and the brokers, and does to them what
// networks do. Every connection is two pipes with this in the middle:
//
//	client ─pipe─ intake → queue → deliver ─pipe─ broker
//
// so that bytes that a client has written are on their way even when it has
// closed the connection or died: a late EndTxn still arrives.
type network struct {
	virtual kfake.VirtualNetwork
	seen    *coverage
	carried sync.WaitGroup // goroutines of links
	logger  *slog.Logger   // told of every request; nil for none

	mu    sync.Mutex
	rng   *rand.Rand
	rough float64 // multiplies the chance of every fault; 0 is a network without faults
}

func newNetwork(rng *rand.Rand, seen *coverage) *network { return &network{rng: rng, seen: seen} }

func (n *network) setRough(rough float64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.rough = rough
}

// fault is what happens to one request and its answer.
type fault string

const (
	faultNone         fault = ""
	faultLostRequest  fault = "lost request"  // the connection breaks before the broker gets it
	faultLostResponse fault = "lost response" // the broker applies it, the connection breaks before the answer
	faultLateRequest  fault = "late request"  // it arrives seconds later, perhaps after its sender gave up
	faultLateResponse fault = "late response" // the answer arrives seconds later
)

var networkFaults = []fault{faultLostRequest, faultLostResponse, faultLateRequest, faultLateResponse}

// chances that a request meets some fault, by API key. Frequent requests get
// less, so that a history is not all broken connections.
var chances = map[kmsg.Key]float64{
	kmsg.Produce: 0.015, kmsg.TxnOffsetCommit: 0.03, kmsg.EndTxn: 0.05, kmsg.InitProducerID: 0.08,
	kmsg.Fetch: 0.004, kmsg.Heartbeat: 0.01, kmsg.JoinGroup: 0.06, kmsg.SyncGroup: 0.06, kmsg.OffsetFetch: 0.06,
	kmsg.OffsetCommit: 0.02, kmsg.FindCoordinator: 0.02, kmsg.LeaveGroup: 0.05,
	kmsg.AddPartitionsToTxn: 0.02, kmsg.AddOffsetsToTxn: 0.02,
}

const otherChance = 0.004

// fate draws what happens to a request, and how long the frame takes.
func (n *network) fate(key kmsg.Key) (fault, time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	took := time.Duration(200+n.rng.IntN(1800)) * time.Microsecond
	chance, known := chances[key]
	if !known {
		chance = otherChance
	}
	if n.rng.Float64() >= chance*n.rough {
		return faultNone, took
	}
	f := networkFaults[n.rng.IntN(len(networkFaults))]
	if f == faultLateRequest || f == faultLateResponse {
		took = time.Duration(n.rng.Int64N(int64(15 * time.Second)))
	}
	return f, took
}

// host is one incarnation of a process: what it has open and how it is reached.
type host struct {
	network *network
	name    string

	mu    sync.Mutex
	dead  bool
	thaw  chan struct{} // not nil while frozen; closed by unfreeze
	links map[*link]bool
}

func (n *network) host(name string) *host {
	return &host{network: n, name: name, links: make(map[*link]bool)}
}

// failedDial is how long it takes to learn that a host cannot be reached. The
// client dials again at once in some places, so it must take some time.
const failedDial = 20 * time.Millisecond

// errHostDown is a dial that failed. It is a net.OpError as a real one is: any
// other error is tried again by the client without a pause.
var errHostDown = &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("sim: the host is down")}

// dial is kafka.Config.Dial.
func (h *host) dial(ctx context.Context, netw, address string) (net.Conn, error) {
	if err := h.awaitThaw(ctx.Done()); err != nil {
		pause(ctx, failedDial)
		return nil, err
	}
	broker, err := h.network.virtual.DialContext(ctx, netw, address)
	if err != nil {
		return nil, err
	}
	client, inner := net.Pipe()
	l := &link{
		host: h, client: inner, broker: broker, broken: make(chan struct{}),
		up: make(chan frame, queueLength), down: make(chan frame, queueLength), asked: make(map[int32]request),
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.dead {
		l.cut()
		return nil, errHostDown
	}
	h.links[l] = true
	l.run()
	return client, nil
}

// awaitThaw returns when the host is not frozen, or given up.
func (h *host) awaitThaw(giveUp <-chan struct{}) error {
	for {
		h.mu.Lock()
		dead, thaw := h.dead, h.thaw
		h.mu.Unlock()
		switch {
		case dead:
			return errHostDown
		case thaw == nil:
			return nil
		}
		select {
		case <-thaw:
		case <-giveUp:
			return context.Canceled
		}
	}
}

// freeze stops everything that goes in and out, as a paused process would.
func (h *host) freeze() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.thaw == nil && !h.dead {
		h.thaw = make(chan struct{})
	}
}

func (h *host) unfreeze() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.thaw != nil {
		close(h.thaw)
		h.thaw = nil
	}
}

// kill ends the host: nothing more gets out or in. What it has written already
// is still delivered, as the kernel of a killed process would, unless the whole
// machine is gone.
func (h *host) kill(machine bool) {
	h.mu.Lock()
	h.dead = true
	links := make([]*link, 0, len(h.links))
	for l := range h.links {
		links = append(links, l)
	}
	h.mu.Unlock()
	h.unfreeze()
	for _, l := range links {
		if machine {
			l.cut()
		} else {
			l.client.Close()
		}
	}
}

func (h *host) isDead() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.dead
}

// cutLinks breaks each open connection with the given chance.
func (h *host) cutLinks(hit func() bool) (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for l := range h.links {
		if hit() {
			l.cut()
			n++
		}
	}
	return n
}

// link is one connection.
type link struct {
	host           *host
	client, broker net.Conn
	once           sync.Once
	broken         chan struct{}
	up, down       chan frame

	mu    sync.Mutex
	asked map[int32]request // by correlation id
}

type frame struct {
	bytes []byte
	due   time.Time
	last  bool // break the connection instead of delivering
}

type request struct {
	key   kmsg.Key
	fault fault
	took  time.Duration
}

const queueLength = 4096

// cut breaks the connection at once, in both directions.
func (l *link) cut() {
	l.once.Do(func() {
		close(l.broken)
		l.client.Close()
		l.broker.Close()
	})
}

func (l *link) run() {
	n := l.host.network
	n.carried.Go(func() {
		defer close(l.up)
		read(l.client, l.broken, l.up, l.ask)
	})
	n.carried.Go(func() {
		defer close(l.down)
		read(l.broker, l.broken, l.down, l.answer)
	})
	n.carried.Go(func() {
		l.deliver(l.up, l.broker)
		l.broker.Close() // the client has closed, and everything is delivered
	})
	n.carried.Go(func() {
		l.deliver(l.down, l.client)
		for range l.down { // the client has closed: what it sent still arrives
		}
		l.cut()
		l.host.mu.Lock()
		delete(l.host.links, l)
		l.host.mu.Unlock()
	})
}

// read takes frames from one side into a queue until it ends.
func read(from net.Conn, broken <-chan struct{}, to chan<- frame, judge func([]byte) frame) {
	for {
		var size [4]byte
		if _, err := io.ReadFull(from, size[:]); err != nil {
			return
		}
		bytes := make([]byte, 4+binary.BigEndian.Uint32(size[:]))
		copy(bytes, size[:])
		if _, err := io.ReadFull(from, bytes[4:]); err != nil {
			return
		}
		f := judge(bytes)
		select {
		case to <- f:
		case <-broken:
			return
		}
		if f.last {
			return
		}
	}
}

// ask judges a request: size, API key, version, correlation id.
func (l *link) ask(bytes []byte) frame {
	key := kmsg.Key(binary.BigEndian.Uint16(bytes[4:]))
	fault, took := l.host.network.fate(key)
	f := frame{bytes: bytes, due: time.Now().Add(took)}
	if fault != faultNone {
		l.host.network.seen.add(string(fault) + " " + key.Name())
	}
	l.host.network.tell(l, "REQUEST", bytes[8:], key, fault)
	answer := request{key: key, fault: fault, took: took}
	switch fault {
	case faultLostRequest:
		f.last = true
	case faultLateRequest:
		answer.took = time.Millisecond
	case faultLateResponse:
		f.due = time.Now().Add(time.Millisecond)
	case faultNone, faultLostResponse:
	}
	l.mu.Lock()
	l.asked[int32(binary.BigEndian.Uint32(bytes[8:]))] = answer
	l.mu.Unlock()
	return f
}

// tell logs a frame whose correlation id is at the start of id, but for those
// that come all the time.
func (n *network) tell(l *link, what string, id []byte, key kmsg.Key, f fault) {
	if n.logger == nil || key == kmsg.Fetch && f == faultNone || key == kmsg.Heartbeat && f == faultNone {
		return
	}
	n.logger.Info("FRAME", "what", what, "host", l.host.name, "link", fmt.Sprintf("%p", l), "id", binary.BigEndian.Uint32(id), "key", key.Name(), "fault", string(f))
}

// answer judges a response: size, correlation id.
func (l *link) answer(bytes []byte) frame {
	id := int32(binary.BigEndian.Uint32(bytes[4:]))
	l.mu.Lock()
	r := l.asked[id]
	delete(l.asked, id)
	l.mu.Unlock()
	l.host.network.tell(l, "RESPONSE", bytes[4:], r.key, r.fault)
	return frame{bytes: bytes, due: time.Now().Add(r.took), last: r.fault == faultLostResponse}
}

// deliver carries a queue to the other side, each frame at its time.
func (l *link) deliver(queue <-chan frame, to net.Conn) {
	for f := range queue {
		timer := time.NewTimer(time.Until(f.due))
		select {
		case <-timer.C:
		case <-l.broken:
			timer.Stop()
			return
		}
		// A dead host takes nothing, and what it sent goes on its way.
		if err := l.host.awaitThaw(l.broken); err != nil && !errors.Is(err, errHostDown) {
			return
		}
		if f.last {
			l.cut()
			return
		}
		if _, err := to.Write(f.bytes); err != nil {
			return
		}
	}
}
