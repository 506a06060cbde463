package schema

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// doubling is a few hundred bytes that a validator evaluates 2^levels times.
func doubling(levels int) string {
	var b strings.Builder
	b.WriteString(`{"$ref":"#/$defs/a0","$defs":{`)
	for i := range levels {
		fmt.Fprintf(&b, `"a%d":{"anyOf":[{"$ref":"#/$defs/a%d"},{"$ref":"#/$defs/a%d"}]},`, i, i+1, i+1)
	}
	fmt.Fprintf(&b, `"a%d":{"type":"null"}}}`, levels)
	return b.String()
}

// chain is a subschema in a subschema, and so on.
func chain(levels int) string {
	return strings.Repeat(`{"properties":{"a":`, levels) + `{}` + strings.Repeat(`}}`, levels)
}

func many(n int) string {
	var b strings.Builder
	b.WriteString(`{"properties":{`)
	for i := range n {
		fmt.Fprintf(&b, `"p%d":{"type":"string"},`, i)
	}
	b.WriteString(`"last":{}}}`)
	return b.String()
}

// zigzag doubles at each level of a value, not at one place.
const zigzag = `{"$defs":{"a":{"allOf":[{"$ref":"#/$defs/b"},{"$ref":"#/$defs/b"}]},"b":{"properties":{"x":{"$ref":"#/$defs/a"}}}},"$ref":"#/$defs/a"}`

func TestGuardRefuses(t *testing.T) {
	for name, c := range map[string]struct{ schema, why string }{
		"no JSON":                    {`{"type":`, "not JSON"},
		"a text":                     {`"x"`, "neither an object nor a boolean"},
		"a property that is none":    {`{"properties":{"a":1}}`, "at /properties/a is neither"},
		"itself":                     {`{"$ref":"#"}`, "cycle"},
		"two that mean each other":   {`{"$ref":"#/$defs/a","$defs":{"a":{"allOf":[{"$ref":"#/$defs/b"}]},"b":{"not":{"$ref":"#/$defs/a"}}}}`, "cycle"},
		"itself by anchor":           {`{"$anchor":"me","anyOf":[{"$ref":"#me"}]}`, "cycle"},
		"itself, dynamically":        {`{"$dynamicAnchor":"me","if":{"$dynamicRef":"#me"}}`, "cycle"},
		"itself by a pointer":        {`{"properties":{"a":{"$ref":"#/properties/a"}}}`, "cycle"},
		"itself in a strange place":  {`{"x":{"$ref":"#/x"},"$ref":"#/x"}`, "cycle"},
		"another document":           {`{"properties":{"a":{"$ref":"https://example.com/s.json"}}}`, "another document"},
		"a file":                     {`{"$ref":"file:///etc/passwd"}`, "another document"},
		"another document, by base":  {`{"$id":"https://example.com/a","properties":{"a":{"$ref":"b"}}}`, "another document"},
		"nowhere":                    {`{"$ref":"#/$defs/none"}`, "not there"},
		"no such anchor":             {`{"$ref":"#none"}`, "not there"},
		"exponential":                {doubling(22), "more than 10000 subschemas at one place"},
		"exponential in the value":   {zigzag, "doubles"},
		"too long":                   {`{"description":"` + strings.Repeat("x", MaxBytes) + `"}`, "bytes"},
		"too deep":                   {chain(MaxDepth + 1), "deep"},
		"much too deep":              {strings.Repeat(`{"not":`, 20_000) + `{}` + strings.Repeat(`}`, 20_000), "nested"},
		"too many":                   {many(MaxSubschemas), "more than 4096 subschemas"},
		"a number of a million":      {`{"minimum":1e1000000}`, "exponent"},
		"wide and deep":              {doubling(13)[:len(doubling(13))-1] + `,"properties":{"a":{"$ref":"#/$defs/a0"}}}`, "more than 10000"},
		"a list of nested documents": {strings.Repeat("[", 300) + strings.Repeat("]", 300), "nested"},
	} {
		t.Run(name, func(t *testing.T) {
			err := Guard([]byte(c.schema))
			took := best(func() { _ = Guard([]byte(c.schema)) })
			var refusal *Refusal
			if !errors.As(err, &refusal) || !strings.Contains(err.Error(), c.why) {
				t.Errorf("want a refusal with %q, got %v", c.why, err)
			}
			if decoding := best(func() { _, _ = decode([]byte(c.schema)) }); took > max(10*time.Millisecond, 4*decoding) && !raced {
				t.Errorf("it took %v, where decoding takes %v", took, decoding)
			}
		})
	}
}

// best is the shortest of some times: the machine is shared with others.
func best(do func()) time.Duration {
	shortest := time.Hour
	for range 30 {
		began := time.Now()
		do()
		if shortest = min(shortest, time.Since(began)); shortest <= 10*time.Millisecond {
			break
		}
	}
	return shortest
}

func TestGuardAllows(t *testing.T) {
	for name, schema := range map[string]string{
		"anything":                 `{}`,
		"nothing":                  `false`,
		"the deepest":              chain(MaxDepth),
		"the most":                 many(MaxSubschemas - 2),
		"a tree":                   `{"type":"object","properties":{"value":{},"children":{"type":"array","items":{"$ref":"#"}}}}`,
		"a tree with two branches": `{"properties":{"left":{"$ref":"#"},"right":{"$ref":"#"}},"additionalProperties":{"$ref":"#"}}`,
		"a filter": `{"$ref":"#/$defs/f","$defs":{"f":{"anyOf":[{"properties":{"and":{"items":{"$ref":"#/$defs/f"}}}},` +
			`{"properties":{"or":{"items":{"$ref":"#/$defs/f"}}}},{"properties":{"not":{"$ref":"#/$defs/f"}}}]}}}`,
		"a linked list":                  `{"prefixItems":[{},{"$ref":"#"}],"items":{"$ref":"#"}}`,
		"the same twice":                 `{"$defs":{"p":{"type":"string"}},"properties":{"a":{"$ref":"#/$defs/p"},"b":{"$ref":"#/$defs/p"}}}`,
		"an escaped name":                `{"$defs":{"a/b~c":{}},"$ref":"#/$defs/a~1b~0c"}`,
		"an inner document":              `{"$id":"https://example.com/a","$defs":{"b":{"$id":"b","type":"string"}},"$ref":"b"}`,
		"draft 7":                        `{"$schema":"http://json-schema.org/draft-07/schema#","definitions":{"a":{"type":"string"}},"items":[{"$ref":"#/definitions/a"}],"dependencies":{"x":["y"],"z":{"type":"object"}}}`,
		"what is no schema in a default": `{"default":{"$ref":"https://example.com"},"examples":[{"$ref":"#"}],"const":{"properties":1}}`,
		"a text that looks like one":     `{"description":"\"e9999999 [[[ {{{ \\"}`,
		"affordable":                     doubling(10),
	} {
		t.Run(name, func(t *testing.T) {
			if err := Guard([]byte(schema)); err != nil {
				t.Fatal(err)
			}
			if _, err := Compile([]byte(schema)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestCompileRefuses(t *testing.T) {
	for name, schema := range map[string]string{
		"a type that is none": `{"type":"strin"}`,
		"another draft":       `{"$schema":"https://example.com/draft"}`,
	} {
		if _, err := Compile([]byte(schema)); err == nil {
			t.Errorf("%s: compiled", name)
		}
	}
}

// BenchmarkGuard measures the largest schemas that are refused, and that are not.
func BenchmarkGuard(b *testing.B) {
	for name, schema := range map[string]string{
		"exponential": doubling(22), "zigzag": zigzag, "most": many(MaxSubschemas - 2), "many": many(8_000),
		"wide": doubling(12),
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				_ = Guard([]byte(schema))
			}
		})
	}
}
