package views

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

// Source says what the records of a topic are.
type Source struct {
	Type  string
	State bool // snapshots, else events
}

// Change is what one record says, decoded.
type Change struct {
	Source
	ID        events.UUID
	Partition int32
	Offset    int64
	raw       []byte       // nil: the instance is gone (forgotten, or a tombstone on the state topic)
	Sequence  int64        // of an event, or of the last one of an instance that is forgotten
	Cut       bool         // the log begins behind its first record: events may be missing
	card      card         // of a snapshot
	end       *endings.End // of a snapshot of an instance that is finished or forgotten
}

// ErrNothing marks a record that no view is interested in.
var ErrNothing = errors.New("nothing to fold")

// Decode reads a record. Every error but ErrNothing says why the record is
// none that a router wrote.
func Decode(from Source, r *kafka.Record) (Change, error) {
	c := Change{Source: from, Partition: r.Partition, Offset: r.Offset, raw: r.Value}
	if from.State && events.Internal(string(r.Key)) {
		return c, ErrNothing
	}
	var (
		said string
		err  error
	)
	switch {
	case r.Value == nil && from.State:
		c.ID, err = events.ParseUUID(string(r.Key))
		return c, err
	case from.State:
		var s events.Snapshot
		if s, err = avro.DecodeState(from.Type, r.Key, r.Value); err == nil {
			c.ID, c.card, said, c.end = s.InstanceID, cardOf(&s, r.Partition, r.Offset), s.WorkflowType, EndOf(&s)
			if !s.ForgottenAt.IsZero() {
				c.raw, c.Sequence = nil, s.SequenceNumber
			}
		}
	default:
		var e events.Event
		if e, err = avro.DecodeFact(r.Key, r.Value, r.Offset); err == nil {
			c.ID, c.Sequence, said = e.InstanceID, e.SequenceNumber, e.WorkflowType
		}
	}
	switch {
	case err != nil:
		return c, err
	case said != from.Type:
		return c, fmt.Errorf("is of workflow type %q", said)
	case c.ID.String() != string(r.Key):
		return c, fmt.Errorf("is about instance %s and has another key", c.ID)
	}
	return c, nil
}

// Name identifies an instance.
type Name struct {
	Type string
	ID   events.UUID
}

// Position is how far a partition is folded.
type Position struct {
	Next   int64
	Newest time.Time // of the newest record that was folded
}

func (p Position) encode() []byte {
	b := binary.AppendVarint(nil, p.Next)
	return binary.AppendVarint(b, p.Newest.UnixMicro())
}

// PositionOf is how far a partition is folded in the store; ok is false when the
// store has nothing of it.
func PositionOf(db *store.DB, p kafka.TopicPartition) (at Position, ok bool, err error) {
	value, ok, err := db.Get(positionKey(p))
	if err != nil || !ok {
		return Position{}, false, err
	}
	r := reader{rest: value}
	at = Position{Next: r.varint(), Newest: time.UnixMicro(r.varint()).UTC()}
	if r.torn {
		return Position{}, false, fmt.Errorf("position of %s: %w", p, errTorn)
	}
	return at, true, nil
}

// Folder is the only writer of the views. Safe for concurrent use.
type Folder struct {
	DB *store.DB
	mu sync.Mutex
}

// Folded says what came of a batch.
type Folded struct {
	Touched []Touched
	Stale   int
	Foreign []Change // events that do not follow those before them: no router's
	Ended   []*endings.End
}

// Touched is an instance that a batch changed.
type Touched struct {
	Name
	Key string // its business key, if the batch names it
}

// Fold applies changes in order and moves the positions on, in one batch of the
// store. Changes that have been folded before change nothing.
func (f *Folder) Fold(changes []Change, at map[kafka.TopicPartition]Position) (Folded, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	batch := f.DB.NewBatch()
	defer batch.Close()
	b := pass{
		db: f.DB, batch: batch, counts: make(tally), rows: make(map[Name]*row), heads: make(map[Name]*head),
	}
	for i := range changes {
		if err := b.apply(&changes[i]); err != nil {
			return Folded{}, err
		}
	}
	b.write()
	if err := b.counts.write(f.DB, batch); err != nil {
		return Folded{}, err
	}
	for p, position := range at {
		batch.Set(positionKey(p), position.encode())
	}
	return b.folded, batch.Commit()
}

// Wipe empties the views.
func (f *Folder) Wipe() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	batch := f.DB.NewBatch()
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
	rows   map[Name]*row
	heads  map[Name]*head
	order  []Name // of rows, so that the batch is written in the order of the log
	folded Folded
}

type row struct {
	stored, now *Instance // nil: none
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

func (b *pass) apply(c *Change) error {
	if c.State {
		return b.applySnapshot(c)
	}
	return b.applyEvent(c)
}

func (b *pass) applySnapshot(c *Change) error {
	of := Name{c.Type, c.ID}
	r := b.rows[of]
	if r == nil {
		stored, err := Get(b.db, c.Type, c.ID)
		if err != nil {
			return err
		}
		r = &row{stored: stored, now: stored}
		b.rows[of] = r
		b.order = append(b.order, of)
	}
	switch {
	case c.raw == nil && c.Sequence > 0:
		if err := b.forget(c); err != nil {
			return err
		}
		fallthrough
	case c.raw == nil:
		r.seen = r.seen || r.now != nil
		r.now, r.end = nil, c.end
	case r.now != nil && r.now.stale(&c.card):
		b.folded.Stale++
	default:
		r.now, r.seen, r.end = &Instance{card: c.card, raw: c.raw}, true, c.end
	}
	return nil
}

func (b *pass) applyEvent(c *Change) error {
	h, err := b.head(Name{c.Type, c.ID})
	if err != nil {
		return err
	}
	if c.Sequence <= h.now {
		b.folded.Stale++
		return nil
	}
	// Histories have no gaps. Taking a jump would make everything that follows
	// stale; only where the log itself is cut can there be one.
	if c.Sequence != h.now+1 && !c.Cut {
		b.folded.Foreign = append(b.folded.Foreign, *c)
		return nil
	}
	h.now = c.Sequence
	h.added++
	b.batch.Set(eventKey(c.Type, c.ID, c.Sequence), encodeFact(c.Partition, c.Offset, c.raw))
	b.counts.add(c.Type, countEvents, "", 1)
	return nil
}

func (b *pass) head(of Name) (*head, error) {
	if h := b.heads[of]; h != nil {
		return h, nil
	}
	stored, forgotten, err := StoredHead(b.db, of.Type, of.ID)
	h := &head{stored: stored, now: stored, wasForgotten: forgotten, forgotten: forgotten}
	b.heads[of] = h
	return h, err
}

// forget drops the history of an instance from the view.
func (b *pass) forget(c *Change) error {
	h, err := b.head(Name{c.Type, c.ID})
	if err != nil || h.forgotten {
		return err
	}
	from, to := span(instanceKey(prefixEvent, c.Type, c.ID))
	count := h.added
	if err := b.db.Scan(from, to, func(_, _ []byte) (bool, error) {
		count++
		return true, nil
	}); err != nil {
		return err
	}
	b.batch.DeleteRange(from, to)
	b.counts.add(c.Type, countEvents, "", -count)
	h.forgotten, h.now, h.added = true, max(h.now, c.Sequence), 0
	return nil
}

func (b *pass) write() {
	for _, of := range b.order {
		r := b.rows[of]
		if r.end != nil {
			b.folded.Ended = append(b.folded.Ended, r.end)
		}
		if !r.seen {
			continue
		}
		key := instanceKey(prefixInstance, of.Type, of.ID)
		var old, now *card
		changed := Touched{Name: of}
		if r.stored != nil {
			old, changed.Key = &r.stored.card, r.stored.key
		}
		if r.now != nil {
			now, changed.Key = &r.now.card, r.now.key
			b.batch.Set(key, r.now.encode())
		} else {
			b.batch.Delete(key)
		}
		moveIndex(b.batch, of.Type, of.ID, old, now)
		b.counts.addCard(of.Type, old, -1)
		b.counts.addCard(of.Type, now, 1)
		b.folded.Touched = append(b.folded.Touched, changed)
	}
	for of, h := range b.heads {
		if h.now != h.stored || h.forgotten != h.wasForgotten {
			b.batch.Set(instanceKey(prefixHead, of.Type, of.ID), h.encode())
			b.folded.Touched = append(b.folded.Touched, Touched{Name: of})
		}
	}
}

// Behind is the position after record.
func (p Position) Behind(record *kafka.Record) Position {
	p.Next = record.Offset + 1
	if record.Timestamp.After(p.Newest) {
		p.Newest = record.Timestamp
	}
	return p
}
