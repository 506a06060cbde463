package avro

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"unicode/utf8"
)

// str is an Avro string. Text that is not UTF-8 is refused both ways, because
// readers in other languages would replace it without a word.
func (c *codec) str(field string, p *string) {
	if c.encode {
		c.writeString(field, *p)
		return
	}
	*p = c.readString(field)
}

func (c *codec) writeString(field, s string) {
	if !utf8.ValidString(s) {
		c.fail(field, "is not valid UTF-8")
		return
	}
	c.buf = binary.AppendVarint(c.buf, int64(len(s)))
	c.buf = append(c.buf, s...)
}

// optStr is a string that may be null; null is "".
func (c *codec) optStr(field string, p *string) {
	if c.some(field, *p != "") {
		c.str(field, p)
	}
}

// strItem is str for a list of strings.
func strItem(c *codec, p *string) { c.str("", p) }

// strValue is str for a map of strings.
func strValue(c *codec, key, s string) string {
	if c.encode {
		c.writeString(key, s)
		return s
	}
	return c.readString(key)
}

// longValue is long for a map of longs.
func longValue(c *codec, key string, n int64) int64 {
	c.long(key, &n)
	return n
}

// strsValue is a list of strings in a map.
func strsValue(c *codec, key string, texts []string) []string {
	list(c, key, &texts, strItem)
	return texts
}

func (c *codec) strs(field string, p *[]string) { list(c, field, p, strItem) }

// payload is JSON text that may be null; null is nil. Whether it is JSON is
// checked by the record's Validate where that is promised.
func (c *codec) payload(field string, p *json.RawMessage) {
	if c.some(field, *p != nil) {
		c.json(field, p)
	}
}

// json is JSON text that must be there.
func (c *codec) json(field string, p *json.RawMessage) {
	if c.encode {
		c.checkJSON(field, *p)
		c.buf = binary.AppendVarint(c.buf, int64(len(*p)))
		c.buf = append(c.buf, *p...)
		return
	}
	text := c.readBytes(field)
	c.checkJSON(field, text)
	if c.err == nil {
		*p = bytes.Clone(text)
	}
}

func (c *codec) checkJSON(field string, text []byte) {
	switch {
	case len(text) == 0:
		c.fail(field, "is empty: leave it out or give JSON")
	case !utf8.Valid(text):
		c.fail(field, "is not valid UTF-8")
	}
}

// jsonValue is json for a map of JSON texts.
func jsonValue(c *codec, key string, text json.RawMessage) json.RawMessage {
	c.json(key, &text)
	return text
}

// optBytes is an Avro bytes that may be null; null is nil.
func (c *codec) optBytes(field string, p *[]byte) {
	switch {
	case !c.some(field, *p != nil):
	case c.encode:
		c.buf = binary.AppendVarint(c.buf, int64(len(*p)))
		c.buf = append(c.buf, *p...)
	default:
		if b := c.readBytes(field); c.err == nil {
			*p = append([]byte{}, b...) // none is not null
		}
	}
}

// readBytes is the content of a string, still in the input.
func (c *codec) readBytes(field string) []byte {
	n := c.readLong(field)
	switch {
	case c.err != nil:
		return nil
	case n < 0:
		c.fail(field, "has the negative length %d", n)
		return nil
	case n > int64(len(c.in)-c.pos):
		c.short(field)
		return nil
	}
	start := c.pos
	c.pos += int(n)
	return c.in[start:c.pos]
}

func (c *codec) readString(field string) string {
	b := c.readBytes(field)
	if !utf8.Valid(b) {
		c.fail(field, "is not valid UTF-8")
		return ""
	}
	if c.text != "" && c.err == nil {
		return c.text[c.pos-len(b) : c.pos]
	}
	return string(b)
}
