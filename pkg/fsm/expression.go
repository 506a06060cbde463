package fsm

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/leat-io/leat/internal/plain"
	"github.com/leat-io/leat/pkg/events"
)

// Expressions compiles the expressions of one definition. pkg/definition provides
// CEL; a test may provide its own.
type Expressions interface {
	// Compile checks source and what type it yields, and returns a program that
	// is safe for concurrent use. The error may be an *[ExprError].
	Compile(source string, want Want) (Program, error)
}

// Program is a compiled expression.
type Program interface {
	// Eval yields nil, bool, int64, float64, json.Number, string, time.Time, time.Duration,
	// []any or map[string]any of these. It must not keep vars.
	Eval(vars Vars) (any, error)
}

// Want is what the place of an expression asks for.
type Want uint8

// What a place may ask for. WantAny is everything that JSON can say.
const (
	WantAny Want = iota
	WantBool
	WantString
	WantLong
	WantDouble
	WantStrings
	WantMap
	WantDuration // a duration, or text that reads as one
)

// ExprError is what is wrong with an expression, and where in its source.
type ExprError struct {
	Line, Col int    // 1-based, within the source
	Rule      string // of the finding; "" for expression
	Message   string
}

func (e *ExprError) Error() string { return e.Message }

// Vars is what an expression can see. It is valid while Eval runs.
type Vars struct{ s *step }

// Now is the time of the input being decided.
func (v Vars) Now() time.Time { return v.s.now }

// Instance is who decides.
func (v Vars) Instance() Instance { return v.s.in.Instance }

// Input is the decoded start payload.
func (v Vars) Input() (any, error) {
	s := v.s
	if !s.inputRead {
		s.inputRead = true
		s.input, s.inputErr = plain.Decode(s.chart.Input)
	}
	return s.input, s.inputErr
}

// EventName is the name of the event being handled, "" outside of any.
func (v Vars) EventName() string {
	if v.s.event == nil {
		return ""
	}
	return v.s.event.name
}

// EventData is the decoded data of the event being handled.
func (v Vars) EventData() (any, error) {
	e := v.s.event
	if e == nil {
		return nil, nil
	}
	if !e.read {
		e.read = true
		e.value, e.err = plain.Decode(e.data)
	}
	return e.value, e.err
}

// Data is an instance variable, and whether it is set.
func (v Vars) Data(name string) (events.ContextValue, bool) {
	value, ok := v.s.chart.Data[name]
	return value, ok
}

// Payload is a decoded payload, and whether it is set.
func (v Vars) Payload(name string) (any, bool, error) {
	raw, ok := v.s.chart.Payloads[name]
	if !ok {
		return nil, false, nil
	}
	value, err := plain.Decode(raw)
	return value, true, err
}

// Result is the decoded result of a completed task, the newest of that name.
func (v Vars) Result(invocation string) (any, bool, error) {
	tasks := v.s.chart.Tasks
	for i := range slices.Backward(tasks) {
		if tasks[i].Invocation == invocation && tasks[i].State == events.TaskCompleted {
			value, err := plain.Decode(tasks[i].Result)
			return value, true, err
		}
	}
	return nil, false, nil
}

// Active reports whether the state is part of the configuration.
func (v Vars) Active(id string) bool {
	i, ok := v.s.m.index[id]
	return ok && v.s.config.has(i)
}

// wantKind is what an assignment to a variable of that kind asks for.
func wantKind(kind events.Kind) Want {
	switch kind {
	case events.KindString:
		return WantString
	case events.KindLong:
		return WantLong
	case events.KindDouble:
		return WantDouble
	case events.KindBoolean:
		return WantBool
	case events.KindStrings:
		return WantStrings
	case events.KindMap:
		return WantMap
	default:
		return WantAny
	}
}

// nullJSON is the JSON null.
var nullJSON = json.RawMessage("null")

// errStopped ends what is left of a step that is an incident already.
var errStopped = errors.New("the step is over")

// eval runs an expression; the error knows its place.
func (s *step) eval(e *expr) (any, error) {
	if !s.spend(expressionWork+len(e.source)/4, e.pos) || s.incident != nil {
		return nil, errStopped
	}
	value, err := e.program.Eval(Vars{s})
	if err != nil {
		return nil, &placed{pos: e.pos, err: err}
	}
	return value, nil
}

func (s *step) evalBool(e *expr) (bool, error) {
	value, err := s.eval(e)
	if err != nil {
		return false, err
	}
	ok, isBool := value.(bool)
	if !isBool {
		return false, &placed{pos: e.pos, err: fmt.Errorf("the condition is %s, want true or false", describe(value))}
	}
	return ok, nil
}

// evalText is the text that a template yields; a literal stands for itself.
func (s *step) evalText(t *template) (string, error) {
	value, err := s.evalAny(t)
	if err != nil {
		return "", err
	}
	text, ok := value.(string)
	if !ok {
		return "", &placed{pos: t.pos, err: fmt.Errorf("%s is not text", describe(value))}
	}
	return text, nil
}

func (s *step) evalAny(t *template) (any, error) {
	if t.expr != nil {
		return s.eval(t.expr)
	}
	text, err := s.evalTemplate(t)
	if err != nil {
		return nil, err
	}
	return plain.Decode(text)
}

// MaxDelay bounds a delay.
const MaxDelay = 100 * 365 * 24 * time.Hour

func (s *step) evalDelay(d *delay) (time.Duration, error) {
	if d.expr == nil {
		return d.fixed, nil
	}
	value, err := s.eval(d.expr)
	if err != nil {
		return 0, err
	}
	wait, isDuration := value.(time.Duration)
	if text, isText := value.(string); isText {
		if wait, err = ParseDuration(text); err != nil {
			return 0, &placed{pos: d.expr.pos, err: err}
		}
	} else if !isDuration {
		return 0, &placed{pos: d.expr.pos, err: fmt.Errorf("%s is not a duration", describe(value))}
	}
	if wait > MaxDelay {
		return 0, &placed{pos: d.expr.pos, err: fmt.Errorf("a delay of %s is out of range", wait)}
	}
	return max(wait, 0), nil // a wait until a time that is past is over
}

// evalTemplate is the JSON that a template yields; nil for no template.
func (s *step) evalTemplate(t *template) (json.RawMessage, error) {
	if t == nil {
		return nil, nil
	}
	if s.incident != nil {
		return nil, errStopped
	}
	text := t.literal
	if text == nil {
		var err error
		if text, err = s.appendTemplate(nil, t); err != nil {
			return nil, &placed{pos: errorPos(err, t.pos), err: err}
		}
		s.build(len(text), t.pos)
	}
	if bad := s.m.CheckPayload("the value", len(text)); bad != nil {
		return nil, &placed{pos: t.pos, err: errors.New(bad.Message)}
	}
	return text, nil
}

func (s *step) appendTemplate(b []byte, t *template) ([]byte, error) {
	var err error
	switch {
	case t.expr != nil:
		value, err := s.eval(t.expr)
		if err != nil {
			return b, err
		}
		return plain.Append(b, value)
	case t.literal != nil:
		return append(b, t.literal...), nil
	case t.object:
		b = append(b, '{')
		for i := range t.fields {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(plain.AppendText(b, t.fields[i].name), ':')
			if b, err = s.appendTemplate(b, t.fields[i].value); err != nil {
				return b, err
			}
			if len(b) > events.MaxPayloadLength {
				return b, plain.ErrTooLong
			}
		}
		return append(b, '}'), nil
	default:
		b = append(b, '[')
		for i, item := range t.items {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = s.appendTemplate(b, item); err != nil {
				return b, err
			}
			if len(b) > events.MaxPayloadLength {
				return b, plain.ErrTooLong
			}
		}
		return append(b, ']'), nil
	}
}
