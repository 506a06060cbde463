package events_test

import (
	"encoding/json"
	"math"
	"math/big"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/leat-io/leat/pkg/events"
)

func TestSameJSON(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{`{"a": 1, "b": [2]}`, `{"b":[2.0],"a":1e0}`, true},
		{`9007199254740993`, `9007199254740992`, false},
		{`[12345678901234567890]`, `[12345678901234567891]`, false},
		{`12345678901234567890`, `1.234567890123456789e19`, true},
		{`0.1`, `0.1000000000000000055511151231257827`, true}, // the same double
		{`1e400`, `1E+400`, true},
		{`1e400`, `1e401`, false},
		{`0`, `-0.0`, true},
		{`1`, `-1`, false},
		{`"<"`, `"\u003c"`, true},
		{`null`, `{}`, false},
		{`{"a":null}`, `{}`, false},
		{`{"a":null}`, `{"b":null}`, false},
		{`[1]`, `[1,1]`, false},
		{`true`, `"true"`, false},
		{``, `1`, false},
		{``, ``, true},
		{`{`, `1`, false},
	} {
		if got := events.SameJSON([]byte(c.a), []byte(c.b)); got != c.same || events.SameJSON([]byte(c.b), []byte(c.a)) != got {
			t.Errorf("%s and %s: %t", c.a, c.b, got)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		text, _ := json.Marshal(rapid.MapOf(rapid.String(), rapid.Float64()).Draw(t, "map"))
		var value any
		if err := json.Unmarshal(text, &value); err != nil {
			t.Fatal(err)
		}
		again, _ := json.MarshalIndent(value, " ", "  ")
		if !events.SameJSON(text, again) {
			t.Fatalf("%s is not %s", text, again)
		}
	})
}

func TestParseDouble(t *testing.T) {
	for text, same := range map[string]bool{
		"0.1": true, "-0.0": true, "1e2": true, "100.0": true, "1e23": true, "6.02214076e23": true, "1.7976931348623157e308": true, "1e-400": true,
		"9007199254740992.0": true, "9007199254740993.0": false, "9.007199254740993e15": false, "-9007199254740993.0": false,
		"12345678901234567890.0": false, "9007199254740993.5": false, "0.1234567890123456789": true, "0.00090071992547409920e19": true,
	} {
		f, got, err := events.ParseDouble(text)
		want, _ := strconv.ParseFloat(text, 64)
		if got != same || err != nil || f != want {
			t.Errorf("%s is %v, %t, %v", text, f, got, err)
		}
	}
	for _, text := range []string{"1e400", "-1e400", "1e99999999999999999999"} {
		if f, same, err := events.ParseDouble(text); err == nil || same {
			t.Errorf("%s is %v", text, f)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		f := rapid.Float64().Draw(t, "f")
		for _, format := range []byte("gef") {
			if got, same, err := events.ParseDouble(strconv.FormatFloat(f, format, -1, 64)); err != nil || !same || got != f {
				t.Fatalf("%v written as %c is %v, %t, %v", f, format, got, same, err)
			}
		}
	})
}

func TestParseWhole(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "-0": 0, "0.0": 0, "0e99": 0, "100.0": 100, "1e2": 100, "-1E+2": -100, "120e-1": 12, "9007199254740993.0": 1<<53 + 1, "9.007199254740993e15": 1<<53 + 1,
		"9223372036854775807.0": math.MaxInt64, "-9223372036854775808": math.MinInt64, "9223372036854775807000e-3": math.MaxInt64,
	} {
		if got, ok := events.ParseWhole(text); !ok || got != want {
			t.Errorf("%s is %d, %t", text, got, ok)
		}
	}
	for _, text := range []string{"0.5", "1.5e0", "1e-1", "9223372036854775808", "1e19", "1e999999999", "1e99999999999999999999", "-9223372036854775809.0"} {
		if got, ok := events.ParseWhole(text); ok {
			t.Errorf("%s is %d", text, got)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		text := strconv.FormatInt(rapid.Int64().Draw(t, "n"), 10) + rapid.SampledFrom([]string{"", ".0", ".5", "e0", "e1", "e-1", ".0e2"}).Draw(t, "end")
		exact, _ := new(big.Rat).SetString(text)
		got, ok := events.ParseWhole(text)
		if want := exact.IsInt() && exact.Num().IsInt64(); ok != want || ok && got != exact.Num().Int64() {
			t.Fatalf("%s is %d, %t", text, got, ok)
		}
	})
}
