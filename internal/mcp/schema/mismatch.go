package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// maxShown is how much of a value an error shows, in bytes.
const maxShown = 80

// Mismatch is why a value does not fit its schema.
type Mismatch struct { //nolint:errname // it is a judgement
	Field string // such as edits[0].oldText; "" for the whole value
	Value string // as JSON, cut; "" when there is none
	Why   string
}

func (m *Mismatch) Error() string {
	switch {
	case m.Field == "" && m.Value == "":
		return m.Why
	case m.Field == "":
		return m.Value + ": " + m.Why
	case m.Value == "":
		return m.Field + ": " + m.Why
	default:
		return fmt.Sprintf("%s is %s: %s", m.Field, m.Value, m.Why)
	}
}

// mismatchOf words the first thing that does not fit.
func mismatchOf(err error, value any) *Mismatch {
	leaf := misfitOf(err)
	if leaf == nil {
		return &Mismatch{Why: "does not fit its schema"}
	}
	m := &Mismatch{Field: field(leaf.path, value), Why: leaf.why}
	if found, ok := find(value, leaf.path); ok && len(leaf.path) > 0 {
		m.Value = show(found)
	}
	return m
}

// misfit is the leaf of a validation error.
type misfit struct {
	path []string
	why  string
}

func (m *misfit) Error() string { return strings.Join(append(m.path, m.why), ": ") }

// misfitOf takes the leaf that lies deepest in the value: of alternatives it is
// the one that fits best.
func misfitOf(err error) *misfit {
	var invalid *jsonschema.ValidationError
	if !errors.As(err, &invalid) {
		return nil
	}
	leaf := deepest(invalid)
	why := "does not fit its schema"
	if out := leaf.DetailedOutput(); out.Error != nil {
		why = out.Error.String()
	}
	return &misfit{path: leaf.InstanceLocation, why: why}
}

func deepest(e *jsonschema.ValidationError) *jsonschema.ValidationError {
	if len(e.Causes) == 0 {
		return e
	}
	best := deepest(e.Causes[0])
	for _, cause := range e.Causes[1:] {
		if leaf := deepest(cause); len(leaf.InstanceLocation) > len(best.InstanceLocation) {
			best = leaf
		}
	}
	return best
}

// field writes a path as people do.
func field(path []string, value any) string {
	var out strings.Builder
	for _, step := range path {
		if list, ok := value.([]any); ok {
			out.WriteString("[" + step + "]")
			value = nil
			if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(list) {
				value = list[i]
			}
			continue
		}
		if out.Len() > 0 {
			out.WriteByte('.')
		}
		out.WriteString(step)
		object, _ := value.(map[string]any)
		value = object[step]
	}
	return out.String()
}

func find(value any, path []string) (any, bool) {
	if len(path) == 0 {
		return value, true
	}
	return at(value, pointer(path))
}

func show(value any) string {
	text := string(encode(value))
	if len(text) <= maxShown {
		return text
	}
	cut := maxShown
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}

// encode writes what was decoded, numbers digit by digit.
func encode(value any) json.RawMessage {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if e.Encode(value) != nil {
		return json.RawMessage("null") // cannot be: it was decoded from JSON
	}
	return bytes.TrimRight(out.Bytes(), "\n")
}
