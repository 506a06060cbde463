package events

import (
	"bytes"
	"cmp"
	"encoding/json"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// Comparison says how a [Condition] compares.
type Comparison string

// The comparisons.
const (
	Equals         Comparison = "="
	Less           Comparison = "<"
	LessOrEqual    Comparison = "<="
	Greater        Comparison = ">"
	GreaterOrEqual Comparison = ">="
	BeginsWith     Comparison = "^="
)

// Condition is a filter on a name that a definition declares under search, such
// as "amount > 100", "sku = 'A 7'" or "city ^= Nov". A list of strings matches
// when one of its items does.
type Condition struct {
	Name  string
	Op    Comparison
	Value string // as text; its meaning follows from the kind of the data
}

// ParseCondition reads "name op value". The value may be quoted, 'so' or "so".
// The error is a [FieldError].
func ParseCondition(text string) (Condition, error) {
	at := strings.IndexAny(text, "=<>^")
	if at < 0 {
		return Condition{}, fieldErrorf("where", "%q is not a condition: want NAME, then one of = < <= > >= ^=, then a value", clip(text))
	}
	c := Condition{Name: strings.TrimSpace(text[:at]), Op: Comparison(text[at : at+1])}
	rest := text[at+1:]
	if strings.HasPrefix(rest, "=") && c.Op != Equals {
		c.Op, rest = c.Op+"=", rest[1:]
	}
	c.Value = strings.TrimSpace(rest)
	if n := len(c.Value); n >= 2 && (c.Value[0] == '\'' || c.Value[0] == '"') && c.Value[n-1] == c.Value[0] {
		c.Value = c.Value[1 : n-1]
	}
	switch {
	case c.Op == "^":
		return c, fieldErrorf("where", "%q compares with ^, which is written ^=", clip(text))
	case c.Name == "" || strings.ContainsAny(c.Name, " \t'\"!"):
		return c, fieldErrorf("where", "%q does not begin with a name of the instance's data", clip(text))
	}
	return c, nil
}

// Check refuses a value that data of kind k cannot have.
func (c Condition) Check(k Kind) error {
	switch k {
	case KindString, KindStrings:
		return nil
	case KindLong, KindDouble:
		if f, err := strconv.ParseFloat(c.Value, 64); err != nil || math.IsNaN(f) {
			return fieldErrorf("where", "%s is a %s and %q is not a number", c.Name, k, clip(c.Value))
		}
	case KindBoolean:
		if c.Value != "true" && c.Value != "false" || c.Op != Equals {
			return fieldErrorf("where", "%s is a boolean: want %s = true or %s = false", c.Name, c.Name, c.Name)
		}
	default:
		return fieldErrorf("where", "%s is a %s, which cannot be searched", c.Name, k)
	}
	if c.Op == BeginsWith {
		return fieldErrorf("where", "%s is a %s: ^= is for text", c.Name, k)
	}
	return nil
}

// Holds reports whether v satisfies the condition.
func (c Condition) Holds(v ContextValue) bool {
	switch v.Kind() {
	case KindString:
		return c.text(v.Str())
	case KindStrings:
		return slices.ContainsFunc(v.list, c.text)
	case KindLong:
		return c.long(v.Int())
	case KindDouble:
		return c.number(v.Float())
	case KindBoolean:
		return c.Op == Equals && c.Value == strconv.FormatBool(v.Bool())
	default:
		return false
	}
}

func (c Condition) text(have string) bool {
	if c.Op == BeginsWith {
		return strings.HasPrefix(have, c.Value)
	}
	return c.Op.holds(strings.Compare(have, c.Value))
}

// long compares an integer exactly: as a double, the largest integers are all
// the same.
func (c Condition) long(have int64) bool {
	if n, err := strconv.ParseInt(c.Value, 10, 64); err == nil {
		return c.Op.holds(cmp.Compare(have, n))
	}
	number, err := strconv.ParseFloat(c.Value, 64)
	switch {
	case err != nil:
		return false
	case number >= 1<<63:
		return c.Op.holds(-1)
	case number < -1<<63:
		return c.Op.holds(1)
	case math.Abs(number) < 1e-300: // the exponent may be too large to be written out
		return c.Op.holds(cmp.Compare(float64(have), number))
	}
	want, ok := new(big.Rat).SetString(c.Value)
	return ok && c.Op.holds(new(big.Rat).SetInt64(have).Cmp(want))
}

func (c Condition) number(have float64) bool {
	want, err := strconv.ParseFloat(c.Value, 64)
	return err == nil && c.Op.holds(cmp.Compare(have, want))
}

func (o Comparison) holds(order int) bool {
	switch o {
	case Equals:
		return order == 0
	case Less:
		return order < 0
	case LessOrEqual:
		return order <= 0
	case Greater:
		return order > 0
	case GreaterOrEqual:
		return order >= 0
	default:
		return false
	}
}

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

// ParseDouble reads a JSON number as a double. The double of a fraction is the
// nearest one, as everywhere; same is false when the number is whole, or too
// large for a fraction, and a double would be another number.
func ParseDouble(text string) (f float64, same bool, err error) {
	const whole = 1 << 53 // from here on every double is a whole number
	if f, err = strconv.ParseFloat(text, 64); err != nil || f > -whole && f < whole {
		return f, err == nil, err
	}
	digits, point := decimal(text)
	kept, at := decimal(strconv.FormatFloat(f, 'e', -1, 64))
	return f, digits == kept && point == at, nil
}

// ParseWhole reads a JSON number whose value is a whole one of 64 bits, also when
// it is written 100.0 or 1e2.
func ParseWhole(text string) (int64, bool) {
	digits, point := decimal(text)
	const most = 19 // digits of a 64-bit integer
	switch {
	case digits == "":
		return 0, true
	case point < len(digits) || point > most:
		return 0, false
	}
	whole := digits + strings.Repeat("0", point-len(digits))
	if strings.HasPrefix(text, "-") {
		whole = "-" + whole
	}
	n, err := strconv.ParseInt(whole, 10, 64)
	return n, err == nil
}

// decimal is a JSON number as digits, without zeros at both ends, of which so
// many stand before the point: it may be outside of them.
func decimal(text string) (digits string, point int) {
	const far = 1 << 30 // an exponent that is no int is out of every reach
	mantissa, exponent := strings.TrimPrefix(text, "-"), 0
	if at := strings.IndexAny(mantissa, "eE"); at >= 0 {
		n, err := strconv.Atoi(mantissa[at+1:])
		if err != nil {
			n = far
		}
		mantissa, exponent = mantissa[:at], n
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits = whole + fraction
	short := strings.TrimLeft(digits, "0")
	point = len(whole) - (len(digits) - len(short)) + exponent
	if short = strings.TrimRight(short, "0"); short == "" {
		return "", 0
	}
	return short, point
}
