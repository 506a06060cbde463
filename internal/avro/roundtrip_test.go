package avro

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/linkedin/goavro/v2"

	"github.com/leat-io/leat/pkg/events"
)

func TestEveryFieldOfEveryRecordComesBack(t *testing.T) {
	for _, r := range records() {
		t.Run(r.name, func(t *testing.T) {
			full := r.full(t)
			wantNoZero(t, r.name, reflect.ValueOf(full).Elem())
			b := mustEncode(t, r, full)
			got, err := r.decode(b)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(full, got); diff != "" {
				t.Errorf("-sent +got:\n%s", diff)
			}
			for range 10 { // maps have no order, bytes do
				if again := mustEncode(t, r, got); !bytes.Equal(b, again) {
					t.Fatal("the same record gave other bytes")
				}
			}
		})
	}
}

// wantNoZero makes sure that the filler left nothing out.
func wantNoZero(t *testing.T, path string, v reflect.Value) {
	t.Helper()
	if v.IsZero() {
		t.Fatalf("%s is not covered: the fixture leaves it zero", path)
	}
	switch v.Kind() { //nolint:exhaustive // the others hold nothing more
	case reflect.Pointer:
		wantNoZero(t, path, v.Elem())
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Struct {
			wantNoZero(t, path, v.Index(0))
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				wantNoZero(t, path+"."+v.Type().Field(i).Name, v.Field(i))
			}
		}
	}
}

// Every optional field left out, one record after the other.
func TestWhatIsLeftOutStaysOut(t *testing.T) {
	for _, r := range records() {
		full := r.full(t)
		v := reflect.ValueOf(full).Elem()
		for i := range v.NumField() {
			kept := reflect.New(v.Field(i).Type()).Elem()
			kept.Set(v.Field(i))
			v.Field(i).SetZero()
			b, err := r.encode(full)
			if err == nil { // else the field is mandatory
				got, err := r.decode(b)
				if err != nil {
					t.Errorf("%s without %s: %v", r.name, v.Type().Field(i).Name, err)
				} else if diff := cmp.Diff(full, got); diff != "" {
					t.Errorf("%s without %s: -sent +got:\n%s", r.name, v.Type().Field(i).Name, diff)
				}
			}
			v.Field(i).Set(kept)
		}
	}
}

// goavro reads what we write, under the names of the schema, and we read what
// goavro writes. Bodies only: goavro v2.15 leaves {"type":"long"} in the
// canonical form of a logical type, so its fingerprints are not those of the
// specification (see TestFingerprints).
func TestGoavroAgrees(t *testing.T) {
	for _, r := range records() {
		t.Run(r.name, func(t *testing.T) {
			codec, err := goavro.NewCodec(loaded().current[r.name].text)
			if err != nil {
				t.Fatal(err)
			}
			full := r.full(t)
			single := mustEncode(t, r, full)
			native, rest, err := codec.NativeFromBinary(single[headerSize:])
			if err != nil || len(rest) > 0 {
				t.Fatal(err, rest)
			}
			wantNative(t, r.name, reflect.ValueOf(full).Elem(), native)
			b, err := codec.BinaryFromNative(single[:headerSize:headerSize], native)
			if err != nil {
				t.Fatal(err)
			}
			got, err := r.decode(b)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(full, got); diff != "" {
				t.Errorf("written by goavro: -sent +got:\n%s", diff)
			}
		})
	}
}

// twmb/avro too; this is the path by which an older schema is read.
func TestTwmbAgrees(t *testing.T) {
	for _, r := range records() {
		w := loaded().current[r.name]
		full := r.full(t)
		var native any
		if _, err := w.schema.DecodeSingleObject(mustEncode(t, r, full), &native); err != nil {
			t.Fatal(r.name, err)
		}
		b, err := w.schema.AppendSingleObject(nil, native)
		if err != nil {
			t.Fatal(r.name, err)
		}
		got, err := r.decode(b)
		if err != nil {
			t.Fatal(r.name, err)
		}
		if diff := cmp.Diff(full, got); diff != "" {
			t.Errorf("%s written by twmb/avro: -sent +got:\n%s", r.name, diff)
		}
	}
}

// wantNative compares a Go value with what goavro made of its bytes.
func wantNative(t *testing.T, path string, v reflect.Value, native any) {
	t.Helper()
	if union, ok := native.(map[string]any); ok && len(union) == 1 && !isRecord(v.Type()) && v.Kind() != reflect.Map {
		for _, value := range union { // goavro's form of a union: the branch and its value
			native = value
		}
	}
	var want any
	switch x := v.Interface().(type) {
	case events.UUID:
		want = x.String()
	case time.Time:
		want = x
	case time.Duration:
		want = x.Milliseconds()
	case json.RawMessage:
		want = string(x)
	case []byte:
		want = x
	case events.ContextValue:
		want, native = x.Kind().String(), kindOfNative(native)
	default:
		wantNativeKind(t, path, v, native)
		return
	}
	if diff := cmp.Diff(want, native); diff != "" {
		t.Errorf("%s: -ours +goavro's:\n%s", path, diff)
	}
}

// isRecord tells a struct that is a record from one that is a value.
func isRecord(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t != reflect.TypeFor[time.Time]() && t != reflect.TypeFor[events.ContextValue]()
}

func wantNativeKind(t *testing.T, path string, v reflect.Value, native any) {
	t.Helper()
	switch v.Kind() {
	case reflect.Pointer:
		wantNative(t, path, v.Elem(), native)
	case reflect.Struct:
		fields, ok := native.(map[string]any)
		if !ok || len(fields) != v.NumField() {
			t.Errorf("%s: Go has %d fields, the schema has %d", path, v.NumField(), len(fields))
		}
		for i := range v.NumField() {
			name := wireName(v.Type().Field(i))
			value, ok := fields[name]
			if !ok {
				t.Errorf("%s: the schema has no field %q", path, name)
			}
			wantNative(t, path+"."+name, v.Field(i), value)
		}
	case reflect.Slice:
		for i, item := range native.([]any) {
			wantNative(t, path, v.Index(i), item)
		}
	case reflect.Map:
		for key, item := range native.(map[string]any) {
			wantNative(t, path+"."+key, v.MapIndex(reflect.ValueOf(key)), item)
		}
	case reflect.String:
		wantSame(t, path, v.String(), native)
	case reflect.Int32:
		wantSame(t, path, int32(v.Int()), native)
	default:
		wantSame(t, path, v.Interface(), native)
	}
}

func wantSame(t *testing.T, path string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: -ours +goavro's:\n%s", path, diff)
	}
}

func kindOfNative(native any) string {
	switch native.(type) {
	case string:
		return "string"
	case int64:
		return "long"
	case float64:
		return "double"
	case bool:
		return "boolean"
	case []any:
		return "strings"
	default:
		return "map"
	}
}

func TestValuesKeepTheirKind(t *testing.T) {
	data := map[string]events.ContextValue{
		"3": events.Long(3), "3.0": events.Double(3), "1": events.Long(1), "true": events.Boolean(true), "'1'": events.String("1"),
		"-0.0": events.Double(math.Copysign(0, -1)), "max": events.Long(math.MaxInt64), "2^53+1": events.Long(1<<53 + 1),
	}
	e := eventWith(t, data)
	b, err := EncodeEvent(e)
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeEvent(b)
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range data {
		if g := got.Data[name]; !g.Equal(v) {
			t.Errorf("%s came back as a %s: %+v", name, g.Kind(), g)
		}
	}
}

func TestValuesThatAreNone(t *testing.T) {
	for name, v := range map[string]events.ContextValue{
		"nothing": {}, "NaN": events.Double(math.NaN()), "infinity": events.Double(math.Inf(1)), "text": events.String("\xff"),
		"list": events.Strings([]string{"\xff"}), "map": events.Map(map[string]string{"a": "\xff"}), "key": events.Map(map[string]string{"\xff": ""}),
	} {
		_, err := EncodeEvent(eventWith(t, map[string]events.ContextValue{"fine": events.Long(1), name: v}))
		wantField(t, err, "data."+name)
	}
}

func eventWith(tb testing.TB, data map[string]events.ContextValue) *events.Event {
	tb.Helper()
	e := records()[1].full(tb).(*events.Event)
	e.Data = data
	return e
}

// The result shares nothing with its input, which the Kafka client uses again.
func TestDecodedRecordOwnsItsMemory(t *testing.T) {
	for _, r := range records() {
		full := r.full(t)
		b := mustEncode(t, r, full)
		got, err := r.decode(b)
		if err != nil {
			t.Fatal(err)
		}
		clear(b)
		if diff := cmp.Diff(full, got); diff != "" {
			t.Errorf("%s: changed with its input:\n%s", r.name, diff)
		}
	}
}

func TestAppendKeepsWhatWasThere(t *testing.T) {
	for _, r := range records() {
		full := r.full(t)
		got, err := r.append([]byte("before"), full)
		if err != nil || !bytes.Equal(got, append([]byte("before"), mustEncode(t, r, full)...)) {
			t.Errorf("%s: %q, %v", r.name, got, err)
		}
		reflect.ValueOf(full).Elem().SetZero()
		if got, err = r.append([]byte("before"), full); err == nil || string(got) != "before" {
			t.Errorf("%s that is refused: %q, %v", r.name, got, err)
		}
	}
}

// A bound shorter than the wire can say must not become "no bound".
func TestDurationsAreRoundedUp(t *testing.T) {
	for given, want := range map[time.Duration]time.Duration{
		0: 0, 1: time.Millisecond, time.Millisecond: time.Millisecond, time.Millisecond + 1: 2 * time.Millisecond,
	} {
		k := aTask()
		k.Timeouts.Heartbeat = given
		b, err := EncodeTask(k)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := DecodeTask(b); err != nil || got.Timeouts.Heartbeat != want {
			t.Errorf("%d ns came back as %s, %v, want %s", given, got.Timeouts.Heartbeat, err, want)
		}
	}
}
