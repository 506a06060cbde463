package cel

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"slices"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/env"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/stdlib"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// arithmetic are the operators that take an integer and a double together here:
// a JSON number is of one kind, and who writes 12.0 as 12 means the same.
var arithmetic = []string{operators.Add, operators.Subtract, operators.Multiply, operators.Divide, operators.Modulo}

// standardLibrary is that of CEL, with our arithmetic in place of its own.
func standardLibrary() []cel.EnvOption {
	subset := env.NewLibrarySubset()
	for _, name := range arithmetic {
		subset.AddExcludedFunctions(env.NewFunction(name))
	}
	options := []cel.EnvOption{cel.StdLib(cel.StdLibSubset(subset))}
	for _, f := range stdlib.Functions() {
		if !slices.Contains(arithmetic, f.Name()) {
			continue
		}
		operator := f.Name()
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
	for name, to := range map[string]*cel.Type{"string": cel.StringType, "double": cel.DoubleType, "uint": cel.UintType} {
		options = append(options, cel.Function(name, cel.Overload("leat_number_to_"+name, []*cel.Type{exactType}, to,
			cel.UnaryBinding(func(n ref.Val) ref.Val { return n.ConvertToType(to) }))))
	}
	return options
}

// apply computes a op b; an integer beside a double counts as a double.
func apply(operator string, a, b ref.Val) ref.Val {
	for _, v := range []ref.Val{a, b} {
		if n, ok := v.(exact); ok {
			return types.NewErr("%s does not fit a 64-bit integer or a double, which is what can be computed with: send it as text, or take double(…) of it", n)
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

// exact is a JSON integer that does not fit 64 bits. It is
// handed on as it was written, and compared; nothing is computed with it.
type exact json.Number

var exactType = types.NewObjectType("leat.Number", traits.ComparerType)

// maxDigits bounds the work of looking at such a number; no double is longer.
const maxDigits = 400

var _ traits.Comparer = exact("")

func (n exact) rat() *big.Rat {
	if r, ok := new(big.Rat).SetString(string(n)); ok {
		return r
	}
	return new(big.Rat)
}

// Compare implements [traits.Comparer].
func (n exact) Compare(other ref.Val) ref.Val {
	if len(n) > maxDigits {
		return types.NewErr("an integer of %d digits cannot be compared, at most %d", len(n), maxDigits)
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
		if len(o) > maxDigits {
			return o.Compare(n)
		}
		r = o.rat()
	default:
		return types.MaybeNoSuchOverloadErr(other)
	}
	return types.Int(n.rat().Cmp(r))
}

// ConvertToNative implements [ref.Val].
func (n exact) ConvertToNative(reflect.Type) (any, error) { return json.Number(n), nil }

// ConvertToType implements [ref.Val].
func (n exact) ConvertToType(t ref.Type) ref.Val {
	switch t {
	case types.StringType:
		return types.String(n)
	case types.DoubleType:
		if len(n) > maxDigits {
			return types.NewErr("range error converting %d digits to double", len(n))
		}
		f, _ := n.rat().Float64()
		return types.Double(f)
	case types.UintType:
		if r := n.rat(); len(n) <= maxDigits && r.IsInt() && r.Num().IsUint64() {
			return types.Uint(r.Num().Uint64())
		}
		return types.NewErr("unsigned integer overflow")
	case types.IntType:
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
