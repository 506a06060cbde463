package output

import (
	"strings"
	"time"

	"github.com/leat-io/leat/pkg/events"
)

// Because is an error behind what it is the reason for, "" for none.
func Because(e *events.Error) string {
	if e == nil {
		return ""
	}
	return ": " + e.Code + " " + e.Message
}

// Plain is a value without its kind.
func Plain(v events.ContextValue) string {
	if v.Kind() == events.KindString {
		return Clip(v.Str(), 80)
	}
	text, err := v.MarshalJSON()
	if err != nil {
		return "?"
	}
	return Clip(string(text), 80)
}

// When is a time for people: the day only when it is not today.
func When(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	t = t.Local()
	if now := time.Now(); t.Year() == now.Year() && t.YearDay() == now.YearDay() {
		return t.Format("15:04:05")
	}
	return t.Format("2006-01-02 15:04:05")
}

// Clip shortens for a table; the other formats have the whole.
func Clip(s string, most int) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

// Texts are the values of a closed set, as they are written.
func Texts[E ~string](set []E) []string {
	texts := make([]string, len(set))
	for i, v := range set {
		texts[i] = string(v)
	}
	return texts
}
