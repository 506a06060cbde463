package cel_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/leat-io/leat/internal/cel"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

// eval runs one expression as the message of a log action.
func eval(t *testing.T, source, input string) (string, error) {
	t.Helper()
	def := &fsm.Definition{
		Type: "t", Version: 1,
		Data: []fsm.Variable{
			{Name: "n", Kind: events.KindLong, Default: events.Long(3)},
			{Name: "unset", Kind: events.KindString},
			{Name: "list", Kind: events.KindStrings, Default: events.Strings([]string{"a", "b"})},
			{Name: "map", Kind: events.KindMap, Default: events.Map(map[string]string{"k": "v"})},
		},
		Root: &fsm.State{ID: "t", Type: fsm.Compound, States: []*fsm.State{{
			ID: "a", Entry: []fsm.Action{{Kind: fsm.ActionLog, Data: &fsm.Template{Expr: &fsm.Expr{Source: source}}}},
		}}},
	}
	names := cel.Names{Data: map[string]events.Kind{}, States: []string{"a"}}
	for _, v := range def.Data {
		names.Data[v.Name] = v.Kind
	}
	environment, err := cel.New(names)
	if err != nil {
		t.Fatal(err)
	}
	m, findings := fsm.Compile(def, environment)
	if m == nil {
		return "", errors.New(findings[0].Text)
	}
	_, effects, err := m.Step(events.Chart{}, fsm.Input{
		Kind: fsm.InputStart, Now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Data: []byte(input),
		Instance: fsm.Instance{ID: events.InstanceIDForKey("t", "k"), Type: "t", Key: "k", Version: 1},
	})
	if err != nil {
		return "", err
	}
	return effects[1].(fsm.Logged).Message, nil
}

func TestExpressions(t *testing.T) {
	const input = `{"id": 12345678901234567890, "over": 1e400, "far": 1e999999999, "odd": 9007199254740993, "even": 9007199254740992.0, "late": 9007199254740993.0, "least": 9223372036854775808, "mag": 2, "big": 9.5, "alert": null, "list": [1, 2.0, "x"], "o": {"z": 1, "a": {"b": true}, "m": 2}}`
	for source, want := range map[string]string{
		`input.mag >= 4.5`:                 "false",
		`input.big >= 4.5`:                 "true",
		`data.n >= 2.5`:                    "true",
		`input.alert != null`:              "false",
		`has(input.alert)`:                 "true",
		`has(input.other)`:                 "false",
		`has(data.unset)`:                  "false",
		`data.n + 1`:                       "4",
		`data.n * 1.5`:                     "4.5",
		`input.mag * 1.5`:                  "3.0",
		`1.5 * input.mag`:                  "3.0",
		`input.big + input.mag`:            "11.5",
		`input.big - 1`:                    "8.5",
		`input.big / 2`:                    "4.75",
		`input.big % 2`:                    "1.5",
		`7 / 2`:                            "3",
		`7 % 2`:                            "1",
		`1 % 0.0`:                          "error: modulus by zero",
		`input.mag * 'x'`:                  "error: ",
		`input.id`:                         "12345678901234567890",
		`input.id + 1`:                     "error: 12345678901234567890 does not fit a 64-bit integer",
		`input.id > 5`:                     "true",
		`input.id == 5`:                    "false",
		`5 < input.id`:                     "true",
		`5.5 >= input.id`:                  "false",
		`5 == input.id`:                    "false",
		`data.n < input.id`:                "true",
		`-input.id < -5`:                   "true",
		`-input.id`:                        "-12345678901234567890",
		`-input.least`:                     "-9223372036854775808",
		`'a' < input.id`:                   "error: an operator cannot be applied",
		`input.id in [1, 2]`:               "false",
		`input.id in [input.id]`:           "true",
		`input.odd > input.even`:           "true",
		`input.odd == input.even`:          "false",
		`input.even < input.odd`:           "true",
		`input.even >= input.odd`:          "false",
		`input.odd != input.even`:          "true",
		`input.late == input.odd`:          "true",
		`input.odd == input.late`:          "true",
		`input.late`:                       "9007199254740993.0",
		`int(input.late) + 1`:              "9007199254740994",
		`input.late * 2`:                   "error: 9007199254740993.0 does not fit",
		`int(input.id)`:                    "error: integer overflow",
		`double(input.id)`:                 "1.2345678901234567e+19",
		`uint(input.id)`:                   "12345678901234567890",
		`{'u': 18446744073709551615u}`:     `{"u":18446744073709551615}`,
		`input.over`:                       "1e400",
		`input.over > 1e300`:               "true",
		`input.over + 1.0`:                 "error: 1e400 does not fit",
		`double(input.over)`:               "error: 1e400 is larger",
		`input.far > 1`:                    "error: 1e999999999 is a number of more than 400 digits",
		`1 < input.far`:                    "error: ",
		`input.far == 1`:                   "false",
		`double(data.n) / 0.0 > input.mag`: "true",
		`(0.0 / 0.0) < 1`:                  "false",
		`9223372036854775807 < 9223372036854775807.0`:    "true",
		`-9223372036854775808 >= -9223372036854775808.0`: "true",
		`string(input.id)`:  "12345678901234567890",
		`{'a': [input.id]}`: `{"a":[12345678901234567890]}`,
		`timestamp('0001-01-01T00:00:00Z') - now < duration('0s')`: "true",
		`double(data.n) * 1.0`:               "3.0",
		`input.list`:                         `[1,2.0,"x"]`,
		`input.o.map(k, k)`:                  `["a","m","z"]`,
		`{'b': 1, 'a': 2}.map(k, k)`:         `["a","b"]`,
		`data.map.k + data.list[1]`:          "vb",
		`now`:                                `"2026-01-02T03:04:05Z"`,
		`now + duration('1h')`:               `"2026-01-02T04:04:05Z"`,
		`instance.key + '/' + instance.type`: "k/t",
		`active('a')`:                        "true",
		`event.name`:                         "",
		`event.data == null`:                 "true",
		`input.o == {'z': 1, 'm': 2, 'a': {'b': true}}`: "true",
		`input.mag >= 'x'`: "error: an operator cannot be applied",
		`input.alert > 3`:  "error: > cannot be applied",
		`input.missing`:    "error: no such key: missing",
		`data.unset`:       "error: data.unset is not set",
		`data`:             `error: "data" is not a value by itself`,
		`active('b')`:      `error: there is no state "b"`,
		`unknown`:          `error: unknown name "unknown"`,
		`1 / 0`:            "error: division by zero",
		`[1,2,3,4,5,6,7,8,9,10].all(a, [1,2,3,4,5,6,7,8,9,10].all(b, [1,2,3,4,5,6,7,8,9,10].all(c, [1,2,3,4,5,6,7,8,9,10].all(d, [1,2,3,4,5,6,7,8,9,10].all(e, [1,2,3,4,5,6,7,8,9,10].all(f, a + b + c + d + e + f > 0))))))`: "error: ",
	} {
		got, err := eval(t, source, input)
		if err != nil {
			got = "error: " + err.Error()
		}
		switch expected, isError := strings.CutPrefix(want, "error: "); {
		case isError && (err == nil || !strings.Contains(got, expected)):
			t.Errorf("%s: got %s, want %s", source, got, want)
		case !isError && got != want:
			t.Errorf("%s: got %s, want %s", source, got, want)
		}
	}
}

// The limits on source and depth hold.
func TestLimits(t *testing.T) {
	for _, source := range []string{
		strings.Repeat("1 + ", cel.MaxLength/4) + "1",
		strings.Repeat("(", 2000) + "1" + strings.Repeat(")", 2000),
		strings.Repeat("!(", 3000) + "true" + strings.Repeat(")", 3000),
		strings.Repeat("[", 3000),
	} {
		if _, err := eval(t, source, `{}`); err == nil {
			t.Errorf("%.20s… compiles", source)
		}
	}
}
