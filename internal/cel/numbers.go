package cel

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/decls"
	"cel.dev/cel-go/common/env"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/stdlib"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/leat-io/leat/pkg/events"
)

// arithmetic are the operators that take an integer and a double together here:
// a JSON number is of one kind, and who writes 12.0 as 12 means the same.
var arithmetic = []string{operators.Add, operators.Subtract, operators.Multiply, operators.Divide, operators.Modulo}

// comparisons are the operators that compare both sides here: CEL's ask the left
// one, and an integer knows no number but its own, and makes a double of itself.
var comparisons = []string{operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals}

// standardLibrary is that of CEL, with our arithmetic in place of its own.
func standardLibrary() []cel.EnvOption {
	subset := env.NewLibrarySubset()
	for _, name := range slices.Concat(arithmetic, comparisons) {
		subset.AddExcludedFunctions(env.NewFunction(name))
	}
	options := []cel.EnvOption{cel.StdLib(cel.StdLibSubset(subset))}
	for _, f := range stdlib.Functions() {
		if !slices.Contains(arithmetic, f.Name()) && !slices.Contains(comparisons, f.Name()) {
			continue
		}
		operator := f.Name()
		if slices.Contains(comparisons, operator) {
			options = append(options, comparison(f))
			continue
		}
		var with []cel.FunctionOpt
		for _, o := range f.OverloadDecls() {
			with = append(with, cel.Overload(o.ID(), o.ArgTypes(), o.ResultType()))
		}
		mixed := [][]*cel.Type{{cel.IntType, cel.DoubleType}, {cel.DoubleType, cel.IntType}}
		if operator == operators.Modulo {
			mixed = append(mixed, []*cel.Type{cel.DoubleType, cel.DoubleType})
		}
		for _, args := range mixed {
			with = append(with, cel.Overload(fmt.Sprintf("leat_%s_%s_%s", operator, args[0], args[1]), args, cel.DoubleType))
		}
		with = append(with, cel.SingletonBinaryBinding(func(a, b ref.Val) ref.Val { return apply(operator, a, b) }))
		options = append(options, cel.Function(operator, with...))
	}
	for name, to := range map[string]*cel.Type{
		"string": cel.StringType, "double": cel.DoubleType, "uint": cel.UintType, "int": cel.IntType,
	} {
		options = append(options, cel.Function(name, cel.Overload("leat_number_to_"+name, []*cel.Type{exactType}, to,
			cel.UnaryBinding(func(n ref.Val) ref.Val { return n.ConvertToType(to) }))))
	}
	return options
}

// comparison declares a comparison of CEL again, with our order of numbers.
func comparison(f *decls.FunctionDecl) cel.EnvOption {
	operator := f.Name()
	var with []cel.FunctionOpt
	for _, o := range f.OverloadDecls() {
		with = append(with, cel.Overload(o.ID(), o.ArgTypes(), o.ResultType()))
	}
	return cel.Function(operator, append(with, cel.SingletonBinaryBinding(func(a, b ref.Val) ref.Val {
		order := compare(a, b)
		n, ok := order.(types.Int)
		switch {
		case isNaN(a) || isNaN(b):
			return types.False
		case !ok:
			return order
		case operator == operators.Less:
			return types.Bool(n < 0)
		case operator == operators.LessEquals:
			return types.Bool(n <= 0)
		case operator == operators.Greater:
			return types.Bool(n > 0)
		default:
			return types.Bool(n >= 0)
		}
	}, traits.ComparerType))...)
}

// compare orders two values: numbers as they are, whatever kinds they are of.
func compare(a, b ref.Val) ref.Val {
	if n, ok := b.(exact); ok {
		if _, both := a.(exact); !both {
			order, ok := n.Compare(a).(types.Int)
			if !ok {
				return types.MaybeNoSuchOverloadErr(a)
			}
			return -order
		}
	}
	switch x := a.(type) {
	case types.Int:
		if y, ok := b.(types.Double); ok {
			return -compareDouble(y, x)
		}
	case types.Double:
		if y, ok := b.(types.Int); ok {
			return compareDouble(x, y)
		}
	}
	if c, ok := a.(traits.Comparer); ok {
		return c.Compare(b)
	}
	return types.MaybeNoSuchOverloadErr(a)
}

// compareDouble orders a double and an integer, of which no double may be the
// same number.
func compareDouble(f types.Double, n types.Int) types.Int {
	const whole = 1 << 53
	switch {
	case f < math.MinInt64:
		return types.IntNegOne
	case f >= math.MaxInt64: // which as a double is one more
		return types.IntOne
	case n > -whole && n < whole:
		return types.Int(cmp.Compare(f, types.Double(n)))
	}
	floor := math.Floor(float64(f))
	if order := cmp.Compare(types.Int(floor), n); order != 0 {
		return types.Int(order)
	}
	return types.Int(cmp.Compare(float64(f), floor))
}

func isNaN(v ref.Val) bool {
	f, ok := v.(types.Double)
	return ok && math.IsNaN(float64(f))
}

// equal is CEL's equality with our order of numbers.
func equal(a, b ref.Val) ref.Val {
	_, whole := a.(types.Int)
	_, double := b.(types.Double)
	_, first := a.(types.Double)
	_, second := b.(types.Int)
	_, other := b.(exact)
	if (whole && double || first && second || other) && !isNaN(a) && !isNaN(b) {
		return types.Bool(compare(a, b) == types.IntZero)
	}
	return types.Equal(a, b)
}

// apply computes a op b; an integer beside a double counts as a double.
func apply(operator string, a, b ref.Val) ref.Val {
	for _, v := range []ref.Val{a, b} {
		if n, ok := v.(exact); ok {
			return types.NewErr("%s does not fit a 64-bit integer or a double, which is what can be computed with: send it as text, or take double(…) of it", n.clipped())
		}
	}
	x, xWhole := a.(types.Int)
	y, yWhole := b.(types.Int)
	_, xDouble := a.(types.Double)
	_, yDouble := b.(types.Double)
	switch {
	case xWhole && yDouble:
		a = types.Double(x)
	case xDouble && yWhole:
		b = types.Double(y)
	}
	if f, ok := a.(types.Double); ok && operator == operators.Modulo {
		if g, ok := b.(types.Double); ok {
			return remainder(f, g)
		}
	}
	if from, ok := a.(types.Timestamp); ok && operator == operators.Subtract {
		if to, ok := b.(types.Timestamp); ok { // at most 292 years: what is further away is as far as can be said
			return types.Duration{Duration: from.Sub(to.Time)}
		}
	}
	return standard(operator, a, b)
}

func remainder(a, b types.Double) ref.Val {
	if b == 0 {
		return types.NewErr("modulus by zero")
	}
	return types.Double(math.Mod(float64(a), float64(b)))
}

// standard is CEL's own arithmetic.
func standard(operator string, a, b ref.Val) ref.Val {
	switch operator {
	case operators.Add:
		if v, ok := a.(traits.Adder); ok {
			return v.Add(b)
		}
	case operators.Subtract:
		if v, ok := a.(traits.Subtractor); ok {
			return v.Subtract(b)
		}
	case operators.Multiply:
		if v, ok := a.(traits.Multiplier); ok {
			return v.Multiply(b)
		}
	case operators.Divide:
		if v, ok := a.(traits.Divider); ok {
			return v.Divide(b)
		}
	case operators.Modulo:
		if v, ok := a.(traits.Modder); ok {
			return v.Modulo(b)
		}
	}
	return types.NewErr("no such overload: %s", operator)
}

// exact is a JSON number that does not fit 64 bits. It is handed on as it was
// written, and compared; nothing is computed with it but its negative.
type exact json.Number

var exactType = types.NewObjectType("leat.Number", traits.ComparerType, traits.NegatorType)

// maxDigits bounds the work of comparing such a number; no double is longer.
const maxDigits = 400

var (
	_ traits.Comparer = exact("")
	_ traits.Negater  = exact("")
)

// rat is the number, if it can be compared.
func (n exact) rat() (*big.Rat, bool) {
	text := strings.ToLower(string(n))
	if _, power, ok := strings.Cut(text, "e"); ok {
		if exponent, err := strconv.Atoi(power); err != nil || exponent > maxDigits || exponent < -maxDigits {
			return nil, false
		}
	}
	if len(n) > maxDigits {
		return nil, false
	}
	return new(big.Rat).SetString(text)
}

func (n exact) clipped() string {
	const most = 64
	if len(n) > most {
		return string(n[:most]) + "…"
	}
	return string(n)
}

func (n exact) beyond() ref.Val {
	return types.NewErr("%s is a number of more than %d digits, which is not looked at", n.clipped(), maxDigits)
}

// Compare implements [traits.Comparer].
func (n exact) Compare(other ref.Val) ref.Val {
	mine, ok := n.rat()
	if !ok {
		return n.beyond()
	}
	r := new(big.Rat)
	switch o := other.(type) {
	case types.Int:
		r.SetInt64(int64(o))
	case types.Uint:
		r.SetUint64(uint64(o))
	case types.Double:
		if math.IsInf(float64(o), 0) || math.IsNaN(float64(o)) {
			return types.MaybeNoSuchOverloadErr(other)
		}
		r.SetFloat64(float64(o))
	case exact:
		if r, ok = o.rat(); !ok {
			return o.beyond()
		}
	default:
		return types.MaybeNoSuchOverloadErr(other)
	}
	return types.Int(mine.Cmp(r))
}

// Negate implements [traits.Negater].
func (n exact) Negate() ref.Val {
	text, negative := strings.CutPrefix(string(n), "-")
	if !negative {
		text = "-" + text
	}
	if i, err := strconv.ParseInt(text, 10, 64); err == nil {
		return types.Int(i) // of 9223372036854775808
	}
	return exact(text)
}

// ConvertToNative implements [ref.Val].
func (n exact) ConvertToNative(reflect.Type) (any, error) { return json.Number(n), nil }

// ConvertToType implements [ref.Val].
func (n exact) ConvertToType(t ref.Type) ref.Val {
	switch t {
	case types.StringType:
		return types.String(n)
	case types.DoubleType:
		f, err := strconv.ParseFloat(string(n), 64)
		if err != nil {
			return types.NewErr("%s is larger than every double", n.clipped())
		}
		return types.Double(f)
	case types.UintType:
		if r, ok := n.rat(); ok && r.IsInt() && r.Num().IsUint64() {
			return types.Uint(r.Num().Uint64())
		}
		return types.NewErr("unsigned integer overflow")
	case types.IntType:
		if i, ok := events.ParseWhole(string(n)); ok {
			return types.Int(i)
		}
		return types.NewErr("integer overflow")
	case types.TypeType:
		return exactType
	}
	return types.NewErr("no such overload")
}

// Equal implements [ref.Val].
func (n exact) Equal(other ref.Val) ref.Val {
	return types.Bool(n == other || n.Compare(other) == types.IntZero)
}

// Type implements [ref.Val].
func (n exact) Type() ref.Type { return exactType }

// Value implements [ref.Val].
func (n exact) Value() any { return json.Number(n) }
