package definition

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

// reader turns nodes into a definition and notes what is wrong with them. Each
// of its methods takes a node that may be nil and then gives the zero value.
type reader struct {
	findings []fsm.Finding

	patternCount, patternSteps int // of all JSON Schemas so far
}

func (r *reader) errorf(pos fsm.Pos, rule, format string, args ...any) {
	r.add(fsm.SeverityError, pos, rule, format, args...)
}

func (r *reader) warnf(pos fsm.Pos, rule, format string, args ...any) {
	r.add(fsm.SeverityWarning, pos, rule, format, args...)
}

func (r *reader) add(severity fsm.Severity, pos fsm.Pos, rule, format string, args ...any) {
	r.findings = append(r.findings, fsm.Finding{Pos: pos, Severity: severity, Rule: rule, Text: fmt.Sprintf(format, args...)})
}

// is reports whether n is there and of that kind, and complains of another kind.
func (r *reader) is(n *node, k kind, what string) bool {
	if n == nil {
		return false
	}
	if n.kind != k {
		r.errorf(n.pos, "bad-type", "%s is %s, not %s", what, k, n.kind)
		return false
	}
	return true
}

// fields checks that n is a map with known keys only.
func (r *reader) fields(n *node, what string, known ...string) bool {
	if !r.is(n, kindMap, what) {
		return false
	}
	for _, key := range n.keys {
		if !slices.Contains(known, key.text) {
			r.errorf(key.pos, "unknown-field", "%s has no field %q%s", what, key.text, fsm.Suggest(key.text, known))
		}
	}
	return true
}

func (r *reader) text(n *node, what string) string {
	if n == nil {
		return ""
	}
	if n.kind != kindText {
		r.errorf(n.pos, "bad-type", "%s is text, not %s: put it in quotes", what, n.kind)
		return ""
	}
	return n.text
}

func (r *reader) boolean(n *node, what string) bool {
	if !r.is(n, kindBool, what) {
		return false
	}
	return n.value.(bool)
}

// integer is a whole number from low to high.
func (r *reader) integer(n *node, what string, low, high int64) int64 {
	if !r.is(n, kindInt, what) {
		return low
	}
	i := n.value.(int64)
	if i < low || i > high {
		r.errorf(n.pos, "bad-value", "%s is from %d to %d, not %d", what, low, high, i)
		return low
	}
	return i
}

func (r *reader) duration(n *node, what string) time.Duration {
	if n == nil {
		return 0
	}
	if n.kind != kindText {
		r.errorf(n.pos, "bad-type", "%s is a duration such as 30s, not %s", what, n.kind)
		return 0
	}
	d, err := fsm.ParseDuration(n.text)
	if err != nil {
		r.errorf(n.pos, "bad-value", "%s: %v", what, err)
	}
	return d
}

// texts is a list of texts, or one.
func (r *reader) texts(n *node, what string) []string {
	var out []string
	for _, item := range list(n) {
		out = append(out, r.text(item, what))
	}
	return out
}

// list is the items of a list, or the one value that was given instead.
func list(n *node) []*node {
	switch {
	case n == nil:
		return nil
	case n.kind == kindList:
		return n.items
	default:
		return []*node{n}
	}
}

// choice is one of a closed set; the first is the default.
func choice[E ~string](r *reader, n *node, what string, set ...E) E {
	if n == nil {
		return set[0]
	}
	value := E(r.text(n, what))
	if n.kind == kindText && !slices.Contains(set, value) {
		names := make([]string, len(set))
		for i, v := range set {
			names[i] = string(v)
		}
		r.errorf(n.pos, "bad-value", "%s is none of %s: %q%s", what, strings.Join(names, ", "), n.text, fsm.Suggest(n.text, names))
		return set[0]
	}
	return value
}

var idPattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)

// id checks a name of a state, an invocation or a variable.
func (r *reader) id(n *node, what string) string {
	text := r.text(n, what)
	if n != nil && n.kind == kindText && (!idPattern.MatchString(text) || len(text) > 200) {
		r.errorf(n.pos, "bad-id", "%s %q does not match ^[A-Za-z_][A-Za-z0-9_.-]*$", what, clip(text))
	}
	return text
}

func clip(text string) string {
	if len(text) > 80 {
		return events.Cut(text, 80) + "…"
	}
	return text
}

// place is where the text of a scalar begins.
func (n *node) place() fsm.Pos {
	if n.quoted {
		return fsm.Pos{Line: n.pos.Line, Col: n.pos.Col + 1}
	}
	return n.pos
}

// expr is an expression; a scalar that is not text stands for itself.
func (r *reader) expr(n *node, what string) *fsm.Expr {
	if n == nil {
		return nil
	}
	if n.kind == kindList || n.kind == kindMap || n.kind == kindNull {
		r.errorf(n.pos, "bad-type", "%s is an expression, not %s", what, n.kind)
		return nil
	}
	return &fsm.Expr{Pos: n.place(), Source: n.text}
}

// template is a JSON value whose texts are expressions.
func (r *reader) template(n *node) *fsm.Template {
	return r.templateOf(n, func(*node) bool { return true })
}

// mixed is a JSON value whose texts are expressions where they look like one:
// they mention a variable, or begin with a quote.
func (r *reader) mixed(n *node) *fsm.Template { return r.templateOf(n, looksLikeExpression) }

var expressionPattern = regexp.MustCompile(`^\s*['"]|(^|[^A-Za-z0-9_.'"/:-])(input|data|event|payload|results|instance)\.[A-Za-z_]|\bstring\(`)

func looksLikeExpression(n *node) bool { return expressionPattern.MatchString(n.text) }

func (r *reader) templateOf(n *node, isExpr func(*node) bool) *fsm.Template {
	if n == nil {
		return nil
	}
	t := &fsm.Template{Pos: n.pos}
	switch n.kind {
	case kindText:
		if isExpr(n) {
			t.Pos = n.place()
			t.Expr = &fsm.Expr{Pos: n.place(), Source: n.text}
		} else {
			t.Literal = n.toJSON(nil)
		}
	case kindList:
		t.Items = []*fsm.Template{}
		for _, item := range n.items {
			t.Items = append(t.Items, r.templateOf(item, isExpr))
		}
	case kindMap:
		t.Fields = []fsm.Field{}
		for i, item := range n.items {
			t.Fields = append(t.Fields, fsm.Field{Pos: n.keys[i].pos, Name: n.keys[i].text, Value: r.templateOf(item, isExpr)})
		}
	default:
		t.Literal = n.toJSON(nil)
	}
	return t
}

// fixed is text that stands for itself, as a template.
func (r *reader) fixed(n *node, what string) *fsm.Template {
	if n == nil {
		return nil
	}
	return &fsm.Template{Pos: n.pos, Literal: appendText(nil, r.text(n, what))}
}

// object is a template of the fields that are there.
func object(pos fsm.Pos, fields ...fsm.Field) *fsm.Template {
	t := &fsm.Template{Pos: pos, Fields: []fsm.Field{}}
	for _, f := range fields {
		if f.Value != nil {
			t.Fields = append(t.Fields, f)
		}
	}
	return t
}

// delay is a duration, or an expression that gives one.
func (r *reader) delay(n *node, what string) fsm.Delay {
	if n.kind != kindText {
		r.errorf(n.pos, "bad-type", "%s is a duration such as 30s, not %s", what, n.kind)
		return fsm.Delay{}
	}
	if n.text != "" && n.text[0] >= '0' && n.text[0] <= '9' {
		return fsm.Delay{Fixed: r.duration(n, what)}
	}
	return fsm.Delay{Expr: r.expr(n, what)}
}

// names are ids that the definition mentions: one, or a list.
func (r *reader) names(n *node, what string) []fsm.Name {
	var out []fsm.Name
	for _, item := range list(n) {
		if text := r.text(item, what); item.kind == kindText {
			out = append(out, fsm.Name{Pos: item.pos, ID: text})
		}
	}
	return out
}
