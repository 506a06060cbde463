package avro

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/leat-io/leat/pkg/events"
)

// MaxRecordLength bounds an encoded record, in bytes, on encode and on decode:
// what Kafka's default message.max.bytes lets through.
const MaxRecordLength = 1 << 20

// codecs are reused for their memory.
var codecs = sync.Pool{New: func() any { return new(codec) }}

// appendRecord writes header and body behind dst. On an error it returns dst as
// it was.
func appendRecord[T any](dst []byte, record string, fields func(*codec, *T), r *T) ([]byte, error) {
	c := codecs.Get().(*codec)
	defer codecs.Put(c)
	scratch := c.buf[:0]
	c.encode = true
	c.buf = dst
	c.buf = append(c.buf, marker...)
	c.buf = binary.LittleEndian.AppendUint64(c.buf, loaded().current[record].fingerprint)
	fields(c, r)
	out, err := c.buf, c.err
	if size := len(out) - len(dst); err == nil && size > MaxRecordLength {
		err = fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, size, MaxRecordLength)
	}
	c.buf = scratch
	c.reset()
	if err != nil {
		return dst, fmt.Errorf("encode %s: %w", record, err)
	}
	return out, nil
}

// encodeRecord is appendRecord into a slice of exactly the right size.
func encodeRecord[T any](record string, fields func(*codec, *T), r *T) ([]byte, error) {
	c := codecs.Get().(*codec)
	defer codecs.Put(c)
	out, err := appendRecord(c.buf[:0], record, fields, r)
	if err != nil {
		return nil, err
	}
	if cap(out) <= shareBelow<<4 { // a rare large record does not stay in memory
		c.buf = out[:0]
	}
	return bytes.Clone(out), nil
}

// decodeRecord reads header and body, which must end together.
func decodeRecord[T any](single []byte, record string, fields func(*codec, *T)) (*T, error) {
	if len(single) > MaxRecordLength {
		return nil, fmt.Errorf("decode %s: %w: %d bytes, at most %d", record, ErrTooLarge, len(single), MaxRecordLength)
	}
	body, err := loaded().body(record, single)
	if err != nil {
		return nil, fmt.Errorf("decode %s: %w", record, err)
	}
	c := codecs.Get().(*codec)
	defer codecs.Put(c)
	c.startDecode(body)
	r := new(T)
	fields(c, r)
	err = c.err
	if left := len(body) - c.pos; err == nil && left > 0 {
		err = fmt.Errorf("%w: %d", ErrTrailing, left)
	}
	c.reset()
	if err != nil {
		return nil, fmt.Errorf("decode %s: %w", record, err)
	}
	return r, nil
}

// validator is what every record but a command can do by itself.
type validator[T any] interface {
	*T
	Validate() error
}

// appendValid is appendRecord for a record that is refused when it is not valid.
func appendValid[T any, V validator[T]](dst []byte, record string, fields func(*codec, *T), r *T) ([]byte, error) {
	if err := V(r).Validate(); err != nil {
		return dst, fmt.Errorf("encode %s: %w", record, err)
	}
	return appendRecord(dst, record, fields, r)
}

// encodeValid is encodeRecord for a record that is refused when it is not valid.
func encodeValid[T any, V validator[T]](record string, fields func(*codec, *T), r *T) ([]byte, error) {
	if err := V(r).Validate(); err != nil {
		return nil, fmt.Errorf("encode %s: %w", record, err)
	}
	return encodeRecord(record, fields, r)
}

// decodeValid is decodeRecord for a record that is refused when it is not valid.
func decodeValid[T any, V validator[T]](single []byte, record string, fields func(*codec, *T)) (r T, err error) {
	p, err := decodeRecord(single, record, fields)
	if err != nil {
		return r, err
	}
	if err := V(p).Validate(); err != nil {
		return r, fmt.Errorf("decode %s: %w", record, err)
	}
	return *p, nil
}

// EncodeEvent writes an event in single-object encoding. It refuses one that
// does not validate; the error is an [events.FieldError]. The same event always
// gives the same bytes. What is said here holds for every record below.
func EncodeEvent(e *events.Event) ([]byte, error) { return encodeValid("event", event, e) }

// AppendEvent writes an event behind dst, and returns dst as it was on an error.
func AppendEvent(dst []byte, e *events.Event) ([]byte, error) {
	return appendValid(dst, "event", event, e)
}

// DecodeEvent reads what EncodeEvent wrote, with this or an older schema, and
// refuses what does not validate. The result shares no memory with single.
func DecodeEvent(single []byte) (events.Event, error) { return decodeValid(single, "event", event) }

// EncodeTask writes a task.
func EncodeTask(t *events.Task) ([]byte, error) { return encodeValid("task", task, t) }

// AppendTask writes a task behind dst.
func AppendTask(dst []byte, t *events.Task) ([]byte, error) { return appendValid(dst, "task", task, t) }

// DecodeTask reads a task.
func DecodeTask(single []byte) (events.Task, error) { return decodeValid(single, "task", task) }

// EncodeOutcome writes an outcome.
func EncodeOutcome(o *events.Outcome) ([]byte, error) { return encodeValid("outcome", outcome, o) }

// AppendOutcome writes an outcome behind dst.
func AppendOutcome(dst []byte, o *events.Outcome) ([]byte, error) {
	return appendValid(dst, "outcome", outcome, o)
}

// DecodeOutcome reads an outcome.
func DecodeOutcome(single []byte) (events.Outcome, error) {
	return decodeValid(single, "outcome", outcome)
}

// EncodeSnapshot writes a snapshot.
func EncodeSnapshot(s *events.Snapshot) ([]byte, error) { return encodeValid("snapshot", snapshot, s) }

// AppendSnapshot writes a snapshot behind dst.
func AppendSnapshot(dst []byte, s *events.Snapshot) ([]byte, error) {
	return appendValid(dst, "snapshot", snapshot, s)
}

// DecodeSnapshot reads a snapshot.
func DecodeSnapshot(single []byte) (events.Snapshot, error) {
	return decodeValid(single, "snapshot", snapshot)
}

// EncodeCancellation writes a cancellation.
func EncodeCancellation(c *events.Cancellation) ([]byte, error) {
	return encodeValid("cancellation", cancellation, c)
}

// AppendCancellation writes a cancellation behind dst.
func AppendCancellation(dst []byte, c *events.Cancellation) ([]byte, error) {
	return appendValid(dst, "cancellation", cancellation, c)
}

// DecodeCancellation reads a cancellation.
func DecodeCancellation(single []byte) (events.Cancellation, error) {
	return decodeValid(single, "cancellation", cancellation)
}

// EncodeCheckpoint writes a checkpoint.
func EncodeCheckpoint(p *events.Checkpoint) ([]byte, error) {
	return encodeValid("checkpoint", checkpoint, p)
}

// AppendCheckpoint writes a checkpoint behind dst.
func AppendCheckpoint(dst []byte, p *events.Checkpoint) ([]byte, error) {
	return appendValid(dst, "checkpoint", checkpoint, p)
}

// DecodeCheckpoint reads a checkpoint.
func DecodeCheckpoint(single []byte) (events.Checkpoint, error) {
	return decodeValid(single, "checkpoint", checkpoint)
}

// EncodeDefinition writes a deployed definition.
func EncodeDefinition(d *events.DefinitionRecord) ([]byte, error) {
	return encodeValid("definition", definition, d)
}

// AppendDefinition writes a deployed definition behind dst.
func AppendDefinition(dst []byte, d *events.DefinitionRecord) ([]byte, error) {
	return appendValid(dst, "definition", definition, d)
}

// DecodeDefinition reads a deployed definition.
func DecodeDefinition(single []byte) (events.DefinitionRecord, error) {
	return decodeValid(single, "definition", definition)
}
