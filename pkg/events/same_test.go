package events_test

import (
	"encoding/json"
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
