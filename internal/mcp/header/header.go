// Package header mirrors arguments of a call into HTTP headers, where the schema of
// a tool wants that (x-mcp-header).
package header

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Param says that an argument also goes into a header (x-mcp-header).
type Param struct {
	path []string // names of properties, from the root
	name string   // without the prefix
}

// Value is such a header of one request.
type Value struct{ Name, Text string }

const paramPrefix = "Mcp-Param-"

// maxSafe is the largest integer that a header may hold.
const maxSafe = 1<<53 - 1

// Params finds the annotations of an input schema. An annotation at a place
// that no chain of properties leads to, of a type that is not one of three, or with
// a name that is no name or is there twice, makes the tool unusable.
func Params(input json.RawMessage) ([]Param, error) {
	if !strings.Contains(string(input), "x-mcp-header") {
		return nil, nil
	}
	var root any
	if err := json.Unmarshal(input, &root); err != nil {
		return nil, err
	}
	s := headerSearch{seen: make(map[string]bool)}
	if err := s.schema(root, nil); err != nil {
		return nil, err
	}
	return s.found, nil
}

type headerSearch struct {
	found []Param
	seen  map[string]bool // names in lower case
}

// schema looks at a schema that a chain of properties leads to.
func (s *headerSearch) schema(value any, path []string) error {
	object, _ := value.(map[string]any)
	if annotation, ok := object["x-mcp-header"]; ok {
		if err := s.add(object["type"], annotation, path); err != nil {
			return fmt.Errorf("x-mcp-header of %q: %w", strings.Join(path, "."), err)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(object)) {
		properties, ok := object[key].(map[string]any)
		if key != "properties" || !ok {
			if !data[key] && annotated(object[key]) {
				return fmt.Errorf("x-mcp-header stands inside of %q, where no argument is found by its name alone", key)
			}
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(properties)) {
			if err := s.schema(properties[name], append(slices.Clone(path), name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// data are the keywords whose values are no schemas.
var data = map[string]bool{"default": true, "const": true, "enum": true, "examples": true, "x-mcp-header": true}

// annotated reports whether there is an annotation anywhere inside of a value.
func annotated(value any) bool {
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			if key == "x-mcp-header" || !data[key] && annotated(inner) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, annotated)
	}
	return false
}

func (s *headerSearch) add(kind, annotation any, path []string) error {
	name, ok := annotation.(string)
	switch {
	case len(path) == 0:
		return errors.New("the arguments as a whole have no header")
	case !ok || !token(name):
		return fmt.Errorf("%.100v is no name of a header", annotation)
	case s.seen[strings.ToLower(name)]:
		return fmt.Errorf("the name %q is there twice", name)
	case kind != "string" && kind != "integer" && kind != "boolean":
		return fmt.Errorf("it is for strings, integers and booleans, not for type %.100v", kind)
	}
	s.seen[strings.ToLower(name)] = true
	s.found = append(s.found, Param{path: path, name: name})
	return nil
}

// token reports whether text is an HTTP token.
func token(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}

// Values are the headers of a call with these arguments.
func Values(headers []Param, arguments json.RawMessage) []Value {
	var out []Value
	for _, h := range headers {
		if text, ok := headerText(arguments, h.path); ok {
			out = append(out, Value{paramPrefix + h.name, Safe(text)})
		}
	}
	return out
}

// headerText is the argument at path as a text; null and what is no scalar have none.
func headerText(raw json.RawMessage, path []string) (string, bool) {
	for _, step := range path {
		var f map[string]json.RawMessage
		if json.Unmarshal(raw, &f) != nil {
			return "", false
		}
		if raw = f[step]; raw == nil {
			return "", false
		}
	}
	switch raw[0] {
	case '"':
		var text string
		err := json.Unmarshal(raw, &text)
		return text, err == nil
	case 't', 'f':
		return string(raw), true
	case 'n', '{', '[':
		return "", false
	default:
		return integerText(string(raw))
	}
}

// integerText writes an integer that a header may hold.
func integerText(text string) (string, bool) {
	var n int64
	if json.Unmarshal([]byte(text), &n) != nil {
		var f float64 // 42.0 and 4.2e1 are integers, too
		if json.Unmarshal([]byte(text), &f) != nil || f != float64(int64(f)) {
			return "", false
		}
		n = int64(f)
	}
	if n > maxSafe || n < -maxSafe {
		return "", false
	}
	return strconv.FormatInt(n, 10), true
}

// Safe writes a text so that a header can hold it.
func Safe(text string) string {
	plain := text == strings.Trim(text, " \t") && !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\t' || r > '~' })
	if plain && (!strings.HasPrefix(text, "=?base64?") || !strings.HasSuffix(text, "?=")) {
		return text
	}
	return "=?base64?" + base64.StdEncoding.EncodeToString([]byte(text)) + "?="
}
