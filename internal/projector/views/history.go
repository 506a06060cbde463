package views

import (
	"encoding/binary"
	"fmt"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/store"
	"github.com/leat-io/leat/pkg/events"
)

// Fact is an event of a history and its place on its topic.
type Fact struct {
	events.Event
	Partition int32 `json:"partition"`
	Offset    int64 `json:"offset"`
}

// factHeader precedes the event in a row.
const factHeader = 4 + 8

func encodeFact(partition int32, offset int64, raw []byte) []byte {
	b := make([]byte, 0, factHeader+len(raw))
	b = binary.BigEndian.AppendUint32(b, uint32(partition)) //nolint:gosec // partitions are not negative
	b = binary.BigEndian.AppendUint64(b, uint64(offset))    //nolint:gosec // offsets are not negative
	return append(b, raw...)
}

func decodeFact(b []byte) (Fact, error) {
	if len(b) < factHeader {
		return Fact{}, fmt.Errorf("event: %w", errTorn)
	}
	e, err := avro.DecodeEvent(b[factHeader:])
	if err != nil {
		return Fact{}, fmt.Errorf("decode stored event: %w", err)
	}
	return Fact{
		Event:     e,
		Partition: int32(binary.BigEndian.Uint32(b)),     //nolint:gosec // as written
		Offset:    int64(binary.BigEndian.Uint64(b[4:])), //nolint:gosec // as written
	}, nil
}

// pageBytes ends a page of a list or of a history before its count does: an
// answer is made whole in memory, for each client that asks. One item may go
// beyond it, so that a page is never empty while there is more.
const pageBytes = 2 << 20

// sentBytes is how long something is in an answer: names of fields and escapes
// make many times of it what is stored.
func sentBytes(v any) int {
	text, err := events.EncodeJSON(v)
	if err != nil {
		return pageBytes // it is not sent
	}
	return len(text)
}

// HistoryOf gives at most limit events of an instance with a sequence of from
// or more, and fewer when they are large.
func HistoryOf(db *store.DB, workflowType string, id events.UUID, from int64, limit int) (facts []Fact, err error) {
	_, to := span(instanceKey(prefixEvent, workflowType, id))
	size := 0
	err = db.Scan(eventKey(workflowType, id, max(from, 0)), to, func(_, value []byte) (bool, error) {
		if len(facts) == limit || size >= pageBytes {
			return false, nil
		}
		fact, err := decodeFact(value)
		if err != nil {
			return false, fmt.Errorf("history of %s/%s: %w", workflowType, id, err)
		}
		facts = append(facts, fact)
		size += sentBytes(&fact)
		return true, nil
	})
	return facts, err
}

// HeadOf is the newest sequence in the history of an instance, 0 without one and
// for an instance that is forgotten.
func HeadOf(db *store.DB, workflowType string, id events.UUID) (int64, error) {
	sequence, forgotten, err := StoredHead(db, workflowType, id)
	if forgotten {
		sequence = 0
	}
	return sequence, err
}

// forgottenMark follows the sequence of an instance that is forgotten.
const forgottenMark = 'f'

func (h *head) encode() []byte {
	b := binary.AppendVarint(nil, h.now)
	if h.forgotten {
		b = append(b, forgottenMark)
	}
	return b
}

// StoredHead is the newest sequence that the view has had of an instance, 0 for
// none, and whether its history is forgotten.
func StoredHead(db *store.DB, workflowType string, id events.UUID) (sequence int64, forgotten bool, err error) {
	value, ok, err := db.Get(instanceKey(prefixHead, workflowType, id))
	if err != nil || !ok {
		return 0, false, err
	}
	if last := len(value) - 1; last > 0 && value[last] == forgottenMark {
		// A varint's last byte may have this value, but then it is all of it.
		if sequence, size := binary.Varint(value); size == last {
			return sequence, true, nil
		}
	}
	sequence, err = decodeCount(value)
	return sequence, false, err
}
