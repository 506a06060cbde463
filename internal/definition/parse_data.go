package definition

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

var namePattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// kinds are the names of the kinds of instance data.
var kinds = []events.Kind{
	events.KindString, events.KindLong, events.KindDouble, events.KindBoolean, events.KindStrings, events.KindMap,
}

func (r *reader) data(n *node, def *fsm.Definition) {
	if n == nil || !r.is(n, kindMap, "data") {
		return
	}
	for i, key := range n.keys {
		item := n.items[i]
		r.name(key)
		v := fsm.Variable{Pos: key.pos, Name: key.text}
		if item.kind == kindText { // short for {type: …}
			v.Kind = r.kindOf(item)
		} else if r.fields(item, "a variable", "type", "default", "description") {
			if t := item.get("type"); t == nil {
				r.errorf(key.pos, "missing-field", "variable %q has no type", key.text)
			} else {
				v.Kind = r.kindOf(t)
			}
			v.Default = r.defaultOf(item.get("default"), v.Kind, key.text)
		}
		def.Data = append(def.Data, v)
	}
}

// name checks the name of a variable or payload: expressions must be able to say it.
func (r *reader) name(key *node) {
	if !namePattern.MatchString(key.text) || len(key.text) > 200 {
		r.errorf(key.pos, "bad-id", "name %q does not match ^[A-Za-z_][A-Za-z0-9_]*$", clip(key.text))
	}
}

func (r *reader) kindOf(n *node) events.Kind {
	text := r.text(n, "the type of a variable")
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = k.String()
		if text == names[i] {
			return k
		}
	}
	if n.kind == kindText {
		r.errorf(n.pos, "bad-value", "the type of a variable is one of %s, not %q%s", strings.Join(names, ", "), clip(text), fsm.Suggest(text, names))
	}
	return events.KindNone
}

func (r *reader) defaultOf(n *node, k events.Kind, name string) events.ContextValue {
	if n == nil || k == events.KindNone {
		return events.ContextValue{}
	}
	var v events.ContextValue
	err := v.UnmarshalJSON(n.toJSON(nil))
	if err == nil && k == events.KindDouble && v.Kind() == events.KindLong {
		f := float64(v.Int())
		if f >= 1<<63 || int64(f) != v.Int() {
			r.errorf(n.pos, "bad-value", "the default of %q is %d, which no double is", name, v.Int())
		}
		v = events.Double(f)
	}
	if err != nil || v.Kind() != k {
		r.errorf(n.pos, "wrong-kind", "the default of %q is %s, but its type is %s", name, n.kind, k)
		return events.ContextValue{}
	}
	return v
}

func (r *reader) payloads(n *node, def *fsm.Definition) {
	if n == nil || !r.is(n, kindMap, "payloads") {
		return
	}
	for i, key := range n.keys {
		r.name(key)
		p := fsm.Payload{Pos: key.pos, Name: key.text}
		item := n.items[i]
		for _, v := range def.Data {
			if v.Name == p.Name {
				r.errorf(key.pos, "duplicate-id", "%q is declared under data and under payloads", p.Name)
			}
		}
		if schema := item.get("schema"); schema != nil && len(item.keys) <= 2 {
			r.fields(item, "a payload", "schema", "description")
			item = schema
		}
		if item.kind != kindNull {
			p.Schema = item.toJSON(nil)
			p.Check = r.validator(item, "payload")
		}
		def.Payloads = append(def.Payloads, p)
	}
}

func (r *reader) schema(n *node, def *fsm.Definition) {
	if n == nil {
		return
	}
	def.InputSchema = n.toJSON(nil)
	def.CheckInput = r.validator(n, "input")
}

// validator compiles a JSON Schema (draft 2020-12 unless it says otherwise). It
// loads nothing: a reference leads within the schema.
func (r *reader) validator(n *node, what string) func(json.RawMessage) error {
	if n.kind != kindMap && n.kind != kindBool {
		r.errorf(n.pos, "bad-schema", "%s is a JSON Schema, not %s", what, n.kind)
		return nil
	}
	if !r.patterns(n) {
		return nil
	}
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(string(n.toJSON(nil))))
	if err != nil {
		r.errorf(n.pos, "bad-schema", "%s: %v", what, err)
		return nil
	}
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(noLoader{})
	compiler.UseRegexpEngine(compilePattern)
	const place = "leat:schema"
	err = compiler.AddResource(place, document)
	var schema *jsonschema.Schema
	if err == nil {
		schema, err = compiler.Compile(place)
	}
	if err != nil {
		r.errorf(n.pos, "bad-schema", "%s is not a JSON Schema: %s", what, schemaReason(err))
		return nil
	}
	return func(in json.RawMessage) error { return validate(schema, in, what) }
}

// schemaReason is the innermost reason why a schema is none.
func schemaReason(err error) string {
	if invalid, ok := errors.AsType[*jsonschema.SchemaValidationError](err); ok {
		if field, reason := innermost(invalid.Err, ""); reason != "" {
			return strings.TrimPrefix(field+": "+reason, ": ")
		}
	}
	lines := strings.Split(err.Error(), "\n")
	return lines[len(lines)-1]
}

// noLoader refuses to load: a definition is read without I/O.
type noLoader struct{}

// Load implements [jsonschema.URLLoader].
func (noLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("%s is outside the definition", url)
}

// validate checks a payload; the error names the path that is wrong and never
// shows what the payload holds.
func validate(schema *jsonschema.Schema, in json.RawMessage, what string) error {
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(string(in)))
	if err != nil {
		return &events.FieldError{Field: what, Reason: "is not JSON"}
	}
	err = schema.Validate(value)
	if err == nil {
		return nil
	}
	field, reason := innermost(err, what)
	return &events.FieldError{Field: field, Reason: reason}
}

// innermost is the first leaf of a validation error.
func innermost(err error, path string) (field, reason string) {
	var invalid *jsonschema.ValidationError
	if !errors.As(err, &invalid) {
		return path, "does not match its schema"
	}
	for len(invalid.Causes) > 0 {
		invalid = invalid.Causes[0]
	}
	path = strings.Join(append([]string{path}, invalid.InstanceLocation...), ".")
	reason = "does not match its schema"
	if leaf := invalid.DetailedOutput(); leaf.Error != nil {
		reason = leaf.Error.String()
	}
	return strings.TrimPrefix(path, "."), reason
}
