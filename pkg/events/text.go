package events

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// Cut is the beginning of a text, at most so many bytes, that can be written:
// it ends between two characters, and bytes that are not UTF-8 are replaced by
// U+FFFD. Use it on every foreign text that goes into a record under a bound:
// a text that is cut inside a character makes a record that does not encode.
func Cut(text string, most int) string {
	if len(text) <= most && utf8.ValidString(text) {
		return text
	}
	return beginning(strings.ToValidUTF8(beginning(text, most), "\uFFFD"), most)
}

// CutHead is [Cut] for the end of a text, of which the beginning goes.
func CutHead(text string, most int) string {
	text = strings.ToValidUTF8(ending(text, most), "\uFFFD")
	return ending(text, most)
}

// beginning is at most so many bytes, without the character that the bound is in.
func beginning(text string, most int) string {
	if len(text) <= most {
		return text
	}
	at := max(most, 0)
	for back := at; back >= 0 && back > at-utf8.UTFMax; back-- {
		if utf8.RuneStart(text[back]) {
			return text[:back]
		}
	}
	return text[:at]
}

// ending is at most so many bytes, without the character that the bound is in.
func ending(text string, most int) string {
	at := len(text) - max(most, 0)
	if at <= 0 {
		return text
	}
	for next := at; next < at+utf8.UTFMax; next++ {
		if next == len(text) || utf8.RuneStart(text[next]) {
			return text[next:]
		}
	}
	return text[at:]
}

// clip shortens foreign text for an error message.
func clip(s string) string {
	const most = 64
	if short := Cut(s, most); len(s) > most {
		return short + "…"
	}
	return s
}

// EncodeJSON writes v as encoding/json does, but leaves <, > and & as they are:
// their escapes take six bytes each, and would change the size of what was sent.
func EncodeJSON(v any) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(text.Bytes(), []byte("\n")), nil
}
