package events_test

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/leat-io/leat/pkg/events"
)

func TestValueAsJSON(t *testing.T) {
	for _, c := range []struct {
		value events.ContextValue
		text  string
	}{
		{events.String(""), `""`},
		{events.String("Köln \"☕\""), `"Köln \"☕\""`},
		{events.Long(3), `3`},
		{events.Long(math.MinInt64), `-9223372036854775808`},
		{events.Double(3), `3.0`},
		{events.Double(-0.5), `-0.5`},
		{events.Double(1e21), `1e+21`},
		{events.Double(math.Copysign(0, -1)), `-0.0`},
		{events.Double(math.MaxFloat64), `1.7976931348623157e+308`},
		{events.Boolean(true), `true`},
		{events.Boolean(false), `false`},
		{events.Strings(nil), `[]`},
		{events.Strings([]string{"b", "a"}), `["b","a"]`},
		{events.Map(nil), `{}`},
		{events.Map(map[string]string{"b": "2", "a": "1"}), `{"a":"1","b":"2"}`},
	} {
		got, err := json.Marshal(c.value)
		if err != nil || string(got) != c.text {
			t.Errorf("%+v is written as %s, %v, want %s", c.value, got, err, c.text)
		}
		var back events.ContextValue
		if err := json.Unmarshal([]byte(" "+c.text+" "), &back); err != nil || !back.Equal(c.value) {
			t.Errorf("%s is read as %+v, %v, want %+v", c.text, back, err, c.value)
		}
	}
}

func TestWhatIsNoValue(t *testing.T) {
	for text, says := range map[string]string{
		`null`:                 "null is not a value",
		`[1]`:                  "strings only",
		`["a",null]`:           "item 1 is null",
		`[["a"]]`:              "strings only",
		`{"a":1}`:              "strings only",
		`{"a":{"b":"c"}}`:      "strings only",
		`{"a":null}`:           `"a" is null`,
		`9223372036854775808`:  "64-bit integer",
		`-9223372036854775809`: "64-bit integer",
		`1e999`:                "finite",
		``:                     "empty",
	} {
		var v events.ContextValue
		if err := v.UnmarshalJSON([]byte(text)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want something with %q", text, err, says)
		}
	}
	for name, v := range map[string]events.ContextValue{
		"nothing": {}, "NaN": events.Double(math.NaN()), "+Inf": events.Double(math.Inf(1)), "-Inf": events.Double(math.Inf(-1)),
		"text": events.String("\xff"), "list": events.Strings([]string{"a", "\xff"}),
		"map value": events.Map(map[string]string{"a": "\xff"}), "map key": events.Map(map[string]string{"\xff": "a"}),
	} {
		if v.Validate() == nil {
			t.Errorf("%s validates", name)
		}
		if b, err := v.MarshalJSON(); err == nil {
			t.Errorf("%s is written as %s", name, b)
		}
	}
}

func TestValueTellsItsKindAndNothingElse(t *testing.T) {
	for _, c := range []struct {
		value events.ContextValue
		kind  events.Kind
		name  string
	}{
		{events.ContextValue{}, events.KindNone, "none"},
		{events.String("1"), events.KindString, "string"},
		{events.Long(1), events.KindLong, "long"},
		{events.Double(1), events.KindDouble, "double"},
		{events.Boolean(true), events.KindBoolean, "boolean"},
		{events.Strings([]string{"1"}), events.KindStrings, "strings"},
		{events.Map(map[string]string{"1": "1"}), events.KindMap, "map"},
	} {
		v := c.value
		if v.Kind() != c.kind || v.Kind().String() != c.name {
			t.Errorf("%+v is a %s", v, v.Kind())
		}
		for kind, given := range map[events.Kind]bool{
			events.KindString: v.Str() != "", events.KindLong: v.Int() != 0, events.KindDouble: v.Float() != 0,
			events.KindBoolean: v.Bool(), events.KindStrings: v.List() != nil, events.KindMap: v.Dict() != nil,
		} {
			if given != (kind == c.kind) {
				t.Errorf("a %s answers as a %s: %v", c.name, kind, given)
			}
		}
	}
	if events.Long(1).Equal(events.Boolean(true)) || events.Long(3).Equal(events.Double(3)) {
		t.Error("kinds are confused")
	}
}

func TestValueIsImmutable(t *testing.T) {
	list, dict := []string{"a"}, map[string]string{"a": "b"}
	l, d := events.Strings(list), events.Map(dict)
	list[0], dict["a"] = "x", "x"
	l.List()[0], d.Dict()["a"] = "y", "y"
	if l.List()[0] != "a" || d.Dict()["a"] != "b" {
		t.Errorf("%v %v", l.List(), d.Dict())
	}
}

// Whatever validates comes back from JSON as it was, kind and content.
func TestValueComesBackFromJSON(t *testing.T) {
	text := rapid.String()
	value := rapid.OneOf(
		rapid.Map(text, events.String), rapid.Map(rapid.Int64(), events.Long), rapid.Map(rapid.Float64(), events.Double),
		rapid.Map(rapid.Bool(), events.Boolean), rapid.Map(rapid.SliceOf(text), events.Strings),
		rapid.Map(rapid.MapOf(text, text), events.Map),
	)
	rapid.Check(t, func(t *rapid.T) {
		v := value.Draw(t, "value")
		b, err := json.Marshal(v)
		if v.Validate() != nil {
			if err == nil {
				t.Fatalf("%+v does not validate and is written as %s", v, b)
			}
			return
		}
		var back events.ContextValue
		if err := json.Unmarshal(b, &back); err != nil || !back.Equal(v) {
			t.Fatalf("%+v is written as %s and read as %+v, %v", v, b, back, err)
		}
	})
}

func ExampleContextValue() {
	var data map[string]events.ContextValue
	err := json.Unmarshal([]byte(`{"amount": 3.0, "attempts": 3, "tags": ["new", "vip"]}`), &data)
	fmt.Println(data["amount"].Kind(), data["attempts"].Kind(), data["tags"].List(), err)
	err = json.Unmarshal([]byte(`{"nested": {"a": {"b": "c"}}}`), &data)
	fmt.Println(err)
	// Output:
	// double long [new vip] <nil>
	// a map may hold strings only
}
