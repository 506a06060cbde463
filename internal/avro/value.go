package avro

import (
	"encoding/binary"
	"encoding/hex"
	"math"
	"time"

	"github.com/leat-io/leat/pkg/events"
)

// uuid is a UUID as text of 36 characters, which must name something.
func (c *codec) uuid(field string, p *events.UUID) {
	if c.encode {
		c.writeUUID(field, *p)
		return
	}
	b := c.readBytes(field)
	if c.err != nil {
		return
	}
	u, ok := parseUUID(b)
	switch {
	case !ok:
		c.fail(field, "%q is not a UUID", clip(b))
	case u.IsNil():
		c.fail(field, "is the nil UUID, which names nothing")
	default:
		*p = u
	}
}

// optUUID is a UUID that may be null; null is the nil UUID.
func (c *codec) optUUID(field string, p *events.UUID) {
	if c.some(field, !p.IsNil()) {
		c.uuid(field, p)
	}
}

func uuidItem(c *codec, p *events.UUID) { c.uuid("", p) }

func (c *codec) uuids(field string, p *[]events.UUID) { list(c, field, p, uuidItem) }

func (c *codec) writeUUID(field string, u events.UUID) {
	if u.IsNil() {
		c.fail(field, "is missing (the nil UUID names nothing)")
		return
	}
	c.buf = appendUUID(append(c.buf, 36<<1), u)
}

// appendUUID writes the 36 characters.
func appendUUID(b []byte, u events.UUID) []byte {
	t := [36]byte{8: '-', 13: '-', 18: '-', 23: '-'}
	hex.Encode(t[:8], u[:4])
	hex.Encode(t[9:13], u[4:6])
	hex.Encode(t[14:18], u[6:8])
	hex.Encode(t[19:23], u[8:10])
	hex.Encode(t[24:], u[10:])
	return append(b, t[:]...)
}

// parseUUID is events.ParseUUID without making a string of the bytes.
func parseUUID(b []byte) (u events.UUID, ok bool) {
	if len(b) != 36 || b[8] != '-' || b[13] != '-' || b[18] != '-' || b[23] != '-' {
		return u, false
	}
	var compact [32]byte
	copy(compact[:], b[:8])
	copy(compact[8:], b[9:13])
	copy(compact[12:], b[14:18])
	copy(compact[16:], b[19:23])
	copy(compact[20:], b[24:])
	_, err := hex.Decode(u[:], compact[:])
	return u, err == nil
}

// clip shortens foreign text for an error message.
func clip(b []byte) []byte { return b[:min(len(b), 64)] }

// Times that RFC 3339 can write: the years 1 to 9999.
var (
	firstMicro = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()
	lastMicro  = time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC).UnixMicro()
)

// time is microseconds since 1970 UTC. The zero time is refused.
func (c *codec) time(field string, p *time.Time) {
	if !c.encode {
		n := c.readLong(field)
		c.checkTime(field, n)
		*p = time.UnixMicro(n).UTC()
		return
	}
	n := p.UnixMicro()
	c.checkTime(field, n)
	c.buf = binary.AppendVarint(c.buf, n)
}

func (c *codec) checkTime(field string, micros int64) {
	if micros <= firstMicro || micros > lastMicro {
		c.fail(field, "%d µs since 1970 is missing or outside of the years 1 to 9999", micros)
	}
}

// optTime is a time that may be null; null is the zero time.
func (c *codec) optTime(field string, p *time.Time) {
	if c.some(field, !p.IsZero()) {
		c.time(field, p)
	}
}

// millis is a duration in milliseconds, rounded up so that what is not zero
// never becomes zero.
func (c *codec) millis(field string, p *time.Duration) {
	if c.encode {
		ms := int64(*p / time.Millisecond)
		if *p%time.Millisecond > 0 {
			ms++
		}
		c.buf = binary.AppendVarint(c.buf, ms)
		return
	}
	ms := c.readLong(field)
	if most := int64(math.MaxInt64 / time.Millisecond); ms > most || ms < -most {
		c.fail(field, "%d ms is longer than 292 years", ms)
		return
	}
	*p = time.Duration(ms) * time.Millisecond
}

// Branches of the union that a ContextValue is, as the schemas list them.
const (
	branchString = iota
	branchLong
	branchDouble
	branchBoolean
	branchStrings
	branchMap
)

// values is instance data: a map of ContextValues.
func (c *codec) values(field string, p *map[string]events.ContextValue) {
	dict(c, field, p, contextValue)
}

func contextValue(c *codec, key string, v events.ContextValue) events.ContextValue {
	if c.encode {
		c.writeValue(key, v)
		return v
	}
	v = c.readValue(key)
	if c.err == nil {
		if err := v.Validate(); err != nil {
			c.fail(key, "%v", err)
		}
	}
	return v
}

func (c *codec) writeValue(key string, v events.ContextValue) {
	if err := v.Validate(); err != nil {
		c.fail(key, "%v", err)
		return
	}
	switch v.Kind() {
	case events.KindString:
		c.buf = append(c.buf, branchString<<1)
		c.writeString(key, v.Str())
	case events.KindLong:
		c.buf = binary.AppendVarint(append(c.buf, branchLong<<1), v.Int())
	case events.KindDouble:
		c.buf = binary.LittleEndian.AppendUint64(append(c.buf, branchDouble<<1), math.Float64bits(v.Float()))
	case events.KindBoolean:
		c.buf = append(c.buf, branchBoolean<<1, boolByte(v.Bool()))
	case events.KindStrings:
		c.buf = append(c.buf, branchStrings<<1)
		texts := v.List()
		c.strs(key, &texts)
	case events.KindMap:
		c.buf = append(c.buf, branchMap<<1)
		texts := v.Dict()
		dict(c, key, &texts, strValue)
	default: // Validate has refused it
	}
}

func (c *codec) readValue(key string) events.ContextValue {
	switch branch := c.readLong(key); {
	case c.err != nil:
	case branch == branchString:
		return events.String(c.readString(key))
	case branch == branchLong:
		return events.Long(c.readLong(key))
	case branch == branchDouble:
		return events.Double(c.readDouble(key))
	case branch == branchBoolean:
		return events.Boolean(c.readBool(key))
	case branch == branchStrings:
		var texts []string
		c.strs(key, &texts)
		return events.Strings(texts)
	case branch == branchMap:
		var texts map[string]string
		dict(c, key, &texts, strValue)
		return events.Map(texts)
	default:
		c.fail(key, "union branch %d does not exist", branch)
	}
	return events.ContextValue{}
}
