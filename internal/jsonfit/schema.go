package jsonfit

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Schema is the JSON Schema (2020-12) of what encoding/json reads into a value of
// type t. A struct field that is neither omitempty nor omitzero and is no pointer
// is required: encoding/json would leave it zero, which is rarely what is meant.
// Other properties are allowed, as they are ignored. A type that reads JSON itself
// may be anything.
func Schema(t reflect.Type) json.RawMessage {
	s := schemas{defs: map[string]any{}, recursive: map[reflect.Type]bool{}}
	root := s.of(t)
	if len(s.defs) > 0 {
		root["$defs"] = s.defs
	}
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	text, err := json.Marshal(root)
	if err != nil {
		return json.RawMessage("{}") // cannot be: it is made of texts, lists and maps
	}
	return text
}

type schema = map[string]any

type schemas struct {
	defs      map[string]any // of types that contain themselves
	recursive map[reflect.Type]bool
	open      []reflect.Type // those that are being described
}

// of describes a type.
func (s *schemas) of(t reflect.Type) schema {
	if t.Kind() == reflect.Pointer {
		return orNull(s.of(t.Elem()))
	}
	if t == reflect.TypeFor[time.Time]() {
		return schema{"type": "string", "format": "date-time"}
	}
	p := reflect.PointerTo(t)
	if p.Implements(unmarshaler) {
		return schema{}
	}
	if p.Implements(textUnmarshaler) {
		return schema{"type": "string"}
	}
	switch k := t.Kind(); {
	case k == reflect.Bool:
		return schema{"type": "boolean"}
	case k >= reflect.Int && k <= reflect.Int64:
		return schema{"type": "integer"}
	case k >= reflect.Uint && k <= reflect.Uintptr:
		return schema{"type": "integer", "minimum": 0}
	case k == reflect.Float32 || k == reflect.Float64:
		return schema{"type": "number"}
	case k == reflect.String:
		return schema{"type": "string"}
	default:
		return s.composite(t)
	}
}

func (s *schemas) composite(t reflect.Type) schema {
	switch t.Kind() {
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return orNull(schema{"type": "string", "contentEncoding": "base64"})
		}
		return orNull(schema{"type": "array", "items": s.of(t.Elem())})
	case reflect.Array:
		return schema{"type": "array", "items": s.of(t.Elem())}
	case reflect.Map:
		return orNull(schema{"type": "object", "additionalProperties": s.of(t.Elem())})
	case reflect.Struct:
		return s.object(t)
	default: // interfaces hold anything
		return schema{}
	}
}

// object describes a struct; one that contains itself is described in defs.
func (s *schemas) object(t reflect.Type) schema {
	ref := schema{"$ref": "#/$defs/" + t.String()}
	if slices.Contains(s.open, t) {
		s.recursive[t] = true
		return ref
	}
	s.open = append(s.open, t)
	properties, required := schema{}, []string{}
	for _, f := range fieldsOf(t) {
		properties[f.name] = s.of(f.as)
		if f.quoted {
			properties[f.name] = schema{"type": "string"}
		}
		if !f.optional {
			required = append(required, f.name)
		}
	}
	s.open = s.open[:len(s.open)-1]
	out := schema{"type": "object", "properties": properties}
	if len(required) > 0 {
		out["required"] = required
	}
	if !s.recursive[t] {
		return out
	}
	s.defs[t.String()] = out
	return ref
}

// orNull is a schema that allows null, too.
func orNull(s schema) schema {
	switch kind := s["type"].(type) {
	case string:
		s["type"] = []string{kind, "null"}
		return s
	case nil:
		if len(s) == 0 {
			return s // anything
		}
		return schema{"anyOf": []schema{s, {"type": "null"}}}
	default:
		return s
	}
}

// field is a field of a struct as encoding/json sees it.
type field struct {
	name     string
	as       reflect.Type
	optional bool // omitempty, omitzero or a pointer
	quoted   bool // the option string: a number or a boolean in quotes
}

// fieldsOf lists the fields of a struct, those of embedded structs among them.
// A name of the outer struct hides one of an embedded struct.
func fieldsOf(t reflect.Type) []field {
	var own, embedded []field
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" && options == "" {
			continue
		}
		inner := f.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		switch {
		case f.Anonymous && name == "" && inner.Kind() == reflect.Struct && !readsItself(inner):
			embedded = append(embedded, fieldsOf(inner)...)
		case f.IsExported():
			if name == "" {
				name = f.Name
			}
			has := func(option string) bool { return slices.Contains(strings.Split(options, ","), option) }
			own = append(own, field{name, f.Type, has("omitempty") || has("omitzero") || f.Type.Kind() == reflect.Pointer, has("string")})
		}
	}
	for _, f := range embedded {
		if !slices.ContainsFunc(own, func(o field) bool { return o.name == f.name }) {
			own = append(own, f)
		}
	}
	return own
}
