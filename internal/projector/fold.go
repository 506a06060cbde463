package projector

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/endings"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/store"
	"github.com/leat-io/leat/pkg/events"
)

// source says what the records of a topic are.
type source struct {
	workflowType string
	state        bool // snapshots, else events
}

// change is what one record says, decoded.
type change struct {
	source
	id        events.UUID
	partition int32
	offset    int64
	raw       []byte       // nil: the instance is gone (forgotten, or a tombstone on the state topic)
	sequence  int64        // of an event, or of the last one of an instance that is forgotten
	cut       bool         // the log begins behind its first record: events may be missing
	card      card         // of a snapshot
	end       *endings.End // of a snapshot of an instance that is finished or forgotten
}

// errNothing marks a record that no view is interested in.
var errNothing = errors.New("nothing to fold")

// decode reads a record. Every error but errNothing says why the record is
// none that a router wrote.
func decode(from source, r *kafka.Record) (change, error) {
	c := change{source: from, partition: r.Partition, offset: r.Offset, raw: r.Value}
	if from.state && events.Internal(string(r.Key)) {
		return c, errNothing
	}
	var (
		said string
		err  error
	)
	switch {
	case r.Value == nil && from.state:
		c.id, err = events.ParseUUID(string(r.Key))
		return c, err
	case from.state:
		var s events.Snapshot
		if s, err = avro.DecodeState(from.workflowType, r.Key, r.Value); err == nil {
			c.id, c.card, said, c.end = s.InstanceID, cardOf(&s, r.Partition, r.Offset), s.WorkflowType, endOf(&s)
			if !s.ForgottenAt.IsZero() {
				c.raw, c.sequence = nil, s.SequenceNumber
			}
		}
	default:
		var e events.Event
		if e, err = avro.DecodeFact(r.Key, r.Value, r.Offset); err == nil {
			c.id, c.sequence, said = e.InstanceID, e.SequenceNumber, e.WorkflowType
		}
	}
	switch {
	case err != nil:
		return c, err
	case said != from.workflowType:
		return c, fmt.Errorf("is of workflow type %q", said)
	case c.id.String() != string(r.Key):
		return c, fmt.Errorf("is about instance %s and has another key", c.id)
	}
	return c, nil
}

// name identifies an instance.
type name struct {
	workflowType string
	id           events.UUID
}

// position is how far a partition is folded.
type position struct {
	next   int64
	newest time.Time // of the newest record that was folded
}

func (p position) encode() []byte {
	b := binary.AppendVarint(nil, p.next)
	return binary.AppendVarint(b, p.newest.UnixMicro())
}

func positionOf(db *store.DB, p kafka.TopicPartition) (at position, ok bool, err error) {
	value, ok, err := db.Get(positionKey(p))
	if err != nil || !ok {
		return position{}, false, err
	}
	r := reader{rest: value}
	at = position{next: r.varint(), newest: time.UnixMicro(r.varint()).UTC()}
	if r.torn {
		return position{}, false, fmt.Errorf("position of %s: %w", p, errTorn)
	}
	return at, true, nil
}

// folder is the only writer of the views. Safe for concurrent use.
type folder struct {
	db *store.DB
	mu sync.Mutex
}

// folded says what came of a batch.
type folded struct {
	touched []touched
	stale   int
	foreign []change // events that do not follow those before them: no router's
	ended   []*endings.End
}

// touched is an instance that a batch changed.
type touched struct {
	name
	key string // its business key, if the batch names it
}

// fold applies changes in order and moves the positions on, in one batch of the
// store. Changes that have been folded before change nothing.
func (f *folder) fold(changes []change, at map[kafka.TopicPartition]position) (folded, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	batch := f.db.NewBatch()
	defer batch.Close()
	b := pass{
		db: f.db, batch: batch, counts: make(tally), rows: make(map[name]*row), heads: make(map[name]*head),
	}
	for i := range changes {
		if err := b.apply(&changes[i]); err != nil {
			return folded{}, err
		}
	}
	b.write()
	if err := b.counts.write(f.db, batch); err != nil {
		return folded{}, err
	}
	for p, position := range at {
		batch.Set(positionKey(p), position.encode())
	}
	return b.folded, batch.Commit()
}

// wipe empties the views.
func (f *folder) wipe() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	batch := f.db.NewBatch()
	defer batch.Close()
	batch.DeleteRange([]byte{1}, []byte{0xff})
	return batch.Commit()
}

// pass is one batch while it is folded: rows are read from the store once and
// written once, however many records are about them.
type pass struct {
	db     *store.DB
	batch  *store.Batch
	counts tally
	rows   map[name]*row
	heads  map[name]*head
	order  []name // of rows, so that the batch is written in the order of the log
	folded folded
}

type row struct {
	stored, now *instance // nil: none
	seen        bool      // a record changed it
	end         *endings.End
}

// head is the newest sequence of a history. One that is forgotten holds no
// events, and takes none that were written before that.
type head struct {
	stored, now  int64
	wasForgotten bool // as stored
	forgotten    bool
	added        int64 // events that this pass stores
}

func (b *pass) apply(c *change) error {
	if c.state {
		return b.applySnapshot(c)
	}
	return b.applyEvent(c)
}

func (b *pass) applySnapshot(c *change) error {
	of := name{c.workflowType, c.id}
	r := b.rows[of]
	if r == nil {
		stored, err := getInstance(b.db, c.workflowType, c.id)
		if err != nil {
			return err
		}
		r = &row{stored: stored, now: stored}
		b.rows[of] = r
		b.order = append(b.order, of)
	}
	switch {
	case c.raw == nil && c.sequence > 0:
		if err := b.forget(c); err != nil {
			return err
		}
		fallthrough
	case c.raw == nil:
		r.seen = r.seen || r.now != nil
		r.now, r.end = nil, c.end
	case r.now != nil && r.now.stale(&c.card):
		b.folded.stale++
	default:
		r.now, r.seen, r.end = &instance{card: c.card, raw: c.raw}, true, c.end
	}
	return nil
}

func (b *pass) applyEvent(c *change) error {
	h, err := b.head(name{c.workflowType, c.id})
	if err != nil {
		return err
	}
	if c.sequence <= h.now {
		b.folded.stale++
		return nil
	}
	// Histories have no gaps. Taking a jump would make everything that follows
	// stale; only where the log itself is cut can there be one.
	if c.sequence != h.now+1 && !c.cut {
		b.folded.foreign = append(b.folded.foreign, *c)
		return nil
	}
	h.now = c.sequence
	h.added++
	b.batch.Set(eventKey(c.workflowType, c.id, c.sequence), encodeFact(c.partition, c.offset, c.raw))
	b.counts.add(c.workflowType, countEvents, "", 1)
	return nil
}

func (b *pass) head(of name) (*head, error) {
	if h := b.heads[of]; h != nil {
		return h, nil
	}
	stored, forgotten, err := storedHead(b.db, of.workflowType, of.id)
	h := &head{stored: stored, now: stored, wasForgotten: forgotten, forgotten: forgotten}
	b.heads[of] = h
	return h, err
}

// forget drops the history of an instance from the view.
func (b *pass) forget(c *change) error {
	h, err := b.head(name{c.workflowType, c.id})
	if err != nil || h.forgotten {
		return err
	}
	from, to := span(instanceKey(prefixEvent, c.workflowType, c.id))
	count := h.added
	if err := b.db.Scan(from, to, func(_, _ []byte) (bool, error) {
		count++
		return true, nil
	}); err != nil {
		return err
	}
	b.batch.DeleteRange(from, to)
	b.counts.add(c.workflowType, countEvents, "", -count)
	h.forgotten, h.now, h.added = true, max(h.now, c.sequence), 0
	return nil
}

func (b *pass) write() {
	for _, of := range b.order {
		r := b.rows[of]
		if r.end != nil {
			b.folded.ended = append(b.folded.ended, r.end)
		}
		if !r.seen {
			continue
		}
		key := instanceKey(prefixInstance, of.workflowType, of.id)
		var old, now *card
		changed := touched{name: of}
		if r.stored != nil {
			old, changed.key = &r.stored.card, r.stored.key
		}
		if r.now != nil {
			now, changed.key = &r.now.card, r.now.key
			b.batch.Set(key, r.now.encode())
		} else {
			b.batch.Delete(key)
		}
		moveIndex(b.batch, of.workflowType, of.id, old, now)
		b.counts.addCard(of.workflowType, old, -1)
		b.counts.addCard(of.workflowType, now, 1)
		b.folded.touched = append(b.folded.touched, changed)
	}
	for of, h := range b.heads {
		if h.now != h.stored || h.forgotten != h.wasForgotten {
			b.batch.Set(instanceKey(prefixHead, of.workflowType, of.id), h.encode())
			b.folded.touched = append(b.folded.touched, touched{name: of})
		}
	}
}
