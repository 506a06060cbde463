package frame

import (
	"bufio"
	"errors"
	"io"
	"strings"
)

// Lines reads messages that end with a newline. A line beyond the limit is read to
// its end and thrown away; what request it answered is found on the way.
type Lines struct {
	in  *bufio.Reader
	buf []byte
}

const lineBuffer = 64 << 10

// NewLines reads from r.
func NewLines(r io.Reader) *Lines { return &Lines{in: bufio.NewReaderSize(r, lineBuffer)} }

// Next returns a line without its end, valid until the next one. over: it was
// longer than limit, and id is that of the message in it, "" when none was found.
func (l *Lines) Next(limit int) (line []byte, id string, over bool, err error) {
	if cap(l.buf) > 1<<20 {
		l.buf = nil // one large line does not hold its memory for ever
	}
	l.buf = l.buf[:0]
	for {
		part, err := l.in.ReadSlice('\n')
		full := errors.Is(err, bufio.ErrBufferFull)
		if err != nil && !full {
			return nil, "", false, err
		}
		if len(l.buf)+len(part) > limit {
			s := &idScan{}
			s.feed(l.buf)
			s.feed(part)
			if full {
				err = l.skip(s)
			}
			if errors.Is(err, bufio.ErrBufferFull) {
				err = nil
			}
			return nil, s.id, true, err
		}
		if !full && len(l.buf) == 0 {
			return part[:len(part)-1], "", false, nil
		}
		l.buf = append(l.buf, part...)
		if !full {
			return l.buf[:len(l.buf)-1], "", false, nil
		}
	}
}

func (l *Lines) skip(s *idScan) error {
	for {
		part, err := l.in.ReadSlice('\n')
		s.feed(part)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
}

// idScan finds the value of "id" at the top of a JSON object that is never held
// whole. Servers write it in front of the result or behind it.
type idScan struct {
	depth   int
	text    bool // inside of a text
	escaped bool
	key     []byte // the text that is being read at the top, as far as it matters
	isKey   bool   // the last text at the top was "id"
	value   []byte
	inValue bool
	id      string
}

func (s *idScan) feed(part []byte) {
	for _, c := range part {
		if s.text {
			s.inText(c)
			continue
		}
		s.outside(c)
	}
}

func (s *idScan) inText(c byte) {
	switch {
	case s.escaped:
		s.escaped = false
	case c == '\\':
		s.escaped = true
	case c == '"':
		s.text = false
		s.isKey = s.depth == 1 && string(s.key) == "id"
		return
	}
	if s.depth == 1 && len(s.key) < 4 {
		s.key = append(s.key, c)
	}
}

// number takes one byte of the value of "id", and reports whether it belongs to it.
func (s *idScan) number(c byte) bool {
	switch {
	case c >= '0' && c <= '9' && len(s.value) < 20:
		s.value = append(s.value, c)
		return true
	case c == ' ' && len(s.value) == 0:
		return true
	}
	if s.inValue = false; strings.IndexByte(",} \r\n\t", c) >= 0 {
		s.id = string(s.value)
	}
	return false
}

func (s *idScan) outside(c byte) {
	if s.inValue && s.number(c) {
		return
	}
	switch c {
	case '"':
		s.text, s.key, s.isKey = true, s.key[:0], false
	case '{', '[':
		s.depth++
	case '}', ']':
		s.depth--
	case ':':
		if s.isKey && s.depth == 1 {
			s.inValue, s.value = true, s.value[:0]
		}
		s.isKey = false
	}
}
