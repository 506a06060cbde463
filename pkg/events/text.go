package events

import (
	"bytes"
	"encoding/json"
	"fmt"
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

// Show is a text for a terminal, a log line or a page: what a stranger wrote
// cannot move the cursor, change colours, or turn the order of reading around.
// Control characters and bytes that are not UTF-8 become \xNN, and characters
// that are not seen but change how others are read become \uXXXX.
func Show(text string) string { return show(text, "") }

// ShowLines is [Show] for a text of several lines, in which tabs stay too.
func ShowLines(text string) string { return show(text, "\n\t") }

func show(text, allowed string) string {
	from := strings.IndexFunc(text, hidden)
	if from < 0 {
		return text
	}
	var out strings.Builder
	out.WriteString(text[:from])
	for rest := text[from:]; rest != ""; {
		r, size := utf8.DecodeRuneInString(rest)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&out, `\x%02x`, rest[0])
		case !hidden(r) || r == utf8.RuneError || strings.ContainsRune(allowed, r):
			out.WriteString(rest[:size])
		case r < 0x100:
			fmt.Fprintf(&out, `\x%02x`, r)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
		rest = rest[size:]
	}
	return out.String()
}

// hidden reports what [Show] escapes. U+FFFD may stand for a byte that is no
// UTF-8, which is looked at closer.
func hidden(r rune) bool { return isControl(r) || Reorders(r) || r == utf8.RuneError }

// Reorders reports the characters that are not seen and that change the order
// in which others are read, or where a line ends.
func Reorders(r rune) bool {
	return r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0x200e || r == 0x200f || r == 0x061c ||
		r == 0x2028 || r == 0x2029
}

// ShowJSON is JSON in which every character that [Show] escapes is one of JSON's
// own escapes: the value is the same. Line breaks between values stay.
func ShowJSON(text []byte) []byte {
	var out []byte
	from := 0
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		if r >= 0x7f && (isControl(r) || Reorders(r)) {
			out = fmt.Appendf(append(out, text[from:i]...), `\u%04x`, r)
			from = i + size
		}
		i += size
	}
	if from == 0 {
		return text
	}
	return append(out, text[from:]...)
}
