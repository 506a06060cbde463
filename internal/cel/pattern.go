package cel

import (
	"fmt"
	"regexp/syntax"

	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"

	"github.com/leat-io/leat/pkg/fsm"
)

// MaxPattern bounds the compiled size of one regular expression, in steps of
// about a hundred bytes each: x{999}y{999} has 2,000 of them.
const MaxPattern = 10_000

// PatternSize is about how many steps a regular expression has when it is
// compiled, found without compiling it. One that is not well formed has none:
// compiling says what is wrong with it.
func PatternSize(pattern string) int {
	if len(pattern) > MaxPattern {
		return MaxPattern + 1
	}
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 0
	}
	return steps(re)
}

func steps(re *syntax.Regexp) int {
	own := 1 + len(re.Rune)/2
	for _, sub := range re.Sub {
		own = min(own+steps(sub), MaxPattern+1)
	}
	if re.Op == syntax.OpRepeat {
		own *= max(re.Min, re.Max, 1)
	}
	return min(own, MaxPattern+1)
}

// checkPatterns refuses a literal pattern that is too large when it is compiled.
func checkPatterns(tree *celast.AST) error {
	var bad error
	celast.PreOrderVisit(tree.Expr(), celast.NewExprVisitor(func(e celast.Expr) {
		if bad != nil || e.Kind() != celast.CallKind || e.AsCall().FunctionName() != overloads.Matches {
			return
		}
		args := e.AsCall().Args()
		pattern := args[len(args)-1]
		if pattern.Kind() != celast.LiteralKind {
			return
		}
		if text, ok := pattern.AsLiteral().(types.String); ok && PatternSize(string(text)) > MaxPattern {
			location := tree.SourceInfo().GetStartLocation(pattern.ID())
			bad = &fsm.ExprError{
				Line: max(location.Line(), 1), Col: location.Column() + 1,
				Message: fmt.Sprintf("the pattern has more than %d steps: use smaller counts", MaxPattern),
			}
		}
	}))
	return bad
}
