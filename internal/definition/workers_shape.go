package definition

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

// shape is what a definition says of a value that it gives.
type shape struct {
	pos     fsm.Pos
	types   []string // as JSON Schema names them; none: not known
	members map[string]shape
	whole   bool // members are all that there are
	items   []shape
}

// shapeOf is what is known of a template's value before it is evaluated.
func (c *comparison) shapeOf(t *fsm.Template) shape {
	switch {
	case t.Expr != nil:
		s := c.shapeOfExpr(strings.TrimSpace(t.Expr.Source))
		s.at(t.Pos)
		return s
	case t.Fields != nil:
		s := shape{pos: t.Pos, types: []string{"object"}, members: map[string]shape{}, whole: true}
		for _, f := range t.Fields {
			member := c.shapeOf(f.Value)
			member.pos = f.Pos
			s.members[f.Name] = member
		}
		return s
	case t.Items != nil:
		s := shape{pos: t.Pos, types: []string{"array"}}
		for _, item := range t.Items {
			s.items = append(s.items, c.shapeOf(item))
		}
		return s
	default:
		return shape{pos: t.Pos, types: typeOfJSON(t.Literal), whole: true}
	}
}

func (s *shape) at(pos fsm.Pos) {
	s.pos = pos
	for name, member := range s.members {
		member.at(pos)
		s.members[name] = member
	}
}

// kindTypes are the types of instance data as JSON has them.
var kindTypes = map[events.Kind]string{
	events.KindString: "string", events.KindLong: "integer", events.KindDouble: "number", events.KindBoolean: "boolean",
	events.KindStrings: "array", events.KindMap: "object",
}

// shapeOfExpr knows a whole data.NAME and input.NAME…, and nothing else.
func (c *comparison) shapeOfExpr(source string) shape {
	root, rest, _ := strings.Cut(source, ".")
	switch {
	case root == "data":
		if t, ok := kindTypes[c.data[rest]]; ok {
			return shape{types: []string{t}}
		}
	case root == "input" && c.input != nil:
		at := c.input
		at.defs = at.Defs
		for rest != "" && at != nil {
			var name string
			name, rest, _ = strings.Cut(rest, ".")
			if at, _ = at.resolve(); at != nil {
				at = at.exactly(name)
			}
		}
		return shapeOfSchema(at, 0)
	}
	return shape{}
}

// deepest bounds how far into schemas that contain themselves is looked.
const deepest = 8

func shapeOfSchema(s *jsonSchema, depth int) shape {
	resolved, nullable := s.resolve()
	if resolved == nil || depth > deepest {
		return shape{}
	}
	out := shape{types: resolved.types(), members: map[string]shape{}}
	if nullable && len(out.types) > 0 {
		out.types = append(out.types, "null")
	}
	for name := range resolved.Properties {
		out.members[name] = shapeOfSchema(resolved.exactly(name), depth+1)
	}
	return out
}

func typeOfJSON(text json.RawMessage) []string {
	text = bytes.TrimSpace(text)
	if len(text) == 0 {
		return nil
	}
	switch text[0] {
	case '"':
		return []string{"string"}
	case '{':
		return []string{"object"}
	case '[':
		return []string{"array"}
	case 't', 'f':
		return []string{"boolean"}
	case 'n':
		return []string{"null"}
	default:
		if bytes.ContainsAny(text, ".eE") {
			return []string{"number"}
		}
		return []string{"integer"}
	}
}

// jsonSchema is the part of JSON Schema by which inputs are compared.
type jsonSchema struct {
	Type       json.RawMessage        `json:"type"` // a name or a list of them
	Properties map[string]*jsonSchema `json:"properties"`
	Required   []string               `json:"required"`
	Items      *jsonSchema            `json:"items"`
	Additional json.RawMessage        `json:"additionalProperties"`
	Ref        string                 `json:"$ref"`
	AnyOf      []*jsonSchema          `json:"anyOf"`
	Defs       map[string]*jsonSchema `json:"$defs"`

	defs map[string]*jsonSchema // of the root
}

// readSchema is nil for no schema and for one that allows or forbids everything.
func readSchema(text json.RawMessage) (*jsonSchema, error) {
	if t := bytes.TrimSpace(text); len(t) == 0 || t[0] == 't' || t[0] == 'f' || t[0] == 'n' {
		return nil, nil
	}
	s := new(jsonSchema)
	if err := json.Unmarshal(text, s); err != nil {
		return nil, err
	}
	return s, nil
}

// UnmarshalJSON takes true and false for schemas, too.
func (s *jsonSchema) UnmarshalJSON(text []byte) error {
	type plain jsonSchema
	if t := bytes.TrimSpace(text); len(t) > 0 && t[0] != '{' {
		*s = jsonSchema{}
		return nil
	}
	return json.Unmarshal(text, (*plain)(s))
}

// resolve follows references, and anyOf of a schema and null. It is nil where
// that does not tell.
func (s *jsonSchema) resolve() (resolved *jsonSchema, nullable bool) {
	for range deepest {
		switch {
		case s == nil:
			return nil, false
		case s.Ref != "":
			name, local := strings.CutPrefix(s.Ref, "#/$defs/")
			next := s.defs[name]
			if !local || next == nil {
				return nil, false
			}
			next.defs = s.defs
			s = next
		case len(s.AnyOf) == 2 && s.AnyOf[1] != nil && string(s.AnyOf[1].Type) == `"null"` && s.AnyOf[0] != nil:
			s.AnyOf[0].defs = s.defs
			s, nullable = s.AnyOf[0], true
		case len(s.AnyOf) > 0:
			return nil, false
		default:
			return s, nullable
		}
	}
	return nil, false
}

// types are the types that a schema allows; none: it does not say.
func (s *jsonSchema) types() []string {
	var one string
	var many []string
	if json.Unmarshal(s.Type, &one) == nil {
		return []string{one}
	}
	_ = json.Unmarshal(s.Type, &many) // what is no list does not say either
	return many
}

// property finds a property as encoding/json finds a field, nil for none.
func (s *jsonSchema) property(name string) *jsonSchema {
	if p := s.exactly(name); p != nil {
		return p
	}
	for key := range s.Properties {
		if strings.EqualFold(key, name) {
			return s.exactly(key)
		}
	}
	return nil
}

func (s *jsonSchema) exactly(name string) *jsonSchema {
	p := s.Properties[name]
	if p != nil {
		p.defs = s.defs
	}
	return p
}
