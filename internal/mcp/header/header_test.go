package header

import (
	"encoding/json"
	"reflect"
	"testing"
)

func TestParams(t *testing.T) {
	const good = `{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"},
		"deep":{"type":"object","properties":{"n":{"type":"integer","x-mcp-header":"N"}}},"b":{"type":"boolean","x-mcp-header":"B"},
		"other":{"default":{"x-mcp-header":"is data"}}}}`
	params, err := Params(json.RawMessage(good))
	if err != nil || len(params) != 3 {
		t.Fatalf("got %+v, %v", params, err)
	}
	for in, want := range map[string]map[string]string{
		`{"region":"us-west1","deep":{"n":42},"b":false}`: {"Region": "us-west1", "N": "42", "B": "false"},
		`{"region":"","deep":{"n":4.2e1}}`:                {"Region": "", "N": "42"},
		`{"region":null,"deep":7,"b":null}`:               {},
		`{"region":" padded ","deep":{"n":-0}}`:           {"Region": "=?base64?IHBhZGRlZCA=?=", "N": "0"},
		`{"region":"Hello, 世界"}`:                          {"Region": "=?base64?SGVsbG8sIOS4lueVjA==?="},
		`{"region":"line1\nline2"}`:                       {"Region": "=?base64?bGluZTEKbGluZTI=?="},
		`{"region":"=?base64?literal?="}`:                 {"Region": "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="},
		`{"deep":{"n":9007199254740993}}`:                 {},
		`{"deep":{"n":1.5},"region":"a b\tc"}`:            {"Region": "a b\tc"},
	} {
		got := map[string]string{}
		for _, v := range Values(params, json.RawMessage(in)) {
			got[v.Name[len(paramPrefix):]] = v.Text
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, want %v", in, got, want)
		}
	}
}

func TestParamsRefuses(t *testing.T) {
	for name, schema := range map[string]string{
		"a number":            `{"properties":{"a":{"type":"number","x-mcp-header":"A"}}}`,
		"no type":             `{"properties":{"a":{"x-mcp-header":"A"}}}`,
		"an empty name":       `{"properties":{"a":{"type":"string","x-mcp-header":""}}}`,
		"no name":             `{"properties":{"a":{"type":"string","x-mcp-header":7}}}`,
		"a line in a name":    `{"properties":{"a":{"type":"string","x-mcp-header":"A\r\nB"}}}`,
		"the same name twice": `{"properties":{"a":{"type":"string","x-mcp-header":"A"},"b":{"type":"string","x-mcp-header":"a"}}}`,
		"the root":            `{"type":"string","x-mcp-header":"A"}`,
		"behind items":        `{"properties":{"a":{"type":"array","items":{"type":"string","x-mcp-header":"A"}}}}`,
		"behind an anyOf":     `{"anyOf":[{"properties":{"a":{"type":"string","x-mcp-header":"A"}}}]}`,
		"behind a $ref":       `{"$defs":{"a":{"type":"string","x-mcp-header":"A"}},"properties":{"a":{"$ref":"#/$defs/a"}}}`,
	} {
		if params, err := Params(json.RawMessage(schema)); err == nil {
			t.Errorf("%s: got %+v", name, params)
		}
	}
}
