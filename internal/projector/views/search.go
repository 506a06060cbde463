package views

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"strconv"

	"github.com/leat-io/leat/pkg/events"
)

// searchable is one name of an instance's data that its definition declares
// under search, with its value as JSON.
type searchable struct{ name, value string }

// searchablesOf lists what can be searched in a snapshot, by name. The snapshot
// says itself which names these are, so that the index follows from the log
// alone.
func searchablesOf(s *events.Snapshot) []searchable {
	var list []searchable
	for _, name := range s.Search {
		value, ok := s.Chart.Data[name]
		if !ok || value.Kind() == events.KindMap {
			continue
		}
		if text, err := value.MarshalJSON(); err == nil {
			list = append(list, searchable{name, string(text)})
		}
	}
	slices.SortFunc(list, func(a, b searchable) int { return bytes.Compare([]byte(a.name), []byte(b.name)) })
	return slices.CompactFunc(list, func(a, b searchable) bool { return a.name == b.name })
}

func (s searchable) read() (v events.ContextValue) {
	if v.UnmarshalJSON([]byte(s.value)) != nil {
		return events.ContextValue{}
	}
	return v
}

// What a value begins with in an index key. Values of one kind keep their order.
const (
	searchBoolean = 'b'
	searchNumber  = 'n'
	searchText    = 't'
)

// maxIndexed bounds what of a text is in its index key; a longer one is found by
// its beginning, and compared in the row.
const maxIndexed = 256

func clipText(text string) string { return text[:min(len(text), maxIndexed)] }

// appendNumber writes a number so that keys keep its order.
func appendNumber(key []byte, f float64) []byte {
	if f == 0 {
		f = 0 // no negative zero
	}
	bits := math.Float64bits(f)
	if bits>>63 != 0 {
		bits = ^bits
	} else {
		bits |= 1 << 63
	}
	return binary.BigEndian.AppendUint64(append(key, searchNumber), bits)
}

// appendValues lists prefix followed by each value of v.
func appendValues(prefix []byte, v events.ContextValue) (keys [][]byte) {
	key := func() []byte { return bytes.Clone(prefix) }
	text := func(s string) []byte { return appendText(append(key(), searchText), clipText(s)) }
	switch v.Kind() {
	case events.KindString:
		return [][]byte{text(v.Str())}
	case events.KindStrings:
		for _, item := range v.List() {
			if k := text(item); !contains(keys, k) {
				keys = append(keys, k)
			}
		}
		return keys
	case events.KindLong:
		return [][]byte{appendNumber(key(), float64(v.Int()))}
	case events.KindDouble:
		return [][]byte{appendNumber(key(), v.Float())}
	case events.KindBoolean:
		return [][]byte{append(key(), searchBoolean, strconv.FormatBool(v.Bool())[0])}
	default:
		return nil
	}
}

func namePrefix(workflowType, name string) []byte {
	return appendText(typed(prefixSearch, workflowType), name)
}

// searchKeys lists an instance's entries for one name.
func searchKeys(workflowType string, id events.UUID, c *card, s searchable) [][]byte {
	keys := appendValues(namePrefix(workflowType, s.name), s.read())
	for i := range keys {
		keys[i] = append(appendTime(keys[i], c.created), id[:]...)
	}
	return keys
}

// Where is a condition on data of a known kind.
type Where struct {
	events.Condition
	Kind events.Kind
}

// span is the range of index keys in which every match is.
func (w Where) span(workflowType string) (from, to []byte) {
	name := namePrefix(workflowType, w.Name)
	number, _ := strconv.ParseFloat(w.Value, 64)
	tag, value := byte(searchText), appendText(append(bytes.Clone(name), searchText), clipText(w.Value))
	switch w.Kind {
	case events.KindLong, events.KindDouble:
		tag, value = searchNumber, appendNumber(bytes.Clone(name), number)
	case events.KindBoolean:
		tag, value = searchBoolean, append(bytes.Clone(name), searchBoolean, (w.Value + "?")[0])
	default:
		if w.Op == events.BeginsWith {
			return span(escape(append(bytes.Clone(name), searchText), clipText(w.Value)))
		}
		if len(w.Value) > maxIndexed { // other texts with the same beginning are around it
			value = escape(append(bytes.Clone(name), searchText), clipText(w.Value))
		}
	}
	from, to = span(append(name, tag))
	equalFrom, equalTo := span(value)
	switch w.Op {
	case events.Less, events.LessOrEqual:
		return from, equalTo
	case events.Greater, events.GreaterOrEqual:
		return equalFrom, to
	default:
		return equalFrom, equalTo
	}
}

// holds reports whether the row satisfies the condition.
func (w Where) holds(c *card) bool {
	for _, s := range c.search {
		if s.name == w.Name {
			return w.Holds(s.read())
		}
	}
	return false
}

// first reports whether key is the first of the instance's entries in the range:
// a list of strings may have several there.
func (w Where) first(workflowType string, key []byte, c *card) bool {
	from, to := w.span(workflowType)
	for _, s := range c.search {
		if s.name != w.Name {
			continue
		}
		for _, k := range searchKeys(workflowType, idOf(key), c, s) {
			if bytes.Compare(k, from) >= 0 && bytes.Compare(k, to) < 0 && bytes.Compare(k, key) < 0 {
				return false
			}
		}
	}
	return true
}
