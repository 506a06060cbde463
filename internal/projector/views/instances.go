package views

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/endings"
	"github.com/leat-io/leat/internal/store"
	"github.com/leat-io/leat/pkg/events"
)

// card is what indexes, counts and filters need of a snapshot. It is stored in
// front of the snapshot, so that none of them decodes it.
type card struct {
	Sequence  int64
	partition int32
	offset    int64 // of the record, to tell a replay from a rewrite at the same sequence
	created   time.Time
	Workflow  events.WorkflowState
	key       string
	states    []string // distinct active and final chart states, sorted
	search    []searchable
}

// Instance is one row of the instances view.
type Instance struct {
	card
	raw     []byte // the snapshot as on the topic
	decoded *events.Snapshot
}

func cardOf(s *events.Snapshot, partition int32, offset int64) card {
	states := slices.Clone(s.Chart.Active)
	slices.Sort(states)
	return card{
		Sequence: s.SequenceNumber, partition: partition, offset: offset, created: s.CreatedAt,
		Workflow: s.State, key: s.Key, states: slices.Compact(states), search: searchablesOf(s),
	}
}

// stale reports whether an update adds nothing to what is stored: it has been
// seen, or is older. The router may write a snapshot again at the same
// sequence (a heartbeat makes no event); the later record counts.
func (c *card) stale(update *card) bool {
	if update.Sequence != c.Sequence {
		return update.Sequence < c.Sequence
	}
	return update.offset <= c.offset
}

// active reports whether the chart is in state.
func (c *card) active(state string) bool {
	_, found := slices.BinarySearch(c.states, state)
	return found
}

// Snapshot decodes the snapshot, once.
func (i *Instance) Snapshot() (*events.Snapshot, error) {
	if i.decoded == nil {
		s, err := avro.DecodeSnapshot(i.raw)
		if err != nil {
			return nil, fmt.Errorf("decode stored snapshot: %w", err)
		}
		i.decoded = &s
	}
	return i.decoded, nil
}

func (i *Instance) encode() []byte {
	size := 64 + len(i.key) + len(i.raw)
	for _, s := range i.states {
		size += len(s) + binary.MaxVarintLen32
	}
	for _, s := range i.search {
		size += len(s.name) + len(s.value) + 2*binary.MaxVarintLen32
	}
	b := make([]byte, 0, size)
	b = binary.AppendVarint(b, i.Sequence)
	b = binary.AppendVarint(b, int64(i.partition))
	b = binary.AppendVarint(b, i.offset)
	b = binary.AppendVarint(b, i.created.UnixMicro())
	b = appendSized(b, string(i.Workflow))
	b = appendSized(b, i.key)
	b = binary.AppendUvarint(b, uint64(len(i.states)))
	for _, s := range i.states {
		b = appendSized(b, s)
	}
	b = binary.AppendUvarint(b, uint64(len(i.search)))
	for _, s := range i.search {
		b = appendSized(appendSized(b, s.name), s.value)
	}
	return append(b, i.raw...)
}

func appendSized(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

var errTorn = errors.New("stored value is torn")

// decodeInstance reads what encode wrote. The result shares memory with b.
func decodeInstance(b []byte) (*Instance, error) {
	r := reader{rest: b}
	i := &Instance{card: card{
		Sequence: r.varint(), partition: int32(r.varint()), offset: r.varint(), created: time.UnixMicro(r.varint()).UTC(), //nolint:gosec // as written
		Workflow: events.WorkflowState(r.text()), key: r.text(),
	}}
	for n := r.uvarint(); n > 0 && !r.torn; n-- {
		i.states = append(i.states, r.text())
	}
	for n := r.uvarint(); n > 0 && !r.torn; n-- {
		i.search = append(i.search, searchable{r.text(), r.text()})
	}
	i.raw = r.rest
	if r.torn {
		return nil, errTorn
	}
	return i, nil
}

// reader takes values off the front of rest; once torn it gives zeros.
type reader struct {
	rest []byte
	torn bool
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.rest)
	return took(r, v, n)
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	return took(r, v, n)
}

func took[T any](r *reader, v T, n int) T {
	if n <= 0 {
		r.torn = true
		var zero T
		return zero
	}
	r.rest = r.rest[n:]
	return v
}

func (r *reader) text() string {
	n := r.uvarint()
	if r.torn || n > uint64(len(r.rest)) {
		r.torn = true
		return ""
	}
	text := string(r.rest[:n])
	r.rest = r.rest[n:]
	return text
}

// Get reads a row, nil when there is none.
func Get(db *store.DB, workflowType string, id events.UUID) (*Instance, error) {
	value, ok, err := db.Get(instanceKey(prefixInstance, workflowType, id))
	if err != nil || !ok {
		return nil, err
	}
	i, err := decodeInstance(value)
	if err != nil {
		return nil, fmt.Errorf("instance %s/%s: %w", workflowType, id, err)
	}
	return i, nil
}

// EndOf is the end of an instance that is finished or forgotten, else nil.
func EndOf(s *events.Snapshot) *endings.End {
	switch {
	case !s.ForgottenAt.IsZero():
		return &endings.End{WorkflowType: s.WorkflowType, InstanceID: s.InstanceID, SequenceNumber: s.SequenceNumber, Forgotten: true}
	case s.State.Finished():
		e := endings.EndOf(s)
		return &e
	default:
		return nil
	}
}
