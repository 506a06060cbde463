package events_test

import (
	"encoding/json"
	"strings"
	"testing"

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
