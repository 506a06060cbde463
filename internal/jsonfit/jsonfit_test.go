package jsonfit

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

type item struct {
	SKU    string `json:"sku"`
	Amount int    `json:"amount"`
	Tags   []string
}

type base struct {
	Owner string `json:"owner"`
}

type order struct {
	base
	Items []item            `json:"items"`
	At    time.Time         `json:"at"`
	Notes map[string]string `json:"notes"`
	Next  *order            `json:"next"`
	Small int8              `json:"small"`
	Count int               `json:"count,string"`
	Any   any               `json:"any"`
}

func TestExplainNamesFieldAndValue(t *testing.T) {
	for text, want := range map[string]string{
		`[]`:                              `it is [], want an object (jsonfit.order)`,
		`"x"`:                             `it is "x", want an object (jsonfit.order)`,
		`{"items":{}}`:                    `field items is {}, want a list ([]jsonfit.item)`,
		`{"items":[{},{"amount":"12"}]}`:  `field items[1].amount is "12", want a whole number (int)`,
		`{"items":[{"Amount":1.5}]}`:      `field items[0].Amount is 1.5, want a whole number (int)`,
		`{"items":[{"sku":7}]}`:           `field items[0].sku is 7, want a string (string)`,
		`{"items":[{"tags":[true]}]}`:     `field items[0].tags[0] is true, want a string (string)`,
		`{"notes":{"a":[1]}}`:             `field notes.a is [1], want a string (string)`,
		`{"next":{"next":{"small":300}}}`: `field next.next.small is 300, want a whole number (int8)`,
		`{"owner":false}`:                 `field owner is false, want a string (string)`,
		`{"at":"yesterday"}`:              `field at is "yesterday": parsing time`,
		`{"count":"x"}`:                   `it is {"count":"x"}: json: invalid use of ,string`,
		`{`:                               `it is not JSON: unexpected end of JSON input`,
		`{"items":"` + strings.Repeat("é", 100) + `"}`: `field items is "` + strings.Repeat("é", 39) + `…, want a list`,
	} {
		var v order
		err := json.Unmarshal([]byte(text), &v)
		if err == nil {
			t.Errorf("%s fits", text)
			continue
		}
		if got := Explain([]byte(text), &v, err); !strings.HasPrefix(got, want) {
			t.Errorf("%s:\n got %s\nwant %s", text, got, want)
		}
	}
}
