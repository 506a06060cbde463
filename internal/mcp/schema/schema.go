package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Schema is a schema that was compiled. Safe for concurrent use.
type Schema struct{ compiled *jsonschema.Schema }

// Compile guards and compiles a schema: draft 2020-12 unless it says otherwise.
// A pattern that only a backtracking engine could run is not checked; the rest of
// the schema is.
func Compile(raw []byte) (*Schema, error) {
	value, err := guard(raw)
	if err != nil {
		return nil, err
	}
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(noLoader{})
	compiler.UseRegexpEngine(linear)
	const place = "leat:schema"
	if err := compiler.AddResource(place, value); err != nil {
		return nil, refuse("", "cannot be read: %v", reason(err))
	}
	compiled, err := compiler.Compile(place)
	if err != nil {
		return nil, refuse("", "is not a JSON Schema: %v", reason(err))
	}
	return &Schema{compiled: compiled}, nil
}

// reason is the innermost reason of an error, which is its last line.
func reason(err error) string {
	if invalid, ok := errors.AsType[*jsonschema.SchemaValidationError](err); ok {
		if misfit := misfitOf(invalid.Err); misfit != nil {
			return misfit.Error()
		}
	}
	lines := strings.Split(strings.TrimSpace(err.Error()), "\n")
	return lines[len(lines)-1]
}

// noLoader refuses to load.
type noLoader struct{}

// Load implements [jsonschema.URLLoader].
func (noLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("%.200q is another document: nothing is fetched", url)
}

// linear compiles a pattern for an engine without backtracking.
func linear(text string) (jsonschema.Regexp, error) {
	compiled, err := regexp.Compile(text)
	if err != nil {
		return unchecked(text), nil //nolint:nilerr // another engine may know it
	}
	return compiled, nil
}

// unchecked is a pattern that this engine does not know. The server that wrote it
// checks it itself.
type unchecked string

func (unchecked) MatchString(string) bool { return true }
func (u unchecked) String() string        { return string(u) }

// Check says what of value does not fit, as a [*Mismatch].
func (s *Schema) Check(value json.RawMessage) error {
	decoded, err := decode(value)
	if err != nil {
		return &Mismatch{Why: err.Error()}
	}
	return s.check(decoded)
}

func (s *Schema) check(decoded any) error {
	if err := s.compiled.Validate(decoded); err != nil {
		return mismatchOf(err, decoded)
	}
	return nil
}
