package schema

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Fill gives properties that are missing the defaults of the schema, and checks
// the outcome. Numbers stay digit by digit; a value that lacks nothing comes back
// as it is. Defaults are those of properties, also behind $ref and allOf; what only
// an alternative says is not applied, and a default is not filled itself.
//
// The error is a [*Mismatch].
func (s *Schema) Fill(value json.RawMessage) (json.RawMessage, error) {
	decoded, err := decode(value)
	if err != nil {
		return nil, &Mismatch{Why: err.Error()}
	}
	f := filler{room: MaxBytes}
	f.fill(s.compiled, decoded)
	if f.room < 0 {
		return nil, &Mismatch{Why: fmt.Sprintf("with the defaults of its schema it would be more than %d bytes longer", MaxBytes)}
	}
	if err := s.check(decoded); err != nil {
		return nil, err
	}
	if !f.changed {
		return value, nil
	}
	return encode(decoded), nil
}

// filler changes a decoded value.
type filler struct {
	room    int // bytes that defaults may still add
	changed bool
}

func (f *filler) fill(s *jsonschema.Schema, value any) {
	if s == nil || f.room < 0 {
		return
	}
	switch v := value.(type) {
	case map[string]any:
		f.properties(s, v)
	case []any:
		f.elements(s, v)
	default:
		return
	}
	f.fill(s.Ref, value)
	for _, also := range s.AllOf {
		f.fill(also, value)
	}
}

func (f *filler) properties(s *jsonschema.Schema, object map[string]any) {
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		property := s.Properties[name]
		if present, ok := object[name]; ok {
			f.fill(property, present)
			continue
		}
		given := defaultOf(property)
		if given == nil {
			continue
		}
		text := encode(*given)
		if f.room -= len(text) + len(name) + 4; f.room < 0 {
			return
		}
		fresh, err := decode(text) // a copy: the value is changed later on
		if err != nil {
			continue
		}
		object[name], f.changed = fresh, true
	}
}

func (f *filler) elements(s *jsonschema.Schema, list []any) {
	for i, element := range list {
		if i < len(s.PrefixItems) {
			f.fill(s.PrefixItems[i], element)
			continue
		}
		f.fill(s.Items2020, element)
		if old, ok := s.Items.(*jsonschema.Schema); ok {
			f.fill(old, element)
		}
	}
}

// defaultOf is the default of a schema, or of what it refers to.
func defaultOf(s *jsonschema.Schema) *any {
	for ; s != nil; s = s.Ref {
		if s.Default != nil {
			return s.Default
		}
	}
	return nil
}
