// Package cel gives definitions their expressions: it implements
// [fsm.Expressions] with the Common Expression Language (cel.dev). It is the
// only package that imports CEL.
//
// An expression is type-checked when it is compiled: `data` has the names and
// kinds that the definition declares; `input`, `event.data`, `payload.<name>`
// and `results.<id>` are JSON and checked when they are evaluated. Evaluation is
// deterministic (maps are walked by key), sees nothing but [fsm.Vars], and its
// cost is limited.
package cel

import (
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

// Bounds of one expression. A cost unit is about one operation, or ten
// characters of text read.
const (
	MaxLength = 8 << 10 // code points of source
	MaxDepth  = 100
	MaxCost   = 1_000_000
)

// Names are what the expressions of one definition may refer to.
type Names struct {
	Data     map[string]events.Kind
	Payloads []string
	States   []string // what active() may ask for
}

// Environment compiles the expressions of one definition.
type Environment struct {
	env   *cel.Env
	names Names
}

var _ fsm.Expressions = (*Environment)(nil)

// New makes the environment of one definition.
func New(names Names) (*Environment, error) {
	registry, err := types.NewRegistry()
	if err != nil {
		return nil, fmt.Errorf("make expression environment: %w", err)
	}
	e := &Environment{names: names}
	adapter := adapter{registry}
	e.env, err = cel.NewCustomEnv(append(standardLibrary(),
		cel.CustomTypeProvider(newProvider(registry, names)),
		cel.CustomTypeAdapter(adapter),
		cel.CrossTypeNumericComparisons(true),
		cel.DefaultUTCTimeZone(true),
		cel.ParserExpressionSizeLimit(MaxLength),
		cel.ParserRecursionLimit(MaxDepth),
		cel.Variable("input", cel.DynType),
		cel.Variable("data", cel.ObjectType(dataType)),
		cel.Variable("payload", cel.ObjectType(payloadType)),
		cel.Variable("event", cel.ObjectType(eventType)),
		cel.Variable("results", cel.ObjectType(resultsType)),
		cel.Variable("instance", cel.ObjectType(instanceType)),
		cel.Variable("now", cel.TimestampType),
		cel.Variable(selfName, selfType),
		cel.Macros(cel.GlobalMacro("active", 1, e.expandActive)),
		cel.Function("@active", cel.Overload("leat_active", []*cel.Type{selfType, cel.StringType}, cel.BoolType,
			cel.BinaryBinding(isActive))),
	)...)
	if err != nil {
		return nil, fmt.Errorf("make expression environment: %w", err)
	}
	return e, nil
}

// Compile implements [fsm.Expressions].
func (e *Environment) Compile(source string, want fsm.Want) (fsm.Program, error) {
	if strings.TrimSpace(source) == "" {
		return nil, &fsm.ExprError{Line: 1, Col: 1, Message: "the expression is empty"}
	}
	checked, issues := e.env.Compile(source)
	if issues.Err() != nil {
		return nil, e.explain(issues)
	}
	if err := checkWant(checked.OutputType(), want); err != nil {
		return nil, err
	}
	if err := checkWhole(checked); err != nil {
		return nil, err
	}
	if err := checkPatterns(checked.NativeRep()); err != nil {
		return nil, err
	}
	options := []cel.ProgramOption{cel.CustomDecoratorV2(sortLiterals)}
	counted := costly(checked)
	if counted {
		options = append(options, cel.CostTracking(estimator{}), cel.CostLimit(MaxCost), cel.CustomDecoratorV2(countFirst))
	}
	p, err := e.env.Program(checked, options...)
	if err != nil {
		return nil, &fsm.ExprError{Line: 1, Col: 1, Message: err.Error()}
	}
	return program{p, counted}, nil
}

// explain makes an error of the first issue, in the words of a definition.
func (e *Environment) explain(issues *cel.Issues) error {
	first := issues.Errors()[0]
	out := &fsm.ExprError{Line: first.Location.Line(), Col: first.Location.Column() + 1, Message: first.Message}
	if out.Line < 1 {
		out.Line, out.Col = 1, 1
	}
	if at := strings.LastIndex(out.Message, "Syntax error: "); at >= 0 {
		out.Message = "syntax error: " + out.Message[at+len("Syntax error: "):]
	}
	if name, ok := between(out.Message, "undefined field '", "'"); ok {
		names := make([]string, 0, len(e.names.Data))
		for known := range e.names.Data { // the nearest name is the same in any order but for ties
			names = append(names, known)
		}
		names = append(names, e.names.Payloads...)
		out.Rule = "unknown-data"
		out.Message = fmt.Sprintf("unknown name %q%s", name, fsm.Suggest(name, sorted(names)))
	}
	if name, ok := between(out.Message, "undeclared reference to '", "'"); ok {
		out.Message = fmt.Sprintf("unknown name %q%s (text is quoted twice: \"'%s'\")", name,
			fsm.Suggest(name, []string{"input", "data", "payload", "event", "results", "instance", "now", "active"}), name)
	}
	return out
}

func between(text, before, after string) (string, bool) {
	_, rest, ok := strings.Cut(text, before)
	if !ok {
		return "", false
	}
	name, _, ok := strings.Cut(rest, after)
	return name, ok
}

// checkWant refuses an expression whose type is known and not what is wanted.
func checkWant(got *cel.Type, want fsm.Want) error {
	if kind := got.Kind(); kind == types.DynKind || kind == types.AnyKind || suits(got, want) {
		return nil
	}
	return &fsm.ExprError{Line: 1, Col: 1, Rule: "wrong-kind", Message: fmt.Sprintf("the expression is of type %s, want %s", got, wantNames[want])}
}

var wantNames = map[fsm.Want]string{
	fsm.WantBool: "a boolean", fsm.WantString: "a string", fsm.WantLong: "a long", fsm.WantDouble: "a double",
	fsm.WantStrings: "a list of strings", fsm.WantMap: "a map of strings", fsm.WantDuration: "a duration",
}

// suits reports whether every value of the type is what is wanted.
func suits(got *cel.Type, want fsm.Want) bool {
	kind := got.Kind()
	switch want {
	case fsm.WantAny:
		return kind != types.TypeKind
	case fsm.WantBool:
		return kind == types.BoolKind
	case fsm.WantString:
		return kind == types.StringKind
	case fsm.WantLong:
		return kind == types.IntKind
	case fsm.WantDouble:
		return kind == types.DoubleKind || kind == types.IntKind
	case fsm.WantStrings:
		return kind == types.ListKind && textual(got)
	case fsm.WantMap:
		return kind == types.MapKind && textual(got)
	case fsm.WantDuration:
		return kind == types.DurationKind || kind == types.StringKind
	default:
		return false
	}
}

// textual reports whether what a list or map holds may be text.
func textual(t *cel.Type) bool {
	return !slices.ContainsFunc(t.Parameters(), func(inner *cel.Type) bool {
		kind := inner.Kind()
		return kind != types.StringKind && kind != types.DynKind && kind != types.TypeParamKind
	})
}

// checkWhole refuses `data`, `event` and the like without a name behind them:
// they are places, not values.
func checkWhole(checked *cel.Ast) error {
	places := map[string]bool{"data": true, "event": true, "payload": true, "results": true, "instance": true}
	parents := map[int64]bool{} // idents that a selection is made from
	var bad error
	visit := celast.NewExprVisitor(func(e celast.Expr) {
		switch e.Kind() {
		case celast.SelectKind:
			if operand := e.AsSelect().Operand(); operand.Kind() == celast.IdentKind {
				parents[operand.ID()] = true
			}
		default:
		}
	})
	celast.PreOrderVisit(checked.NativeRep().Expr(), visit)
	celast.PreOrderVisit(checked.NativeRep().Expr(), celast.NewExprVisitor(func(e celast.Expr) {
		if bad == nil && e.Kind() == celast.IdentKind && places[e.AsIdent()] && !parents[e.ID()] {
			location := checked.NativeRep().SourceInfo().GetStartLocation(e.ID())
			bad = &fsm.ExprError{
				Line: max(location.Line(), 1), Col: location.Column() + 1,
				Message: fmt.Sprintf("%q is not a value by itself: name what you mean, such as %s.name", e.AsIdent(), e.AsIdent()),
			}
		}
	}))
	return bad
}

// expandActive makes active(x) the call @active(@self, x), and refuses a text
// that is no state.
func (e *Environment) expandActive(f cel.MacroExprFactory, _ celast.Expr, args []celast.Expr) (celast.Expr, *cel.Error) {
	if args[0].Kind() == celast.LiteralKind {
		if id, ok := args[0].AsLiteral().(types.String); ok && !contains(e.names.States, string(id)) {
			return nil, f.NewError(args[0].ID(), fmt.Sprintf("there is no state %q%s", string(id), fsm.Suggest(string(id), e.names.States)))
		}
	}
	return f.NewCall("@active", f.NewIdent(selfName), args[0]), nil
}

func isActive(self, id ref.Val) ref.Val {
	vars, ok := self.(selfVal)
	name, isText := id.(types.String)
	if !ok || !isText {
		return types.MaybeNoSuchOverloadErr(id)
	}
	return types.Bool(vars.Active(string(name)))
}
