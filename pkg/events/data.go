package events

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"sync"
	"time"
)

// The data of an event are values by key; in Go they are a struct for each kind.
// A field's tag names its key:
//
//	data:"task_id"              always there
//	data:"node_id,omitempty"    left out when it is zero
//	data:",inline"              a struct whose keys are there when the pointer is not nil
//
// Embedded structs add their keys. A field is text (also named types of it), a
// [UUID], a [time.Time] (RFC 3339 text in UTC), a [time.Duration] (whole
// milliseconds), an int32 or int64, a bool, a []string, or a *string.

// EncodeData makes the data or metadata of an event from its struct; nil when
// there is none. It panics on a type that no data can be of, which is a defect.
func EncodeData(data any) map[string]ContextValue {
	if data == nil {
		return nil
	}
	v := reflect.Indirect(reflect.ValueOf(data))
	out := make(map[string]ContextValue, usualFields)
	encodeFields(v, dataFields(v.Type()), out)
	if len(out) == 0 {
		return nil
	}
	return out
}

// usualFields is how many keys the data of most events have, at most.
const usualFields = 8

// DecodeData reads the data or metadata of an event into the struct that into
// points to. Keys that the struct does not declare are left out, and a key that
// is missing leaves its field zero, so that events of other versions can be read.
// The error is a [FieldError]: a value is of another kind than its field.
func DecodeData(data map[string]ContextValue, into any) error {
	v := reflect.ValueOf(into).Elem()
	return decodeFields(v, dataFields(v.Type()), data)
}

// dataField is one field of a struct of event data.
type dataField struct {
	index    int
	key      string
	optional bool
	inner    []dataField // of a struct; else nil
}

// dataTypes keeps the fields of each type that was asked for: map[reflect.Type][]dataField.
var dataTypes sync.Map

var (
	uuidType     = reflect.TypeFor[UUID]()
	timeType     = reflect.TypeFor[time.Time]()
	durationType = reflect.TypeFor[time.Duration]()
)

func dataFields(t reflect.Type) []dataField {
	if known, ok := dataTypes.Load(t); ok {
		return known.([]dataField) //nolint:forcetypeassert // nothing else is stored
	}
	fields := make([]dataField, t.NumField())
	for i := range fields {
		f := t.Field(i)
		name, option, _ := strings.Cut(f.Tag.Get("data"), ",")
		fields[i] = dataField{index: i, key: name, optional: option == "omitempty"}
		switch {
		case f.Anonymous || option == "inline":
			inner := f.Type
			if inner.Kind() == reflect.Pointer {
				inner = inner.Elem()
			}
			fields[i].inner = dataFields(inner)
		case name == "":
			panic(fmt.Sprintf("field %s of %s names no key", f.Name, t))
		}
	}
	dataTypes.Store(t, fields)
	return fields
}

func encodeFields(v reflect.Value, fields []dataField, out map[string]ContextValue) {
	for i := range fields {
		f := &fields[i]
		field := v.Field(f.index)
		if field.Kind() == reflect.Pointer {
			if field.IsNil() {
				continue
			}
			field = field.Elem()
		} else if f.optional && isZero(field) {
			continue
		}
		if f.inner != nil {
			encodeFields(field, f.inner, out)
			continue
		}
		out[f.key] = encodeField(field)
	}
}

// isZero reports whether an optional field is left out.
func isZero(v reflect.Value) bool {
	if at, ok := reflect.TypeAssert[time.Time](v); ok {
		return at.IsZero() // whatever its location
	}
	return v.IsZero()
}

func encodeField(v reflect.Value) ContextValue {
	switch v.Type() {
	case uuidType:
		id, _ := reflect.TypeAssert[UUID](v) // which, other than Interface, allocates nothing
		return String(id.String())
	case timeType:
		at, _ := reflect.TypeAssert[time.Time](v)
		return String(at.UTC().Format(time.RFC3339Nano))
	case durationType:
		return Long(time.Duration(v.Int()).Milliseconds())
	}
	switch v.Kind() {
	case reflect.String:
		return String(v.String())
	case reflect.Int32, reflect.Int64:
		return Long(v.Int())
	case reflect.Bool:
		return Boolean(v.Bool())
	case reflect.Slice:
		list, ok := reflect.TypeAssert[[]string](v)
		if !ok {
			panic(fmt.Sprintf("no data can be a %s", v.Type()))
		}
		return Strings(list)
	default:
		panic(fmt.Sprintf("no data can be a %s", v.Type()))
	}
}

func decodeFields(v reflect.Value, fields []dataField, data map[string]ContextValue) error {
	for i := range fields {
		f := &fields[i]
		field := v.Field(f.index)
		value, given := data[f.key]
		if f.inner != nil {
			given = field.Kind() != reflect.Pointer || hasFields(field.Type().Elem(), f.inner, data)
		}
		if !given {
			continue
		}
		if field.Kind() == reflect.Pointer {
			field.Set(reflect.New(field.Type().Elem()))
			field = field.Elem()
		}
		if err := decodeOne(field, f, value, data); err != nil {
			return err
		}
	}
	return nil
}

func decodeOne(field reflect.Value, f *dataField, value ContextValue, data map[string]ContextValue) error {
	if f.inner != nil {
		return decodeFields(field, f.inner, data)
	}
	return decodeField(field, f.key, value)
}

// hasFields reports whether data have all that is always there of a struct.
func hasFields(t reflect.Type, fields []dataField, data map[string]ContextValue) bool {
	for i := range fields {
		f := &fields[i]
		if value, given := data[f.key]; !f.optional && f.inner == nil && (!given || value.Kind() != kindOfField(t.Field(f.index).Type)) {
			return false
		}
	}
	return true
}

// kindOfField is the kind of value that a field encodes to.
func kindOfField(t reflect.Type) Kind {
	switch t {
	case uuidType, timeType:
		return KindString
	}
	switch t.Kind() {
	case reflect.String:
		return KindString
	case reflect.Int32, reflect.Int64:
		return KindLong
	case reflect.Bool:
		return KindBoolean
	case reflect.Slice:
		return KindStrings
	default:
		return KindNone
	}
}

func decodeField(v reflect.Value, key string, value ContextValue) error {
	if want := kindOfField(v.Type()); value.Kind() != want {
		return fieldErrorf(key, "is of kind %s and not %s", value.Kind(), want)
	}
	switch v.Type() {
	case uuidType:
		id, err := ParseUUID(value.Str())
		if err != nil {
			return fieldErrorf(key, "%v", err)
		}
		v.Set(reflect.ValueOf(id))
		return nil
	case timeType:
		at, err := time.Parse(time.RFC3339Nano, value.Str())
		if err != nil {
			return fieldErrorf(key, "%q is not a time of RFC 3339", clip(value.Str()))
		}
		v.Set(reflect.ValueOf(at))
		return nil
	case durationType:
		if ms := value.Int(); ms < 0 || ms > math.MaxInt64/int64(time.Millisecond) {
			return fieldErrorf(key, "%d is not a number of milliseconds", ms)
		}
		v.SetInt(value.Int() * int64(time.Millisecond))
		return nil
	}
	switch value.Kind() {
	case KindString:
		v.SetString(value.Str())
	case KindLong:
		if v.OverflowInt(value.Int()) {
			return fieldErrorf(key, "%d does not fit %s", value.Int(), v.Type())
		}
		v.SetInt(value.Int())
	case KindBoolean:
		v.SetBool(value.Bool())
	default:
		v.Set(reflect.ValueOf(value.List()))
	}
	return nil
}
