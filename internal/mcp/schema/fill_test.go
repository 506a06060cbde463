package schema

import (
	"strings"
	"testing"
)

func compile(t *testing.T, text string) *Schema {
	t.Helper()
	s, err := Compile([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestFill(t *testing.T) {
	const person = `{"type":"object","properties":{"name":{"type":"string","default":"John"},"age":{"$ref":"#/$defs/age"},
		"home":{"type":"object","properties":{"city":{"default":"Bonn"}}},"tags":{"items":{"properties":{"n":{"default":1e2}}}}},
		"allOf":[{"properties":{"id":{"default":9007199254740993}}}],"anyOf":[{"properties":{"never":{"default":1}}}],
		"$defs":{"age":{"type":"integer","default":42}}}`
	for name, c := range map[string]struct{ schema, in, want string }{
		"all of them":         {person, `{}`, `{"age":42,"id":9007199254740993,"name":"John"}`},
		"below":               {person, `{"home":{},"tags":[{},{"n":2}]}`, `{"age":42,"home":{"city":"Bonn"},"id":9007199254740993,"name":"John","tags":[{"n":1e2},{"n":2}]}`},
		"what is there stays": {person, `{"name":"<A>","age":1.0,"id":0.10}`, `{"name":"<A>","age":1.0,"id":0.10}`},
		"as it was written":   {`{"properties":{"a":{}}}`, `{ "b" : 1.50,"a":12345678901234567890 }`, `{ "b" : 1.50,"a":12345678901234567890 }`},
		"no copy is shared":   {`{"properties":{"a":{"default":{"x":[]}},"b":{"default":{"x":[]}}}}`, `{}`, `{"a":{"x":[]},"b":{"x":[]}}`},
		"null is a value":     {`{"properties":{"a":{"default":1}}}`, `{"a":null}`, `{"a":null}`},
		"null is a default":   {`{"properties":{"a":{"default":null}}}`, `{}`, `{"a":null}`},
		"of a tree, once":     {`{"properties":{"a":{"$ref":"#","default":{}}}}`, `{}`, `{"a":{}}`},
		"no object":           {`{"properties":{"a":{"default":1}}}`, `[1]`, `[1]`},
		"draft 7":             {`{"$schema":"http://json-schema.org/draft-07/schema#","items":{"properties":{"a":{"default":1}}}}`, `[{}]`, `[{"a":1}]`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := compile(t, c.schema).Fill([]byte(c.in))
			if err != nil || string(got) != c.want {
				t.Errorf("got %s, %v\nwant %s", got, err, c.want)
			}
		})
	}
}

func TestMismatchNamesFieldAndValue(t *testing.T) {
	const edits = `{"type":"object","required":["path"],"properties":{"path":{"type":"string"},"count":{"type":"integer","maximum":3},
		"edits":{"type":"array","items":{"type":"object","properties":{"old":{"type":"string"}}}},"big":{"const":9007199254740992},
		"to":{"anyOf":[{"type":"number"},{"properties":{"x":{"type":"string"}},"type":"object"}]}},"additionalProperties":false}`
	for in, want := range map[string][]string{
		`{}`:                                     {"path"},
		`{"path":7}`:                             {"path is 7", "string"},
		`{"path":"a","count":"many"}`:            {`count is "many"`, "integer"},
		`{"path":"a","count":4}`:                 {`count is 4`, "3"},
		`{"path":"a","edits":[{},{"old":[1]}]}`:  {`edits[1].old is [1]`, "string"},
		`{"path":"a","other":1}`:                 {"other"},
		`{"path":"a","big":9007199254740993}`:    {"big is 9007199254740993"},
		`{"path":"a","to":{"x":1}}`:              {"to.x is 1", "string"},
		`{"path":"a","count":1e2000}`:            {"exponent"},
		`{"path":`:                               {"not JSON"},
		`[]`:                                     {"object"},
		`{"path":{"a":"` + long + `"}}`:          {"path is {", "…"},
		`{"path":"a","edits":` + deep + `}`:      {"nested"},
		`{"path":"a","count":1` + "\x00" + `}`:   {"not JSON"},
		`{"path":"a","count":1}{"path":"again"}`: {"not JSON"},
	} {
		_, err := compile(t, edits).Fill([]byte(in))
		if err == nil {
			t.Errorf("%.60s fits", in)
			continue
		}
		for _, part := range want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%.60s: %q does not name %q", in, err, part)
			}
		}
		if len(err.Error()) > 400 {
			t.Errorf("an error of %d bytes", len(err.Error()))
		}
	}
}

var (
	long = strings.Repeat("€", 2000)
	deep = strings.Repeat("[", 300) + strings.Repeat("]", 300)
)

// A pattern that needs a backtracking engine does not make a tool useless.
func TestUnknownPatternsAreNotChecked(t *testing.T) {
	s := compile(t, `{"properties":{"a":{"pattern":"^(?!x)","type":"string"},"b":{"pattern":"^y"}}}`)
	if err := s.Check([]byte(`{"a":"x"}`)); err != nil {
		t.Error(err)
	}
	if err := s.Check([]byte(`{"a":1}`)); err == nil {
		t.Error("the rest of the schema is not checked")
	}
	if err := s.Check([]byte(`{"b":"x"}`)); err == nil {
		t.Error("a pattern that can be checked is not")
	}
}

// What defaults add is bounded, however long the list.
func TestDefaultsAreBounded(t *testing.T) {
	s := compile(t, `{"items":{"properties":{"a":{"default":"`+strings.Repeat("x", 10_000)+`"}}}}`)
	if _, err := s.Fill([]byte("[" + strings.Repeat("{},", 1000) + "{}]")); err == nil || !strings.Contains(err.Error(), "defaults") {
		t.Errorf("got %v", err)
	}
}
