// Package plain holds the values that expressions see: nil, bool, int64, float64,
// string, []any and map[string]any, how JSON becomes one and one becomes JSON, and
// which instance variable can hold it. No number becomes another one on the way.
package plain

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/leat-io/leat/pkg/events"
)

// Decode reads one JSON value as expressions see it: nil, bool, string,
// []any, map[string]any, and int64 for a number without fraction and exponent
// that fits, and float64 for every number with them. A number that neither of the two
// is, such as 12345678901234567890 or 1e400, is the json.Number that was sent. No text is null.
func Decode(text json.RawMessage) (any, error) {
	if len(text) == 0 {
		return nil, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, fmt.Errorf("read JSON: %w", err)
	}
	return plain(value)
}

// plain replaces every json.Number below value.
func plain(value any) (any, error) {
	var err error
	switch v := value.(type) {
	case json.Number:
		return number(string(v))
	case []any:
		for i := range v {
			if v[i], err = plain(v[i]); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for key := range v { // the order does not matter: each entry is replaced by itself
			if v[key], err = plain(v[key]); err != nil {
				return nil, err
			}
		}
	}
	return value, nil
}

func number(text string) (any, error) {
	if !strings.ContainsAny(text, ".eE") {
		if i, err := strconv.ParseInt(text, 10, 64); err == nil {
			return i, nil
		}
	}
	if strings.ContainsAny(text, ".eE") {
		if f, same, err := events.ParseDouble(text); err == nil && same {
			return f, nil
		}
	}
	return json.Number(text), nil // never silently another number
}

// ErrTooLong is a value whose JSON no payload can hold. It is found while the
// JSON is written: the same text in a list 20,000 times is small until then.
var ErrTooLong = fmt.Errorf("the value would be more than %d bytes of JSON", events.MaxPayloadLength)

// Append writes a value as JSON, keys sorted. A float64 always carries a
// fraction or an exponent, so that it is read back as one. It stops when all
// that is written is more than a payload can be.
func Append(b []byte, value any) ([]byte, error) {
	switch v := value.(type) {
	case nil:
		return append(b, "null"...), nil
	case bool:
		return strconv.AppendBool(b, v), nil
	case int64:
		return strconv.AppendInt(b, v, 10), nil
	case uint64:
		return strconv.AppendUint(b, v, 10), nil
	case float64:
		return appendFloat(b, v)
	case json.Number:
		return append(b, v...), nil
	case string:
		if len(b)+len(v) > events.MaxPayloadLength {
			return b, ErrTooLong
		}
		return AppendText(b, v), nil
	case time.Time:
		return AppendText(b, v.UTC().Format(time.RFC3339Nano)), nil
	case time.Duration:
		return AppendText(b, v.String()), nil
	case []any:
		return appendList(b, v)
	case map[string]any:
		return appendObject(b, v)
	default:
		return b, fmt.Errorf("a %T cannot be written as JSON", value)
	}
}

func appendFloat(b []byte, f float64) ([]byte, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return b, fmt.Errorf("%v cannot be written as JSON", f)
	}
	start := len(b)
	b = strconv.AppendFloat(b, f, 'g', -1, 64)
	if !bytes.ContainsAny(b[start:], ".e") {
		b = append(b, ".0"...)
	}
	return b, nil
}

func appendList(b []byte, list []any) ([]byte, error) {
	var err error
	b = append(b, '[')
	for i, item := range list {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = Append(b, item); err != nil {
			return b, err
		}
		if len(b) > events.MaxPayloadLength {
			return b, ErrTooLong
		}
	}
	return append(b, ']'), nil
}

func appendObject(b []byte, object map[string]any) ([]byte, error) {
	var err error
	b = append(b, '{')
	for i, key := range slices.Sorted(maps.Keys(object)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(AppendText(b, key), ':')
		if b, err = Append(b, object[key]); err != nil {
			return b, err
		}
		if len(b) > events.MaxPayloadLength {
			return b, ErrTooLong
		}
	}
	return append(b, '}'), nil
}

// AppendText writes a JSON string without the HTML escapes of encoding/json.
func AppendText(b []byte, text string) []byte {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(text) // a string cannot fail
	return append(b, bytes.TrimSuffix(buffer.Bytes(), []byte("\n"))...)
}
