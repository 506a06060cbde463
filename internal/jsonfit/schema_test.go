package jsonfit

import (
	"encoding/json"
	"math/big"
	"net/netip"
	"reflect"
	"testing"
	"time"
)

type tree struct {
	Name  string  `json:"name"`
	Left  *tree   `json:"left"`
	Below []*tree `json:"below,omitempty"`
}

func TestSchema(t *testing.T) {
	const draft = `"$schema":"https://json-schema.org/draft/2020-12/schema",`
	for _, c := range []struct {
		of   reflect.Type
		want string
	}{
		{reflect.TypeFor[any](), `{"$schema":"https://json-schema.org/draft/2020-12/schema"}`},
		{reflect.TypeFor[int64](), `{` + draft + `"type":"integer"}`},
		{reflect.TypeFor[uint8](), `{` + draft + `"minimum":0,"type":"integer"}`},
		{reflect.TypeFor[*float64](), `{` + draft + `"type":["number","null"]}`},
		{reflect.TypeFor[[]byte](), `{` + draft + `"contentEncoding":"base64","type":["string","null"]}`},
		{reflect.TypeFor[[2]bool](), `{` + draft + `"items":{"type":"boolean"},"type":"array"}`},
		{reflect.TypeFor[map[string][]string](), `{` + draft + `"additionalProperties":{"items":{"type":"string"},"type":["array","null"]},"type":["object","null"]}`},
		{reflect.TypeFor[time.Time](), `{` + draft + `"format":"date-time","type":"string"}`},
		{reflect.TypeFor[netip.Addr](), `{` + draft + `"type":"string"}`},
		{reflect.TypeFor[big.Int](), `{"$schema":"https://json-schema.org/draft/2020-12/schema"}`},
		{reflect.TypeFor[*json.RawMessage](), `{"$schema":"https://json-schema.org/draft/2020-12/schema"}`},
		{reflect.TypeFor[item](), `{` + draft + `"properties":{"Tags":{"items":{"type":"string"},"type":["array","null"]},"amount":{"type":"integer"},"sku":{"type":"string"}},"required":["sku","amount","Tags"],"type":"object"}`},
		{reflect.TypeFor[struct {
			base
			Owner  int    `json:"owner,omitzero"`
			Count  int    `json:"count,string"`
			Hidden string `json:"-"`
			unseen string
			Note   string `json:",omitempty"`
		}](), `{` + draft + `"properties":{"Note":{"type":"string"},"count":{"type":"string"},"owner":{"type":"integer"}},"required":["count"],"type":"object"}`},
		{
			reflect.TypeFor[tree](),
			`{"$defs":{"jsonfit.tree":{"properties":{"below":{"items":{"anyOf":[{"$ref":"#/$defs/jsonfit.tree"},{"type":"null"}]},"type":["array","null"]},` +
				`"left":{"anyOf":[{"$ref":"#/$defs/jsonfit.tree"},{"type":"null"}]},"name":{"type":"string"}},"required":["name"],"type":"object"}},` +
				`"$ref":"#/$defs/jsonfit.tree",` + draft[:len(draft)-1] + `}`,
		},
	} {
		if got := string(Schema(c.of)); got != c.want {
			t.Errorf("%v:\n got %s\nwant %s", c.of, got, c.want)
		}
	}
}
