package events

import (
	"cmp"
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
	Value string // as text; the kind of the data says what it stands for
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
