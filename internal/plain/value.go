package plain

import (
	"encoding/json"
	"math"

	"github.com/leat-io/leat/pkg/events"
)

// Value makes a value of the kind of an instance variable. An integer is a double
// where there is one that is the same number.
func Value(value any, kind events.Kind) (events.ContextValue, bool) {
	switch v := value.(type) {
	case string:
		return events.String(v), kind == events.KindString && len(v) <= events.MaxPayloadLength
	case int64, json.Number, float64:
		return toNumber(v, kind)
	case bool:
		return events.Boolean(v), kind == events.KindBoolean
	case []any:
		return toStrings(v, kind)
	case map[string]any:
		return toMap(v, kind)
	}
	return events.ContextValue{}, false
}

// toNumber takes a number of whatever notation for the integer or the double
// that it is.
func toNumber(value any, kind events.Kind) (events.ContextValue, bool) {
	switch v := value.(type) {
	case int64:
		if kind == events.KindDouble {
			return toDouble(v)
		}
		return events.Long(v), kind == events.KindLong
	case json.Number: // such as 9007199254740993.0, which is not a double
		n, whole := events.ParseWhole(string(v))
		return events.Long(n), whole && kind == events.KindLong
	case float64:
		if kind == events.KindLong && v == math.Trunc(v) && v >= -1<<63 && v < 1<<63 { // 100.0 and 1e2 are integers
			return events.Long(int64(v)), true
		}
		double := events.Double(v)
		return double, kind == events.KindDouble && double.Validate() == nil
	}
	return events.ContextValue{}, false
}

// toDouble refuses an integer that would become another number.
func toDouble(n int64) (events.ContextValue, bool) {
	f := float64(n)
	return events.Double(f), f < 1<<63 && int64(f) == n
}

func toStrings(list []any, kind events.Kind) (events.ContextValue, bool) {
	texts, size := make([]string, len(list)), 0
	for i, item := range list {
		text, ok := item.(string)
		if !ok {
			return events.ContextValue{}, false
		}
		texts[i] = text
		size += len(text) + 8
	}
	return events.Strings(texts), kind == events.KindStrings && size <= events.MaxPayloadLength
}

func toMap(dict map[string]any, kind events.Kind) (events.ContextValue, bool) {
	texts, size := make(map[string]string, len(dict)), 0
	for key, item := range dict {
		text, ok := item.(string)
		if !ok {
			return events.ContextValue{}, false
		}
		texts[key] = text
		size += len(key) + len(text) + 8
	}
	return events.Map(texts), kind == events.KindMap && size <= events.MaxPayloadLength
}
