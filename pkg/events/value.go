package events

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Kind tells which of the six kinds a [ContextValue] holds.
type Kind uint8

// The six kinds of a [ContextValue], under the names that definitions use. The
// zero Kind is that of the zero ContextValue, which is not a value and is refused
// on encode.
const (
	KindNone    Kind = iota
	KindString       // UTF-8 text
	KindLong         // 64-bit signed integer
	KindDouble       // IEEE 754 double; NaN and the infinities are refused
	KindBoolean      // true or false
	KindStrings      // list of strings
	KindMap          // strings by string
)

// String is the kind's name in a definition's `data` section.
func (k Kind) String() string {
	switch k {
	case KindString:
		return "string"
	case KindLong:
		return "long"
	case KindDouble:
		return "double"
	case KindBoolean:
		return "boolean"
	case KindStrings:
		return "strings"
	case KindMap:
		return "map"
	default:
		return "none"
	}
}

// ContextValue is one value of instance data: exactly one of six kinds, which
// it keeps (3 is not 3.0, true is not 1). A ContextValue is immutable: the
// constructors copy what they are given and the accessors copy what they return.
type ContextValue struct { //nolint:recvcheck // UnmarshalJSON must have a pointer, everything else is a value
	kind Kind
	text string
	bits uint64
	list []string
	dict map[string]string
}

// String makes a text value. Text that is not UTF-8 is refused by Validate.
func String(s string) ContextValue { return ContextValue{kind: KindString, text: s} }

// Long makes an integer value.
func Long(i int64) ContextValue { return ContextValue{kind: KindLong, bits: uint64(i)} } //nolint:gosec // the bits are kept, not the number

// Double makes a floating-point value. NaN and infinities are refused by Validate.
func Double(f float64) ContextValue {
	return ContextValue{kind: KindDouble, bits: math.Float64bits(f)}
}

// Boolean makes a truth value.
func Boolean(b bool) ContextValue {
	v := ContextValue{kind: KindBoolean}
	if b {
		v.bits = 1
	}
	return v
}

// Strings makes a list value from a copy of list; nil gives the empty list.
func Strings(list []string) ContextValue {
	return ContextValue{kind: KindStrings, list: append([]string{}, list...)}
}

// Map makes a map value from a copy of dict; nil gives the empty map.
func Map(dict map[string]string) ContextValue {
	v := ContextValue{kind: KindMap, dict: make(map[string]string, len(dict))}
	maps.Copy(v.dict, dict)
	return v
}

// Kind tells what v holds; KindNone for the zero value.
func (v ContextValue) Kind() Kind { return v.kind }

// Str is the text of a KindString value, else "".
func (v ContextValue) Str() string { return v.text }

// Int is the number of a KindLong value, else 0.
func (v ContextValue) Int() int64 {
	if v.kind != KindLong {
		return 0
	}
	return int64(v.bits) //nolint:gosec // the inverse of Long
}

// Float is the number of a KindDouble value, else 0.
func (v ContextValue) Float() float64 {
	if v.kind != KindDouble {
		return 0
	}
	return math.Float64frombits(v.bits)
}

// Bool is the truth of a KindBoolean value, else false.
func (v ContextValue) Bool() bool { return v.kind == KindBoolean && v.bits == 1 }

// List is a copy of the strings of a KindStrings value, else nil.
func (v ContextValue) List() []string { return slices.Clone(v.list) }

// Dict is a copy of the entries of a KindMap value, else nil.
func (v ContextValue) Dict() map[string]string { return maps.Clone(v.dict) }

// Equal reports whether both hold the same kind and content.
func (v ContextValue) Equal(o ContextValue) bool {
	return v.kind == o.kind && v.text == o.text && v.bits == o.bits &&
		slices.Equal(v.list, o.list) && maps.Equal(v.dict, o.dict)
}

// Validate refuses the zero value, NaN, infinities and text that is not UTF-8.
func (v ContextValue) Validate() error {
	switch v.kind {
	case KindString:
		return checkText(v.text)
	case KindDouble:
		if f := v.Float(); math.IsNaN(f) || math.IsInf(f, 0) {
			return fmt.Errorf("%v is not a finite number", f)
		}
	case KindStrings:
		return checkTexts(v.list)
	case KindMap:
		for key, text := range v.dict {
			if err := firstError(checkText(key), checkText(text)); err != nil {
				return err
			}
		}
	case KindLong, KindBoolean:
	default:
		return errors.New("is no value (want string, long, double, boolean, strings or map)")
	}
	return nil
}

func checkText(s string) error {
	if !utf8.ValidString(s) {
		return errors.New("text is not valid UTF-8")
	}
	return nil
}

func checkTexts(list []string) error {
	for _, s := range list {
		if err := checkText(s); err != nil {
			return err
		}
	}
	return nil
}

// MarshalJSON writes the plain JSON value. A double always carries a fraction
// or an exponent, so that reading it back gives a double again.
func (v ContextValue) MarshalJSON() ([]byte, error) {
	if err := v.Validate(); err != nil {
		return nil, err
	}
	switch v.kind {
	case KindString:
		return EncodeJSON(v.text)
	case KindLong:
		return strconv.AppendInt(nil, v.Int(), 10), nil
	case KindDouble:
		return appendDouble(nil, v.Float()), nil
	case KindBoolean:
		return strconv.AppendBool(nil, v.Bool()), nil
	case KindStrings:
		return EncodeJSON(v.list)
	default:
		return EncodeJSON(v.dict)
	}
}

// appendDouble writes f as the shortest JSON number that is read back as a double.
func appendDouble(b []byte, f float64) []byte {
	start := len(b)
	b = strconv.AppendFloat(b, f, 'g', -1, 64)
	if !bytes.ContainsAny(b[start:], ".e") {
		b = append(b, ".0"...)
	}
	return b
}

// UnmarshalJSON reads one of the six kinds. A number without fraction and
// exponent is a long, every other number a double. It refuses null, nested
// lists and maps, and values that are not strings inside them.
func (v *ContextValue) UnmarshalJSON(text []byte) error {
	text = bytes.TrimSpace(text)
	if len(text) == 0 {
		return errors.New("is empty")
	}
	switch text[0] {
	case '"':
		var s string
		if err := json.Unmarshal(text, &s); err != nil {
			return err
		}
		*v = String(s)
	case 't', 'f':
		var b bool
		if err := json.Unmarshal(text, &b); err != nil {
			return err
		}
		*v = Boolean(b)
	case '[':
		return v.unmarshalStrings(text)
	case '{':
		return v.unmarshalMap(text)
	case 'n':
		return errors.New("null is not a value (want string, number, boolean, list of strings or map of strings)")
	default:
		return v.unmarshalNumber(string(text))
	}
	return nil
}

func (v *ContextValue) unmarshalStrings(text []byte) error {
	var list []*string
	if err := json.Unmarshal(text, &list); err != nil {
		return errors.New("a list may hold strings only")
	}
	out := make([]string, len(list))
	for i, s := range list {
		if s == nil {
			return fmt.Errorf("a list may hold strings only, item %d is null", i)
		}
		out[i] = *s
	}
	*v = ContextValue{kind: KindStrings, list: out}
	return nil
}

func (v *ContextValue) unmarshalMap(text []byte) error {
	var dict map[string]*string
	if err := json.Unmarshal(text, &dict); err != nil {
		return errors.New("a map may hold strings only")
	}
	out := make(map[string]string, len(dict))
	for k, s := range dict {
		if s == nil {
			return fmt.Errorf("a map may hold strings only, %q is null", clip(k))
		}
		out[k] = *s
	}
	*v = ContextValue{kind: KindMap, dict: out}
	return nil
}

func (v *ContextValue) unmarshalNumber(text string) error {
	if !strings.ContainsAny(text, ".eE") {
		i, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return fmt.Errorf("%s does not fit a 64-bit integer", clip(text))
		}
		*v = Long(i)
		return nil
	}
	f, same, err := ParseDouble(text)
	switch {
	case err != nil:
		return fmt.Errorf("%s is not a finite number", clip(text))
	case !same:
		return fmt.Errorf("%s is no double: another number would be kept", clip(text))
	}
	*v = Double(f)
	return nil
}

// validateValues checks a map of values. When several are wrong it names the
// first by name, so that the same record always gives the same error.
func validateValues(field string, values map[string]ContextValue) error {
	worst, reason := "", error(nil)
	for key, v := range values {
		if err := v.Validate(); err != nil && (reason == nil || key < worst) {
			worst, reason = key, err
		}
	}
	if reason == nil {
		return nil
	}
	return fieldErrorf(field+"."+clip(worst), "%v", reason)
}
