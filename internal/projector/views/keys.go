// Package views is what a projector knows: a fold of what the routers wrote, in a
// local store, and the questions that it answers. It has no clock and talks to
// nobody; one writer folds, whoever likes reads.
//
// A view is one file: instances.go (snapshots by id), index.go (lists and business
// keys), search.go (data), counts.go, history.go. fold.go folds one batch into all
// of them; keys.go is the layout of the store that they share.
package views

import (
	"bytes"
	"encoding/binary"
	"time"

	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
)

// Layout is the version of everything below; a store with another one is
// rebuilt from the topics. 3 is 2 without the events that no router wrote: before
// they were passed over, one with an impossible sequence kept all later ones out.
const Layout = 3

// The first byte of a key says which view it belongs to. A workflow type, which
// has no zero byte, and a zero byte follow in all but positions.
const (
	prefixCount    = 'c' // type, counter                  → signed count
	prefixEvent    = 'h' // type, instance, sequence       → partition, offset, event as on the topic
	prefixInstance = 'i' // type, instance                 → card, snapshot as on the topic
	prefixKey      = 'k' // type, business key, instance   → nothing
	prefixCreated  = 'l' // type, created, instance        → nothing
	prefixPosition = 'p' // topic, partition               → next offset, time of the newest record
	prefixHead     = 'q' // type, instance                 → newest sequence in the history
	prefixChart    = 's' // type, state, created, instance → nothing
	prefixWorkflow = 'w' // type, state, created, instance → nothing
	prefixSearch   = 'x' // type, name, value, created, instance → nothing
)

const (
	idLength    = len(events.UUID{})
	afterPrefix = 1 // the byte that ends a range of keys with one prefix, added to its last
)

// typed begins a key of one view and type.
func typed(prefix byte, workflowType string) []byte {
	key := make([]byte, 0, 2+len(workflowType)+2*idLength)
	key = append(key, prefix)
	key = append(key, workflowType...)
	return append(key, 0)
}

func instanceKey(prefix byte, workflowType string, id events.UUID) []byte {
	return append(typed(prefix, workflowType), id[:]...)
}

func eventKey(workflowType string, id events.UUID, sequence int64) []byte {
	return binary.BigEndian.AppendUint64(instanceKey(prefixEvent, workflowType, id), uint64(sequence)) //nolint:gosec // sequences are positive
}

func positionKey(p kafka.TopicPartition) []byte {
	key := append([]byte{prefixPosition}, p.Topic...)
	return binary.BigEndian.AppendUint32(append(key, 0), uint32(p.Partition)) //nolint:gosec // partitions are not negative
}

// appendText writes text so that keys keep its order and no text is the
// beginning of another: a zero byte becomes 00 FF, the end is 00 01.
func appendText(key []byte, text string) []byte {
	return append(escape(key, text), 0, 1)
}

func escape(key []byte, text string) []byte {
	for i := range len(text) {
		key = append(key, text[i])
		if text[i] == 0 {
			key = append(key, 0xff)
		}
	}
	return key
}

// appendTime writes an instant so that keys keep its order.
func appendTime(key []byte, t time.Time) []byte {
	const sign = 1 << 63
	return binary.BigEndian.AppendUint64(key, uint64(t.UnixMicro())^sign)
}

// idOf is the instance at the end of an index key.
func idOf(key []byte) events.UUID { return events.UUID(key[len(key)-idLength:]) }

// typeOf is the workflow type of a key that typed began.
func typeOf(key []byte) string {
	end := bytes.IndexByte(key, 0)
	if end < 1 {
		return ""
	}
	return string(key[1:end])
}

// span is the range of keys that begin with prefix. Prefixes begin with one of
// the letters above, so that there always is a key behind them.
func span(prefix []byte) (from, to []byte) {
	to = bytes.Clone(prefix)
	for i := len(to) - 1; ; i-- {
		to[i] += afterPrefix
		if to[i] != 0 { // no carry
			return prefix, to[:i+1]
		}
	}
}

// behind is the first key after key.
func behind(key []byte) []byte { return append(bytes.Clone(key), 0) }
