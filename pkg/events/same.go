package events

import (
	"bytes"
	"encoding/json"
)

// SameJSON compares two values. How they are written does not matter, but for
// numbers that a double would make alike: those differ.
func SameJSON(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	x, xErr := decodeSame(a)
	y, yErr := decodeSame(b)
	return xErr == nil && yErr == nil && sameValue(x, y)
}

func decodeSame(text []byte) (value any, err error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	err = decoder.Decode(&value)
	return value, err
}

func sameValue(x, y any) bool {
	switch x := x.(type) {
	case json.Number:
		y, ok := y.(json.Number)
		return ok && sameNumber(string(x), string(y))
	case []any:
		y, ok := y.([]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for i := range x {
			if !sameValue(x[i], y[i]) {
				return false
			}
		}
		return true
	case map[string]any:
		y, ok := y.(map[string]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for key := range x { // the order does not matter
			other, there := y[key]
			if !there || !sameValue(x[key], other) {
				return false
			}
		}
		return true
	default:
		return x == y
	}
}

// sameNumber compares what two numbers are worth: as they are written, and as
// doubles where they stand for them.
func sameNumber(a, b string) bool {
	digits, point := decimal(a)
	others, at := decimal(b)
	if digits == others && point == at {
		return digits == "" || (a[0] == '-') == (b[0] == '-')
	}
	f, same, err := ParseDouble(a)
	g, alike, otherErr := ParseDouble(b)
	return err == nil && otherErr == nil && same && alike && f == g
}
