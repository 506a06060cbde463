package avro

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/leat-io/leat/pkg/events"
)

// eachText calls visit for every text of a closed set and every UUID in a
// record, with its path on the wire. visit may change it; it is put back.
func eachText(path string, v reflect.Value, visit func(path string, v reflect.Value)) {
	_, closed := closedSets()[v.Type()]
	switch {
	case closed || v.Type() == reflect.TypeFor[events.UUID]():
		kept := reflect.New(v.Type()).Elem()
		kept.Set(v)
		visit(path, v)
		v.Set(kept)
	case v.Kind() == reflect.Pointer:
		eachText(path, v.Elem(), visit)
	case v.Kind() == reflect.Slice && v.Len() > 0 && v.Type() != reflect.TypeFor[json.RawMessage]():
		eachText(path, v.Index(0), visit)
	case isRecord(v.Type()):
		for i := range v.NumField() {
			name := wireName(v.Type().Field(i))
			if path != "" {
				name = path + "." + name
			}
			eachText(name, v.Field(i), visit)
		}
	}
}

func TestEveryValueOfAClosedSetIsTaken(t *testing.T) {
	sets := closedSets()
	for _, r := range records() {
		full := r.full(t)
		eachText("", reflect.ValueOf(full).Elem(), func(path string, v reflect.Value) {
			for _, value := range sets[v.Type()] {
				v.SetString(value)
				b, err := r.encode(full)
				if err != nil {
					if path != "result.state" && path != "command" { // those two depend on each other
						t.Errorf("%s.%s %q: %v", r.name, path, value, err)
					}
					continue
				}
				if _, err := r.decode(b); err != nil {
					t.Errorf("%s.%s %q: %v", r.name, path, value, err)
				}
			}
		})
	}
}

func TestNothingElseIsTaken(t *testing.T) {
	for _, r := range records() {
		full := r.full(t)
		good := mustEncode(t, r, full)
		eachText("", reflect.ValueOf(full).Elem(), func(path string, v reflect.Value) {
			text := v.String() // a value of the closed set
			if id, ok := reflect.TypeAssert[events.UUID](v); ok {
				text = id.String()
			} else {
				v.SetString("unheard-of")
				_, err := r.encode(full)
				wantFieldIn(t, err, r.name, path)
			}
			for _, wrong := range []string{strings.Repeat("x", len(text)), strings.Repeat("0", len(text)), strings.ToUpper(text[:1]) + text[1:]} {
				wantNotDecoded(t, r, good, path, text, wrong)
			}
			if len(text) == 36 {
				wantNotDecoded(t, r, good, path, text, "00000000-0000-0000-0000-000000000000")
			}
		})
	}
}

// wantNotDecoded puts wrong wherever text stands in good, one place at a time,
// and wants a refusal that names the field in one of them.
func wantNotDecoded(t *testing.T, r record, good []byte, path, text, wrong string) {
	t.Helper()
	if strings.EqualFold(text, wrong) && (len(text) == 36 || text == wrong) {
		return // hex digits may be written in either case
	}
	old := append(binary.AppendVarint(nil, int64(len(text))), text...)
	bad := append(binary.AppendVarint(nil, int64(len(wrong))), wrong...)
	named := false
	for at := bytes.Index(good, old); at >= 0; {
		b := append(append(bytes.Clone(good[:at]), bad...), good[at+len(old):]...)
		_, err := r.decode(b)
		named = named || err != nil && strings.Contains(err.Error(), leaf(path)+": ")
		next := bytes.Index(good[at+1:], old)
		if next < 0 {
			break
		}
		at += 1 + next
	}
	if !named {
		t.Errorf("%s.%s was decoded as %q", r.name, path, wrong)
	}
}

func leaf(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }

func wantFieldIn(t *testing.T, err error, record, path string) {
	t.Helper()
	var named *events.FieldError
	if !errors.As(err, &named) || leaf(named.Field) != leaf(path) {
		t.Errorf("%s.%s: got %v, want an error of that field", record, path, err)
	}
}

// Cut anywhere, a record gives a named error, and never a panic.
func TestTruncated(t *testing.T) {
	for _, r := range records() {
		b := mustEncode(t, r, r.full(t))
		for n := range b {
			_, err := r.decode(b[:n])
			if !errors.Is(err, ErrTruncated) {
				t.Fatalf("%s cut at %d of %d: %v", r.name, n, len(b), err)
			}
		}
	}
}

func TestTrailing(t *testing.T) {
	for _, r := range records() {
		if _, err := r.decode(append(mustEncode(t, r, r.full(t)), 0)); !errors.Is(err, ErrTrailing) {
			t.Errorf("%s: %v", r.name, err)
		}
	}
}

func TestWrongFingerprint(t *testing.T) {
	all := records()
	for i, r := range all {
		b := mustEncode(t, r, r.full(t))
		other := all[(i+1)%len(all)]
		_, err := other.decode(b)
		var mismatch *FingerprintError
		if !errors.Is(err, ErrFingerprint) || !errors.As(err, &mismatch) {
			t.Fatalf("%s read as %s: %v", r.name, other.name, err)
		}
		if mismatch.Of != r.name || mismatch.Record != other.name || len(mismatch.Known) == 0 {
			t.Errorf("%s read as %s: %+v", r.name, other.name, mismatch)
		}
		b[2]++
		if _, err = r.decode(b); !errors.As(err, &mismatch) || mismatch.Of != "" || mismatch.Got != binary.LittleEndian.Uint64(b[2:]) {
			t.Errorf("%s with an unknown schema: %v", r.name, err)
		}
		b[0] = 0
		if _, err = r.decode(b); !errors.Is(err, ErrNotAvro) {
			t.Errorf("%s without the marker: %v", r.name, err)
		}
	}
}

func TestTooLarge(t *testing.T) {
	for _, r := range records() {
		b := append(mustEncode(t, r, r.full(t)), make([]byte, MaxRecordLength)...)
		if _, err := r.decode(b); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v", r.name, err)
		}
	}
	s := records()[4].full(t).(*events.Snapshot)
	s.Chart.Payloads = map[string]json.RawMessage{"a": json.RawMessage(`"` + strings.Repeat("a", MaxRecordLength) + `"`)}
	if _, err := EncodeSnapshot(s); !errors.Is(err, ErrTooLarge) {
		t.Errorf("encode: %v", err)
	}
}

// Bytes that say what cannot be: each is refused by a named field.
func TestBodiesThatLie(t *testing.T) {
	header := func(record string, body ...byte) []byte {
		return append(binary.LittleEndian.AppendUint64([]byte{0xC3, 1}, loaded().current[record].fingerprint), body...)
	}
	long := func(n int64) []byte { return binary.AppendVarint(nil, n) }
	for name, c := range map[string]struct {
		body  []byte
		field string
	}{
		"number of 11 bytes": {bytes.Repeat([]byte{0x80}, 11), "partition"},
		"int over 32 bits":   {long(1 << 31), "partition"},
		"negative length":    {append([]byte{2, 2}, long(-1)...), "source"},
		"text not UTF-8":     {[]byte{2, 2, 2, 0xff}, "source"},
		"time of year 10000": {append([]byte{2, 2, 0}, long(time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro())...), "timestamp"},
		"zero time":          {append([]byte{2, 2, 0}, long(time.Time{}.UnixMicro())...), "timestamp"},
	} {
		_, err := DecodeCheckpoint(header("checkpoint", c.body...))
		if err == nil || !strings.Contains(err.Error(), c.field+": ") {
			t.Errorf("%s: %v, want an error of %s", name, err, c.field)
		}
	}
	_, err := DecodeCommand(header("command", 4))
	wantField(t, err, "command_id")
	huge := header("snapshot", append([]byte{0}, long(1<<40)...)...)
	if _, err := DecodeSnapshot(huge); err == nil {
		t.Error("a length of 1 TiB was believed")
	}
}

// A list may come in several blocks, with or without their size: other writers do that.
func TestBlocks(t *testing.T) {
	c := codec{}
	body := []byte{2, 2, 'a', 3, 8, 2, 'b', 2, 'c', 0, 9}
	c.startDecode(body)
	var got []string
	c.strs("list", &got)
	if c.err != nil || strings.Join(got, "") != "abc" || c.pos != len(body)-1 {
		t.Errorf("%q, %v, at %d", got, c.err, c.pos)
	}
	for _, lie := range [][]byte{{20, 2, 'a'}, append(binary.AppendVarint(nil, -1<<63), 0), {19}} {
		c.startDecode(lie)
		if c.strs("list", &got); c.err == nil {
			t.Errorf("%x was believed", lie)
		}
		c.err = nil
	}
}
