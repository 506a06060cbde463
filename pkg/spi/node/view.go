package node

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/leat-io/leat/pkg/events"
)

// View is which nodes there are, as the records in their order say. The same records
// at the same times give the same view, whoever reads them. It is not safe for
// concurrent use.
type View struct {
	nodes map[string]*known
	gone  map[events.UUID]time.Time // incarnations that are gone, and when that was
}

// known is a node's newest record.
type known struct {
	record events.NodeRecord
	stamp  time.Time // when the broker took it
	heard  time.Time // when we did
}

// Change is what a record did.
type Change uint8

// The changes.
const (
	Nothing  Change = iota // it was known, or overtaken
	Joined                 // a node is there, or another incarnation of it
	Updated                // a beat
	Left                   // a node is gone
	LateBeat               // a beat of an incarnation that is gone: its record has to be deleted again
)

// goneKept is how long it is remembered that an incarnation is gone: longer than any
// producer holds on to a record.
const goneKept = 10 * time.Minute

// NewView makes an empty one.
func NewView() *View {
	return &View{nodes: make(map[string]*known), gone: make(map[events.UUID]time.Time)}
}

// Apply takes a record in. stamp is when the broker took it, heard is when whoever
// asks for health did, or would have if it had been there.
func (v *View) Apply(n *events.NodeRecord, stamp, heard time.Time) Change {
	if _, gone := v.gone[n.Incarnation]; gone {
		if v.nodes[n.NodeID] == nil {
			return LateBeat
		}
		return Nothing // its successor's next record is behind it
	}
	is := v.nodes[n.NodeID]
	switch {
	case is == nil:
		v.put(n, stamp, heard)
		return Joined
	case is.record.Incarnation != n.Incarnation:
		v.forget(is.record.Incarnation, stamp)
		v.put(n, stamp, heard)
		return Joined
	case n.Beat <= is.record.Beat:
		return Nothing
	case stamp.Sub(is.stamp) >= ExpiresAfter:
		// Whoever was there has given it up in between: so does everybody.
		v.forget(n.Incarnation, stamp)
		delete(v.nodes, n.NodeID)
		return LateBeat
	}
	v.put(n, stamp, heard)
	return Updated
}

func (v *View) put(n *events.NodeRecord, stamp, heard time.Time) {
	v.nodes[n.NodeID] = &known{record: *n, stamp: stamp, heard: heard}
}

// Remove takes a tombstone in. incarnation is whose it is, the nil UUID for whoever
// is there.
func (v *View) Remove(id string, incarnation events.UUID, stamp time.Time) Change {
	is := v.nodes[id]
	if !incarnation.IsNil() {
		v.forget(incarnation, stamp)
	}
	if is == nil || !incarnation.IsNil() && is.record.Incarnation != incarnation {
		return Nothing
	}
	v.forget(is.record.Incarnation, stamp)
	delete(v.nodes, id)
	return Left
}

// forget remembers that an incarnation is gone.
func (v *View) forget(incarnation events.UUID, at time.Time) {
	for old, since := range v.gone {
		if at.Sub(since) > goneKept {
			delete(v.gone, old)
		}
	}
	v.gone[incarnation] = at
}

// Has reports whether an incarnation is there, expired or not.
func (v *View) Has(k Key) bool {
	is := v.nodes[k.NodeID]
	return is != nil && is.record.Incarnation == k.Incarnation
}

// Beat is the newest beat of an incarnation; false when it is not there.
func (v *View) Beat(k Key) (beat int64, there bool) {
	if !v.Has(k) {
		return 0, false
	}
	return v.nodes[k.NodeID].record.Beat, true
}

// Nodes lists the nodes that are not expired at now, by id. Maps and lists in it are
// shared with the view, which never changes them.
func (v *View) Nodes(now time.Time) []Node {
	list := make([]Node, 0, len(v.nodes))
	for _, is := range v.nodes {
		silent := max(0, now.Sub(is.heard))
		if silent >= ExpiresAfter {
			continue
		}
		n := Node{NodeRecord: is.record, Health: events.HealthHealthy, Silent: silent, LastBeat: is.heard}
		if silent >= unhealthyAfter {
			n.Health = events.HealthUnhealthy
		}
		list = append(list, n)
	}
	slices.SortFunc(list, func(a, b Node) int { return strings.Compare(a.NodeID, b.NodeID) })
	return list
}

// Expired lists the incarnations whose records are there and who are expired at now,
// by id.
func (v *View) Expired(now time.Time) []Key {
	var list []Key
	for id, is := range v.nodes {
		if now.Sub(is.heard) >= ExpiresAfter {
			list = append(list, Key{id, is.record.Incarnation})
		}
	}
	slices.SortFunc(list, func(a, b Key) int { return strings.Compare(a.NodeID, b.NodeID) })
	return list
}

// NextExpiry is when the next node would expire that is not heard of again; the zero
// time for never.
func (v *View) NextExpiry(now time.Time) time.Time {
	var next time.Time
	for _, is := range v.nodes {
		if at := is.heard.Add(ExpiresAfter); at.After(now) && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next
}

// Copied is n with maps and lists of its own.
func (n *Node) Copied() Node {
	c := *n
	c.Types, c.Capabilities, c.Queues = slices.Clone(n.Types), slices.Clone(n.Capabilities), slices.Clone(n.Queues)
	c.Capacity, c.Load, c.Shares = maps.Clone(n.Capacity), maps.Clone(n.Load), slices.Clone(n.Shares)
	for i := range c.Shares {
		c.Shares[i].Load = maps.Clone(c.Shares[i].Load)
	}
	return c
}
