package events_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid" //nolint:depguard // the independent implementation that ours is compared with
	"pgregory.net/rapid"

	"github.com/leat-io/leat/pkg/events"
)

func TestParseRef(t *testing.T) {
	id, err := events.ParseUUID(someID)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		want events.Ref
	}{
		{"id:" + someID, events.Ref{ID: id}},
		{"id:" + strings.ToUpper(someID), events.Ref{ID: id}},
		{someID, events.Ref{Key: someID}}, // many keys are UUIDs
		{"ID:" + someID, events.Ref{Key: "ID:" + someID}},
		{"id:7", events.Ref{Key: "id:7"}},
		{"id:00000000-0000-0000-0000-000000000000", events.Ref{Key: "id:00000000-0000-0000-0000-000000000000"}},
		{"..", events.Ref{Key: ".."}},
		{" a ", events.Ref{Key: " a "}},
		{"", events.Ref{}},
	} {
		if got := events.ParseRef(c.name); got != c.want {
			t.Errorf("%q is %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestNameOfIsReadAgain(t *testing.T) {
	own, _ := events.ParseUUID(someID)
	for key, plain := range map[string]bool{
		"order-42": true, someID: true, "a/b": true, "..": true, "": false, "two words": false, "$(rm)": false, "-f": false, "a'b": false, "é": false,
	} {
		id := events.InstanceIDForKey("order", key)
		if got := events.NameOf("order", key, id); (got == key) != plain && key != "" || events.ParseRef(got).InstanceID("order") != id {
			t.Errorf("%q is called %q", key, got)
		}
		if got := events.NameOf("order", key, own); got != "id:"+someID {
			t.Errorf("%q of another instance is called %q", key, got)
		}
	}
}

func TestCheckKey(t *testing.T) {
	for _, key := range []string{"a", ".", "..", "/", "\\", "%", "é\u202e", "id:7", someID, "a b", strings.Repeat("x", events.MaxKeyLength)} {
		if err := events.CheckKey("key", key); err != nil {
			t.Errorf("%q: %v", key, err)
		}
	}
	for key, says := range map[string]string{
		"": "is empty", "a\x00": "U+0000", "a\nb": "U+000A", "\x1b[31m": "U+001B", "\x7f": "U+007F", "\u009b5m": "U+009B", "a\xff": "UTF-8",
		"id:" + someID: "instance id", strings.Repeat("x", events.MaxKeyLength+1): "at most",
	} {
		if err := events.CheckKey("key", key); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want an error with %q", key, err, says)
		}
	}
}

func TestKeysOfJSONThatAreRefused(t *testing.T) {
	for text, says := range map[string]string{
		`""`: "is empty", `"\ud800"`: "half", `"\udc00\ud800"`: "half", `"a\ud83d\u0041"`: "half", `"\ud83d\\ude00"`: "half", "\"\xff\"": "UTF-8",
		`7`: "JSON string", `"\u0000"`: "U+0000", `"\u001b"`: "U+001B", `"id:` + someID + `"`: "instance id",
	} {
		_, err := events.DecodeCommandJSON([]byte(`{"command":"start","type":"order","key":` + text + `}`))
		if err == nil || !strings.Contains(err.Error(), says) || !strings.HasPrefix(err.Error(), "key: ") {
			t.Errorf("%s: %v, want an error of key with %q", text, err, says)
		}
	}
	for text, want := range map[string]string{`"\ud83d\ude00"`: "😀", `"\\ud800"`: `\ud800`, `"a\"\ud83d\ude00"`: `a"😀`, `"\ufffd"`: "\ufffd"} {
		c, err := events.DecodeCommandJSON([]byte(`{"command":"start","type":"order","key":` + text + `}`))
		if err != nil || c.Key != want {
			t.Errorf("%s: %q, %v", text, c.Key, err)
		}
	}
}

// TestOneKeyIsOneInstance: what is taken under a key is the instance of that key,
// and no other key leads there.
func TestOneKeyIsOneInstance(t *testing.T) {
	key := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{someID, "id:" + someID, "id:", ".", "..", "/", "\u202e"}))
	rapid.Check(t, func(t *rapid.T) {
		a, b := key.Draw(t, "a"), key.Draw(t, "b")
		if events.CheckKey("key", a) != nil {
			return
		}
		ref := events.ParseRef(a)
		if ref.Key != a || ref.String() != a {
			t.Fatalf("key %q is read as %+v", a, ref)
		}
		id := ref.InstanceID("order")
		if again := events.ParseRef(events.Ref{ID: id}.String()); again.ID != id || again.Key != "" {
			t.Fatalf("id %s is read as %+v", id, again)
		}
		if a != b && id == events.ParseRef(b).InstanceID("order") {
			t.Fatalf("%q and %q are one instance", a, b)
		}
		c := events.Command{Command: events.CommandStart, WorkflowType: "order", Key: a}
		c.Resolve(id)
		if c.InstanceID != id || c.CheckNamed() != nil {
			t.Fatalf("%q starts %s", a, c.InstanceID)
		}
		if c.InstanceID = events.InstanceIDForKey("order", a+"x"); c.CheckNamed() == nil {
			t.Fatalf("%q may have two instances", a)
		}
		text, err := events.EncodeCommandJSON(&events.Command{Command: events.CommandStart, WorkflowType: "order", Key: a})
		if err != nil {
			t.Fatal(err)
		}
		if back, err := events.DecodeCommandJSON(text); err != nil || back.Key != a {
			t.Fatalf("%q comes back as %q, %v", a, back.Key, err)
		}
	})
}

func TestShow(t *testing.T) {
	for text, want := range map[string]string{
		"plain é 😀": "plain é 😀", "\x1b[31m": `\x1b[31m`, "a\x00\x07\x7f": `a\x00\x07\x7f`, "\u009b5m": `\x9b5m`, "a\nb\tc": `a\x0ab\x09c`,
		"\u202ex\u2066": `\u202ex\u2066`, "\u200e\u200f\u061c\u2028": `\u200e\u200f\u061c\u2028`, "a\xffb\xc3": `a\xffb\xc3`, "\ufffd": "\ufffd",
	} {
		if got := events.Show(text); got != want || events.Show(got) != got {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
	}
	if got := events.ShowLines("a\n\tb\r\x1b"); got != "a\n\tb"+`\x0d\x1b` {
		t.Errorf("lines are shown as %q", got)
	}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"\u009b", "\u202e\x7f", "\x1b"})).Draw(t, "text")
		plain, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		var back string
		if shown := events.ShowJSON(plain); json.Unmarshal(shown, &back) != nil || back != text || events.Show(string(shown)) != string(shown) {
			t.Fatalf("%q is shown as %s", text, shown)
		}
	})
}

const someID = "6f1ed002-ab5c-4b5e-8a33-1d3f1c1f0a11"

func TestParseUUIDTakesOneFormInEitherCase(t *testing.T) {
	for _, text := range []string{someID, strings.ToUpper(someID)} {
		id, err := events.ParseUUID(text)
		if err != nil || id.String() != someID {
			t.Errorf("%s: %s, %v", text, id, err)
		}
	}
	for _, text := range []string{
		"", "x", "{" + someID + "}", "urn:uuid:" + someID, strings.ReplaceAll(someID, "-", ""), someID[:35], someID + "0",
		"6f1ed002-ab5c-4b5e-8a33-1d3f1c1f0a1g", "6f1ed0020ab5c-4b5e-8a33-1d3f1c1f0a11", "00000000-0000-0000-0000-000000000000",
		strings.Repeat("x", 10_000),
	} {
		id, err := events.ParseUUID(text)
		if err == nil || !id.IsNil() {
			t.Errorf("%.50q was read as %s", text, id)
		} else if len(err.Error()) > 300 {
			t.Errorf("the error repeats %d bytes of foreign text", len(err.Error()))
		}
	}
}

// Derived ids are in every log for ever: these may never change.
func TestDerivedIdsNeverChange(t *testing.T) {
	instance := events.InstanceIDForKey("order", "order-42")
	for got, want := range map[events.UUID]string{
		events.Namespace:                        "6c656174-2d69-6f50-8000-6e616d657370",
		instance:                                "3765fa2a-1e57-5fe6-9fe1-6042f4c9acbf",
		events.EventID("order", instance, 7):    "7a9d7267-ed29-56f2-b3e8-a307469c9597",
		events.DeriveUUID(events.Namespace, ""): uuid.NewSHA1(uuid.UUID(events.Namespace), nil).String(),
	} {
		if got.String() != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// google/uuid is the independent implementation of RFC 9562.
func TestUUIDAgreesWithTheRFC(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		space := events.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "space"))
		name := rapid.String().Draw(t, "name")
		got, want := events.DeriveUUID(space, name), uuid.NewSHA1(uuid.UUID(space), []byte(name))
		if got != events.UUID(want) || got.String() != want.String() {
			t.Fatalf("got %s, want %s", got, want)
		}
		back, err := events.ParseUUID(want.String())
		if err != nil || back != got {
			t.Fatalf("%s came back as %s, %v", want, back, err)
		}
	})
}

func TestUUIDInJSON(t *testing.T) {
	type record struct {
		ID events.UUID `json:"id,omitzero"`
	}
	b, err := json.Marshal(record{})
	if err != nil || string(b) != "{}" {
		t.Errorf("the nil UUID: %s, %v", b, err)
	}
	b, err = events.Nil.MarshalText()
	if err != nil || len(b) != 0 {
		t.Errorf("the nil UUID as text: %q, %v", b, err)
	}
	var r record
	for text, ok := range map[string]bool{`{"id":""}`: true, `{"id":"` + someID + `"}`: true, `{"id":"x"}`: false} {
		if err := json.Unmarshal([]byte(text), &r); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
	if r.ID.String() != someID && !r.ID.IsZero() {
		t.Errorf("got %s", r.ID)
	}
}

func ExampleInstanceIDForKey() {
	fmt.Println(events.InstanceIDForKey("order", "order-42"))
	fmt.Println(events.InstanceIDForKey("order", "order-42") == events.InstanceIDForKey("refund", "order-42"))
	// Output:
	// 3765fa2a-1e57-5fe6-9fe1-6042f4c9acbf
	// false
}

func TestTimeUUIDSortsByTheMoment(t *testing.T) {
	at := time.Date(2026, 1, 2, 15, 4, 5, 678_000_000, time.UTC)
	full := [16]byte(bytes.Repeat([]byte{0xff}, 16))
	id := events.TimeUUID(at, full)
	other, err := uuid.Parse(id.String())
	if err != nil || other.Version() != 7 || other.Variant() != uuid.RFC4122 {
		t.Fatalf("got %s, version %v, %v", id, other.Version(), err)
	}
	if sec, nsec := other.Time().UnixTime(); !time.Unix(sec, nsec).Equal(at) {
		t.Errorf("the moment reads as %v", time.Unix(sec, nsec))
	}
	if later := events.TimeUUID(at.Add(time.Millisecond), [16]byte{}); later.String() <= id.String() {
		t.Errorf("%s does not sort behind %s", later, id)
	}
}
