package plain_test

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/leat-io/leat/internal/plain"
	"github.com/leat-io/leat/pkg/events"
)

// What is read is written as the same JSON, but for the order of keys: no number
// becomes another one.
func TestJSONThereAndBack(t *testing.T) {
	for _, c := range []struct {
		text  string
		value any
	}{
		{"null", nil},
		{"true", true},
		{"-7", int64(-7)},
		{"9223372036854775807", int64(math.MaxInt64)},
		{"12345678901234567890", json.Number("12345678901234567890")},
		{"1e400", json.Number("1e400")},
		{"100.0", 100.0},
		{`"<a> & \u2028"`, "<a> & \u2028"},
		{`[1,1.5,"x",[]]`, []any{int64(1), 1.5, "x", []any{}}},
		{`{"a":{"b":null},"c":2}`, map[string]any{"a": map[string]any{"b": nil}, "c": int64(2)}},
	} {
		value, err := plain.Decode(json.RawMessage(c.text))
		if err != nil || !reflect.DeepEqual(value, c.value) {
			t.Errorf("%s is read as %#v, %v; want %#v", c.text, value, err, c.value)
		}
		text, err := plain.Append(nil, c.value)
		if err != nil || string(text) != c.text {
			t.Errorf("%#v is written as %s, %v; want %s", c.value, text, err, c.text)
		}
	}
	if value, err := plain.Decode(nil); value != nil || err != nil {
		t.Errorf("no text is read as %v, %v", value, err)
	}
	if text, err := plain.Append(nil, 90*time.Second); err != nil || string(text) != `"1m30s"` {
		t.Errorf("a duration is written as %s, %v", text, err)
	}
}

func TestWhatNoJSONCanBe(t *testing.T) {
	long := strings.Repeat("x", events.MaxPayloadLength/2)
	for _, value := range []any{math.NaN(), math.Inf(1), struct{}{}, []any{long, long, long}, map[string]any{"a": long, "b": long, "c": long}} {
		if text, err := plain.Append(nil, value); err == nil {
			t.Errorf("a %T is written, as %d bytes", value, len(text))
		}
	}
}

func TestValuesOfAKind(t *testing.T) {
	for _, c := range []struct {
		value any
		kind  events.Kind
		want  events.ContextValue
		fits  bool
	}{
		{int64(3), events.KindLong, events.Long(3), true},
		{int64(3), events.KindDouble, events.Double(3), true},
		{int64(1<<53 + 1), events.KindDouble, events.ContextValue{}, false},
		{1e2, events.KindLong, events.Long(100), true},
		{1.5, events.KindLong, events.ContextValue{}, false},
		{json.Number("9007199254740993.0"), events.KindLong, events.Long(9007199254740993), true},
		{"3", events.KindLong, events.ContextValue{}, false},
		{true, events.KindBoolean, events.Boolean(true), true},
		{[]any{"a", "b"}, events.KindStrings, events.Strings([]string{"a", "b"}), true},
		{[]any{"a", int64(1)}, events.KindStrings, events.ContextValue{}, false},
		{map[string]any{"a": "b"}, events.KindMap, events.Map(map[string]string{"a": "b"}), true},
		{map[string]any{"a": nil}, events.KindMap, events.ContextValue{}, false},
		{nil, events.KindString, events.ContextValue{}, false},
	} {
		value, fits := plain.Value(c.value, c.kind)
		if fits != c.fits || fits && !value.Equal(c.want) {
			t.Errorf("%#v as a %s is %v, %v; want %v, %v", c.value, c.kind, value, fits, c.want, c.fits)
		}
	}
}
