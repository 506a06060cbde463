package cel

import (
	"math"

	celgo "cel.dev/cel-go/cel"
	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// estimator says what a call costs: what it reads, however deep that is. CEL
// counts only the elements of the outermost list, which is one in [[…]].
type estimator struct{}

// textUnit is how many bytes of text are one unit.
const textUnit = 10

// CallCost implements [interpreter.ActualCostEstimator]; nil leaves it to CEL.
func (estimator) CallCost(function, _ string, args []ref.Val, _ ref.Val) *uint64 {
	var cost uint64
	switch function {
	case operators.Equals, operators.NotEquals, operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals:
		cost = min(measure(args[0]), measure(args[1]))
	case operators.In, operators.OldIn:
		if _, ok := args[1].(traits.Mapper); ok {
			cost = measure(args[0])
			break
		}
		cost = measure(args[1])
	case operators.Add:
		cost = added(args)
	case overloads.Matches:
		cost = matching(args)
	case overloads.Contains:
		cost = measure(args[0]) + measure(args[1])
	case overloads.StartsWith, overloads.EndsWith:
		cost = measure(args[1])
	case overloads.Size, overloads.TypeConvertString, overloads.TypeConvertBytes, overloads.TypeConvertInt,
		overloads.TypeConvertDouble, overloads.TypeConvertTimestamp, overloads.TypeConvertDuration:
		if text, ok := args[0].(types.String); ok {
			cost = measure(text)
		}
	default:
		return nil
	}
	cost++
	return &cost
}

// added is what an addition costs. A comprehension adds to its list in place:
// then it is what is added that counts, as deep as it is, because later steps
// walk it. So no list can stand for more than an expression may cost.
func added(args []ref.Val) uint64 {
	if _, grows := args[0].(traits.MutableLister); grows {
		return measure(args[1])
	}
	return measure(args[0]) + measure(args[1])
}

// matching is what a pattern costs: it is compiled, and then each character may
// meet each step of it.
func matching(args []ref.Val) uint64 {
	pattern, ok := args[1].(types.String)
	if !ok {
		return 0
	}
	size := uint64(PatternSize(string(pattern))) //nolint:gosec // never negative
	return size + product(measure(args[0]), 1+size/textUnit)
}

func product(a, b uint64) uint64 {
	if a != 0 && b > math.MaxUint32/a {
		return MaxCost + 1
	}
	return a * b
}

// measure is how much there is in a value, in units; it stops counting beyond
// what an expression may cost.
func measure(value ref.Val) uint64 {
	left := MaxCost * textUnit
	count(value, &left)
	return uint64(MaxCost*textUnit-max(left, -textUnit)) / textUnit
}

// count takes what is in a value, in tenths of a unit.
func count(value ref.Val, left *int) {
	switch v := value.(type) {
	case types.String:
		*left -= len(v)
	case types.Bytes:
		*left -= len(v)
	case traits.Mapper:
		for it := v.Iterator(); *left >= 0 && it.HasNext() == types.True; {
			key := it.Next()
			*left -= textUnit
			count(key, left)
			count(v.Get(key), left)
		}
	case traits.Lister:
		for it := v.Iterator(); *left >= 0 && it.HasNext() == types.True; {
			*left -= textUnit
			count(it.Next(), left)
		}
	default:
		*left--
	}
}

// costly reports whether the work of an expression is not bounded by its own
// length: then its cost is counted, which takes time. What compares or looks
// into values that may be large is; comparing with a number or a literal is not.
func costly(checked *celgo.Ast) bool {
	found := false
	tree := checked.NativeRep()
	celast.PreOrderVisit(tree.Expr(), celast.NewExprVisitor(func(e celast.Expr) {
		switch e.Kind() {
		case celast.ComprehensionKind:
			found = true
		case celast.CallKind:
			found = found || costlyCall(tree, e.AsCall())
		default:
		}
	}))
	return found
}

func costlyCall(tree *celast.AST, call celast.CallExpr) bool {
	large := func(e celast.Expr) bool { return e.Kind() != celast.LiteralKind && mayBeLarge(tree.GetType(e.ID())) }
	args := call.Args()
	switch call.FunctionName() {
	case operators.Equals, operators.NotEquals, operators.Less, operators.LessEquals, operators.Greater,
		operators.GreaterEquals, operators.Add:
		if len(args) == 2 && call.FunctionName() != operators.Add {
			return large(args[0]) && large(args[1])
		}
		return len(args) == 2 && (large(args[0]) || large(args[1]))
	case operators.In, operators.OldIn:
		return len(args) == 2 && large(args[1])
	case overloads.Matches, overloads.Contains, overloads.StartsWith, overloads.EndsWith, overloads.Size,
		overloads.TypeConvertString, overloads.TypeConvertBytes, overloads.TypeConvertInt, overloads.TypeConvertDouble,
		overloads.TypeConvertTimestamp, overloads.TypeConvertDuration:
		return true
	default:
		return false
	}
}

// mayBeLarge reports whether a value of a type can be a text, a list, a map or
// anything.
func mayBeLarge(t *celgo.Type) bool {
	if t == nil {
		return true
	}
	switch t.Kind() {
	case types.BoolKind, types.IntKind, types.UintKind, types.DoubleKind, types.DurationKind, types.TimestampKind, types.NullTypeKind:
		return false
	default:
		return true
	}
}
