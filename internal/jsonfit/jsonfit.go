// Package jsonfit says what JSON a Go type is for, as a JSON Schema, and where JSON
// text does not fit: which field, which value, and what was wanted. It does not
// read JSON for anybody; that is encoding/json.
package jsonfit

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Explain words the error that json.Unmarshal gave for text and v:
//
//	field items[2].amount is "12", want a whole number (int)
//
// It reads text again, member by member, to find the innermost value that does
// not fit, so call it only when there was an error.
func Explain(text []byte, v any, err error) string {
	const most = 80
	if !json.Valid(text) {
		return fmt.Sprintf("it is not JSON: %v", err)
	}
	at := Find(text, v, err)
	where := "it"
	if at.Path != "" {
		where = "field " + at.Path
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](at.Err); ok {
		return fmt.Sprintf("%s is %s, want %s", where, at.Shown(most), wanted(wrong.Type))
	}
	return fmt.Sprintf("%s is %s: %v", where, at.Shown(most), at.Err)
}

// Misfit is the innermost value of a text that does not fit.
type Misfit struct {
	Path string // such as items[2].amount; "" for the whole text
	Text []byte // the value
	Err  error  // of json.Unmarshal for the value alone
}

// Find looks for it in JSON text for which json.Unmarshal into v gave err.
func Find(text []byte, v any, err error) Misfit {
	at := place{text: text, err: err, as: reflect.TypeOf(v)}
	at.narrow()
	return Misfit{Path: at.path, Text: bytes.TrimSpace(at.text), Err: at.err}
}

// Shown is the value as a message shows it, at most so many bytes of it.
func (m Misfit) Shown(most int) string {
	if len(m.Text) > most {
		return strings.ToValidUTF8(string(m.Text[:most]), "") + "…"
	}
	return string(m.Text)
}

// place is a value within the text that does not fit.
type place struct {
	path string
	text []byte
	as   reflect.Type
	err  error // of reading text as that type
}

// narrow moves to the innermost value that does not fit.
func (p *place) narrow() {
	for p.step() {
	}
}

// step moves one member further in; it is false when no member is to blame.
func (p *place) step() bool {
	for p.as != nil && p.as.Kind() == reflect.Pointer {
		p.as = p.as.Elem()
	}
	if p.as == nil || readsItself(p.as) {
		return false
	}
	switch p.as.Kind() {
	case reflect.Struct:
		return p.intoStruct()
	case reflect.Slice, reflect.Array:
		return p.intoList()
	case reflect.Map:
		return p.intoMap()
	default:
		return false
	}
}

func (p *place) intoStruct() bool {
	var members map[string]json.RawMessage
	if json.Unmarshal(p.text, &members) != nil {
		return false
	}
	for _, f := range fieldsOf(p.as) {
		if key, ok := memberOf(members, f.name); ok && !f.quoted && p.into("."+key, members[key], f.as) {
			return true
		}
	}
	return false
}

// memberOf finds a field's member as encoding/json does: the exact name, or else
// in any case.
func memberOf(members map[string]json.RawMessage, name string) (string, bool) {
	if _, ok := members[name]; ok {
		return name, true
	}
	for key := range members {
		if strings.EqualFold(key, name) {
			return key, true
		}
	}
	return "", false
}

func (p *place) intoList() bool {
	var items []json.RawMessage
	if json.Unmarshal(p.text, &items) != nil {
		return false
	}
	for i, item := range items {
		if p.into("["+strconv.Itoa(i)+"]", item, p.as.Elem()) {
			return true
		}
	}
	return false
}

func (p *place) intoMap() bool {
	var members map[string]json.RawMessage
	if json.Unmarshal(p.text, &members) != nil {
		return false
	}
	for _, key := range slices.Sorted(maps.Keys(members)) {
		if p.into("."+key, members[key], p.as.Elem()) {
			return true
		}
	}
	return false
}

// into moves to a member if that does not fit.
func (p *place) into(step string, text []byte, as reflect.Type) bool {
	err := json.Unmarshal(text, reflect.New(as).Interface())
	if err == nil {
		return false
	}
	*p = place{path: strings.TrimPrefix(p.path+step, "."), text: text, as: as, err: err}
	return true
}

var (
	unmarshaler     = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// readsItself reports whether a type has its own way of reading JSON.
func readsItself(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(unmarshaler) || p.Implements(textUnmarshaler)
}

// wanted names a Go type as JSON has it.
func wanted(t reflect.Type) string {
	if t == nil {
		return "another type"
	}
	as := "a value"
	switch k := t.Kind(); {
	case k == reflect.String:
		as = "a string"
	case k == reflect.Bool:
		as = "true or false"
	case k == reflect.Float32 || k == reflect.Float64:
		as = "a number"
	case k >= reflect.Int && k <= reflect.Uint64:
		as = "a whole number"
	case k == reflect.Slice || k == reflect.Array:
		as = "a list"
	case k == reflect.Struct || k == reflect.Map:
		as = "an object"
	}
	return as + " (" + t.String() + ")"
}
