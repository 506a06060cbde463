package cel

import (
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/interpreter"
)

// looking are the calls that count beforehand, and what they do.
var looking = map[string]func(left, right ref.Val) ref.Val{
	operators.Equals: equal,
	operators.NotEquals: func(left, right ref.Val) ref.Val {
		same, ok := equal(left, right).(types.Bool)
		return types.Bool(!ok || !bool(same))
	},
	overloads.Matches: func(left, right ref.Val) ref.Val {
		text, ok := left.(traits.Matcher)
		if !ok {
			return types.MaybeNoSuchOverloadErr(left)
		}
		if pattern, ok := right.(types.String); ok && PatternSize(string(pattern)) > MaxPattern {
			return types.NewErr("the pattern has more than %d steps", MaxPattern)
		}
		return text.Match(right)
	},
}

// beforehand is a call whose cost is counted before it is made, so that one call
// cannot take long.
type beforehand struct {
	interpreter.InterpretableCall
	do func(left, right ref.Val) ref.Val
}

// countFirst makes the calls that may read much count beforehand.
func countFirst(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
	call, ok := i.(interpreter.InterpretableCall)
	if !ok || len(call.Args()) != 2 {
		return i, nil
	}
	if do := looking[call.Function()]; do != nil {
		return beforehand{call, do}, nil
	}
	return i, nil
}

// Exec implements [interpreter.InterpretableV2].
func (b beforehand) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	args := b.Args()
	left := args[0].Exec(frame)
	if types.IsUnknownOrError(left) {
		return left
	}
	right := args[1].Exec(frame)
	if types.IsUnknownOrError(right) {
		return right
	}
	if costs := frame.CostTracker(); costs != nil {
		costs.EvalBinary(frame, b.ID(), b.InterpretableCall, left, right, types.True)
	}
	return b.do(left, right)
}

// Eval implements [interpreter.Interpretable].
func (b beforehand) Eval(vars interpreter.Activation) ref.Val {
	return interpreter.EvalActivation(vars, b.Exec)
}
