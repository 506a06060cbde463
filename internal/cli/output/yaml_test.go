package output

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Keys keep their order, numbers their digits, and text that another reader
// could take for something else is in quotes.
func TestYAMLSaysWhatTheJSONSays(t *testing.T) {
	const in = `{"z":1,"a":[{"b":"no","c":[]},["2026-01-02T15:04:05Z","12:30",""]],"n":null,"t":true,` +
		`"large":12345678901234567890123,"f":1.50,"e":1e400,"s":"\ud83d\ude00 <&>","lines":"one\ntwo\n","1":{},"on":"off"}`
	const want = `z: 1
a:
- b: "no"
  c: []
- - "2026-01-02T15:04:05Z"
  - "12:30"
  - ""
"n": null
t: true
large: 12345678901234567890123
f: 1.50
e: 1e400
s: "\U0001F600 <&>"
lines: |
  one
  two
"1": {}
"on": "off"
`
	var out strings.Builder
	if err := writeYAML(&out, json.RawMessage(in)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}
