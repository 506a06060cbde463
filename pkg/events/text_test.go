package events_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/leat-io/leat/pkg/events"
)

func TestCutEndsBetweenCharacters(t *testing.T) {
	for _, c := range []struct {
		text       string
		most       int
		head, tail string
	}{
		{"abc", 3, "abc", "abc"},
		{"abc", 2, "ab", "bc"},
		{"aé", 2, "a", "é"},
		{"éa", 2, "é", "a"},
		{"a😀", 4, "a", "😀"},
		{"😀a", 4, "😀", "a"},
		{"a\xffb", 9, "a\uFFFDb", "a\uFFFDb"},
		{"a\xff", 3, "a", "\uFFFD"},
		{"", 3, "", ""},
		{"abc", 0, "", ""},
	} {
		if got := events.Cut(c.text, c.most); got != c.head {
			t.Errorf("Cut(%q, %d) is %q, want %q", c.text, c.most, got, c.head)
		}
		if got := events.CutHead(c.text, c.most); got != c.tail {
			t.Errorf("CutHead(%q, %d) is %q, want %q", c.text, c.most, got, c.tail)
		}
	}
}

// What is cut is always text, never longer than the bound, and the same text
// when nothing was wrong with it.
func TestCutIsText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(t, "text")
		most := rapid.IntRange(0, 40).Draw(t, "most")
		head, tail := events.Cut(text, most), events.CutHead(text, most)
		for _, got := range []string{head, tail} {
			if len(got) > most || !utf8.ValidString(got) {
				t.Fatalf("%q in %d bytes is %q", text, most, got)
			}
		}
		if utf8.ValidString(text) {
			if !strings.HasPrefix(text, head) || !strings.HasSuffix(text, tail) {
				t.Fatalf("%q in %d bytes is %q and %q", text, most, head, tail)
			}
			if len(text) <= most && (head != text || tail != text) {
				t.Fatalf("%q fits %d bytes and is %q and %q", text, most, head, tail)
			}
			if len(text) > most && (most-len(head) > 3 || most-len(tail) > 3) {
				t.Fatalf("%q in %d bytes loses more than a character: %q and %q", text, most, head, tail)
			}
		}
	})
}

func TestEncodeJSONKeepsBytes(t *testing.T) {
	for _, text := range []string{`{"a":"<p>&</p>"}`, `["<b>"]`, `12345678901234567890`, `1.50`} {
		got, err := events.EncodeJSON(map[string]json.RawMessage{"v": json.RawMessage(text)})
		if err != nil || string(got) != `{"v":`+text+`}` {
			t.Errorf("%s is written as %s, %v", text, got, err)
		}
	}
}

// Values and commands are written as they were sent: < is one byte, not six.
func TestNoHTMLEscapes(t *testing.T) {
	const html = "<p>&</p>"
	for _, v := range []events.ContextValue{
		events.String(html), events.Strings([]string{html}), events.Map(map[string]string{html: html}),
	} {
		if text, err := events.EncodeJSON(v); err != nil || !strings.Contains(string(text), html) {
			t.Errorf("%s, %v", text, err)
		}
		if text, err := v.MarshalJSON(); err != nil || !strings.Contains(string(text), html) {
			t.Errorf("%s, %v", text, err)
		}
	}
	c := events.Command{Command: events.CommandSignal, WorkflowType: "a", Key: html, Event: "x", Payload: json.RawMessage(`"` + html + `"`)}
	if text, err := events.EncodeCommandJSON(&c); err != nil || strings.Count(string(text), html) != 2 {
		t.Errorf("%s, %v", text, err)
	}
}
