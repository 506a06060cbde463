package client

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestWhatEncodesToJSONIsAnInput(t *testing.T) {
	for _, tt := range []struct {
		in   any
		want string // "" for none
	}{
		{nil, ""},
		{json.RawMessage(nil), ""},
		{json.RawMessage(`{"a": 1.0}`), `{"a": 1.0}`},
		{map[string]int{"a": 1}, `{"a":1}`},
		{struct {
			Name string `json:"name"`
		}{"<&>"}, `{"name":"<&>"}`},
		{12.5, "12.5"},
		{"text", `"text"`},
		{(*int)(nil), "null"},
	} {
		if got, err := encodeValue("Input", tt.in); err != nil || string(got) != tt.want {
			t.Errorf("%v: got %s, %v", tt.in, got, err)
		}
	}
	for want, in := range map[string]any{
		"Input is a []byte: give JSON text as json.RawMessage": []byte(`{}`),
		"Input does not encode to JSON":                        func() {},
	} {
		if _, err := encodeValue("Input", in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestResultsThatDoNotFit(t *testing.T) {
	type item struct {
		Price int8   `json:"price"`
		Name  string `json:"name"`
	}
	type result struct {
		ID    string          `json:"id"`
		Items []item          `json:"items"`
		By    map[string]item `json:"by"`
		Old   []string        `json:"old"`
	}
	for output, want := range map[string]string{
		`{"id": 7}`: `id is 7, which is no string`,
		`{"id": "a", "items": [{"price": 1}, {"name": "x", "price": 300}]}`: `items[1].price is 300, which is no int8`,
		`{"by": {"a": {}, "b": {"price": 1.5}}}`:                            `by.b.price is 1.5, which is no int8`,
		`{"items": {"price": 1}}`:                                           `items is {"price": 1}, which is no []client.item`,
		`{"old": [null, ["x"]]}`:                                            `old[1] is ["x"], which is no string`,
		`["x"]`:                                                             `it is ["x"], which is no client.result`,
		`{"id": ["` + strings.Repeat("ä", 100) + `"]}`:                      `id is ["` + strings.Repeat("ä", 31) + `…, which is no string`,
		`{"by": {"a": {"price": true}}, "id": "` + strings.Repeat("x", 100) + `"}`: `by.a.price is true, which is no int8`,
	} {
		var into result
		err := decodeResult(json.RawMessage(output), &into)
		if !errors.Is(err, ErrResult) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", output, err, want)
		}
	}
	untouched := 3
	if err := decodeResult(nil, &untouched); err != nil || untouched != 3 {
		t.Errorf("got %d, %v", untouched, err)
	}
	if err := decodeResult(json.RawMessage(`1`), untouched); !errors.Is(err, ErrResult) {
		t.Errorf("into no pointer: got %v", err)
	}
}
