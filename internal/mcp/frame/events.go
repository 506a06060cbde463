package frame

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strconv"
	"time"
)

// ErrLong is an event beyond its limit.
var ErrLong = errors.New("longer than the limit")

// Event is one event of a stream.
type Event struct {
	ID    string // "" when it has none
	Data  []byte // valid until the next one
	Retry time.Duration
}

// Events reads a stream of server-sent events. Comments, and fields that nobody
// knows, are skipped and cost no memory.
type Events struct {
	in    *bufio.Reader
	limit int // bytes of the data of an event
	data  []byte
}

// NewEvents reads from body; limit bounds the data of one event, in bytes.
func NewEvents(body io.Reader, limit int) *Events {
	return &Events{in: bufio.NewReaderSize(body, 16<<10), limit: limit}
}

// Next returns the next event that has data or an id; io.EOF behind the last one.
// An event that is cut off is none.
func (e *Events) Next() (Event, error) {
	var ev Event
	e.data = e.data[:0]
	seen, hasData := false, false
	for {
		name, value, end, err := e.line()
		if err != nil {
			return ev, err
		}
		if end {
			if !seen {
				continue
			}
			ev.Data = e.data
			return ev, nil
		}
		switch name {
		case "data":
			if hasData {
				e.data = append(e.data, '\n')
			}
			e.data = append(e.data, value...)
			seen, hasData = true, true
			if len(e.data) > e.limit {
				return ev, ErrLong
			}
		case "id":
			if len(value) <= maxEventID && !bytes.ContainsRune(value, 0) {
				ev.ID, seen = string(value), true
			}
		case "retry":
			if ms, err := strconv.ParseUint(string(value), 10, 31); err == nil {
				ev.Retry, seen = time.Duration(ms)*time.Millisecond, true
			}
		}
	}
}

// maxEventID bounds an id that is given back in a header.
const maxEventID = 1024

// line reads one line and splits it. end is the empty line.
func (e *Events) line() (name string, value []byte, end bool, err error) {
	first, more, err := e.chunk()
	if err != nil {
		return "", nil, false, err
	}
	if len(first) == 0 && !more {
		return "", nil, true, nil
	}
	label, rest, found := bytes.Cut(first, []byte(":"))
	if !found && more || len(label) > 64 {
		label, rest = nil, nil // no field has such a name
	}
	wanted := string(label)
	known := wanted == "data" || wanted == "id" || wanted == "retry"
	rest = bytes.TrimPrefix(rest, []byte(" "))
	if !more {
		return wanted, rest, false, nil
	}
	value = bytes.Clone(rest)
	for more {
		var next []byte
		if next, more, err = e.chunk(); err != nil {
			return "", nil, false, err
		}
		if !known {
			value = nil
			continue
		}
		if value = append(value, next...); len(value) > e.limit {
			return "", nil, false, ErrLong
		}
	}
	return wanted, bytes.TrimSuffix(value, []byte("\r")), false, nil
}

// chunk is a line without its end, or a part of one.
func (e *Events) chunk() (part []byte, more bool, err error) {
	part, err = e.in.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return part, true, nil
	case err != nil:
		return nil, false, err
	}
	part = part[:len(part)-1]
	return bytes.TrimSuffix(part, []byte("\r")), false, nil
}
