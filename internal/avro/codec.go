package avro

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/leat-io/leat/pkg/events"
)

// codec writes one record's body to buf, or reads it from in. A field list in
// records.go calls the same method for both: encode tells which way it goes.
// The first thing that is wrong is kept in err; after it nothing is written and
// everything that is read is zero, so that a field list needs no checks.
type codec struct {
	encode bool
	err    error
	path   []string // records that the field is in
	keys   []string // stack of sorted map keys

	buf []byte // encode: what was written, after what the caller had

	in   []byte // decode: the whole body
	pos  int    // decode: of the next byte
	text string // decode: in as text, if it is small enough to be shared by all strings
}

// shareBelow is the body size up to which decoded strings share one copy of the
// body. Above it each has its own, so that a short string which a caller keeps
// does not hold a large payload in memory.
const shareBelow = 4 << 10

// startDecode begins to read body.
func (c *codec) startDecode(body []byte) {
	c.encode, c.in, c.pos, c.text = false, body, 0, ""
	if len(body) <= shareBelow {
		c.text = string(body)
	}
}

// reset drops everything but the memory.
func (c *codec) reset() {
	clear(c.keys[:cap(c.keys)])
	*c = codec{path: c.path[:0], keys: c.keys[:0], buf: c.buf[:0]}
}

// fail keeps the first error, as one of a field.
func (c *codec) fail(field, format string, args ...any) {
	if c.err == nil {
		c.err = &events.FieldError{Field: c.at(field), Reason: fmt.Sprintf(format, args...)}
	}
	c.pos = len(c.in)
}

// short is fail for a body that ends too early.
func (c *codec) short(field string) {
	if c.err == nil {
		c.err = fmt.Errorf("%w, in %s", ErrTruncated, c.at(field))
	}
	c.pos = len(c.in)
}

func (c *codec) at(field string) string {
	parts := c.path
	if field != "" { // "" is an item of a list
		parts = append(slices.Clip(parts), field)
	}
	return strings.Join(parts, ".")
}

func (c *codec) enter(field string) { c.path = append(c.path, field) }
func (c *codec) leave()             { c.path = c.path[:len(c.path)-1] }

// long is an Avro long: zigzag and base 128, as encoding/binary has it.
func (c *codec) long(field string, p *int64) {
	if c.encode {
		c.buf = binary.AppendVarint(c.buf, *p)
		return
	}
	*p = c.readLong(field)
}

func (c *codec) readLong(field string) int64 {
	n, size := binary.Varint(c.in[c.pos:])
	switch {
	case size > 0:
		c.pos += size
		return n
	case size == 0:
		c.short(field)
	default:
		c.fail(field, "is not a 64-bit number")
	}
	return 0
}

// int is an Avro int, which differs from a long in its range only.
func (c *codec) int(field string, p *int32) {
	if c.encode {
		c.buf = binary.AppendVarint(c.buf, int64(*p))
		return
	}
	n := c.readLong(field)
	if n < math.MinInt32 || n > math.MaxInt32 {
		c.fail(field, "%d does not fit a 32-bit integer", n)
		return
	}
	*p = int32(n)
}

func (c *codec) boolean(field string, p *bool) {
	if c.encode {
		c.buf = append(c.buf, boolByte(*p))
		return
	}
	*p = c.readBool(field)
}

func boolByte(b bool) byte {
	if b {
		return 1
	}
	return 0
}

func (c *codec) readBool(field string) bool {
	if c.pos >= len(c.in) {
		c.short(field)
		return false
	}
	b := c.in[c.pos]
	c.pos++
	if b > 1 {
		c.fail(field, "%d is not a boolean", b)
	}
	return b == 1
}

func (c *codec) readDouble(field string) float64 {
	if len(c.in)-c.pos < 8 {
		c.short(field)
		return 0
	}
	bits := binary.LittleEndian.Uint64(c.in[c.pos:])
	c.pos += 8
	return math.Float64frombits(bits)
}

// some is the branch of a union of null and one type. It returns whether there
// is a value: present says so when encoding, the bytes when decoding.
func (c *codec) some(field string, present bool) bool {
	if c.encode {
		c.buf = append(c.buf, boolByte(present)<<1)
		return present
	}
	switch branch := c.readLong(field); {
	case branch == 1:
		return c.err == nil
	case branch != 0:
		c.fail(field, "union branch %d does not exist", branch)
	}
	return false
}

// optLong is a long that may be null.
func (c *codec) optLong(field string, p **int64) {
	if !c.some(field, *p != nil) {
		return
	}
	if !c.encode {
		*p = new(int64)
	}
	c.long(field, *p)
}

// count writes how many items a list or map has. Lists are written as one block.
func (c *codec) count(n int) {
	if n > 0 {
		c.buf = binary.AppendVarint(c.buf, int64(n))
	}
}

// end closes a list or map.
func (c *codec) end() { c.buf = append(c.buf, 0) }

// next counts the items of a list or map that is being read, over its blocks:
// left is what next returned for the last item, 0 before the first. It returns
// how many items the block still has, with the one to be read now; 0 is the end.
func (c *codec) next(left int) int {
	if left > 1 && c.err == nil {
		return left - 1
	}
	if c.err != nil {
		return 0
	}
	n := c.readLong("")
	if n < 0 { // a block that is preceded by its size in bytes, for those who skip it
		c.readLong("")
		n = -n
	}
	switch {
	case c.err != nil:
		return 0
	case n < 0 || n > int64(len(c.in)-c.pos): // every item takes a byte or more
		c.short("")
		return 0
	}
	return int(n)
}

// prealloc bounds what is set aside for a list before its items are seen.
func prealloc(n int) int { return min(n, 64) }

// list is an array of records (or of strings, or UUIDs), each handled by item.
func list[T any](c *codec, field string, p *[]T, item func(*codec, *T)) {
	c.enter(field)
	if c.encode {
		writeList(c, *p, item)
	} else {
		*p = readList(c, item)
	}
	c.leave()
}

func writeList[T any](c *codec, items []T, item func(*codec, *T)) {
	c.count(len(items))
	for i := range items {
		item(c, &items[i])
	}
	c.end()
}

func readList[T any](c *codec, item func(*codec, *T)) (items []T) {
	for left := c.next(0); left > 0; left = c.next(left) {
		if items == nil {
			items = make([]T, 0, prealloc(left))
		}
		var zero T
		items = append(items, zero)
		item(c, &items[len(items)-1])
	}
	return items
}

// dict is a map with text keys, each value handled by item under its key's name:
// item writes v, or returns what it reads (by value, so that none escapes).
// It is written in the order of the keys: the same map gives the same bytes.
func dict[V any](c *codec, field string, p *map[string]V, item func(c *codec, key string, v V) V) {
	c.enter(field)
	if c.encode {
		writeDict(c, *p, item)
	} else {
		*p = readDict(c, item)
	}
	c.leave()
}

func readDict[V any](c *codec, item func(c *codec, key string, v V) V) (m map[string]V) {
	for left := c.next(0); left > 0; left = c.next(left) {
		if m == nil {
			m = make(map[string]V, prealloc(left))
		}
		key := c.readString("key")
		var none V
		m[key] = item(c, key, none)
	}
	return m
}

func writeDict[V any](c *codec, m map[string]V, item func(c *codec, key string, v V) V) {
	c.count(len(m))
	start := len(c.keys)
	for key := range m {
		c.keys = append(c.keys, key)
	}
	keys := c.keys[start:]
	slices.Sort(keys)
	for _, key := range keys {
		c.writeString("key", key)
		item(c, key, m[key])
	}
	c.keys = c.keys[:start]
	c.end()
}
