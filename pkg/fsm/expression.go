package fsm

import (
	"encoding/json"
	"math"
	"slices"
	"time"

	"github.com/leat-io/leat/pkg/events"
)

// Expressions compiles the expressions of one definition. pkg/definition brings
// CEL; a test may bring its own.
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
		s.input, s.inputErr = decodeJSON(s.chart.Input)
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
		e.value, e.err = decodeJSON(e.data)
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
	value, err := decodeJSON(raw)
	return value, true, err
}

// Result is the decoded result of a completed task, the newest of that name.
func (v Vars) Result(invocation string) (any, bool, error) {
	tasks := v.s.chart.Tasks
	for i := range slices.Backward(tasks) {
		if tasks[i].Invocation == invocation && tasks[i].State == events.TaskCompleted {
			value, err := decodeJSON(tasks[i].Result)
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

// toKind makes a value of an instance variable's kind. An integer is a double
// where there is one that is the same number.
func toKind(value any, kind events.Kind) (events.ContextValue, bool) {
	switch v := value.(type) {
	case string:
		return events.String(v), kind == events.KindString && len(v) <= events.MaxPayloadLength
	case int64, json.Number, float64:
		return toNumber(v, kind)
	case bool:
		return events.Boolean(v), kind == events.KindBoolean
	case []any:
		return toStrings(v, kind)
	case map[string]any:
		return toMap(v, kind)
	}
	return events.ContextValue{}, false
}

// toNumber takes a number of whatever notation for the integer or the double
// that it is.
func toNumber(value any, kind events.Kind) (events.ContextValue, bool) {
	switch v := value.(type) {
	case int64:
		if kind == events.KindDouble {
			return toDouble(v)
		}
		return events.Long(v), kind == events.KindLong
	case json.Number: // such as 9007199254740993.0, which is not a double
		n, whole := events.ParseWhole(string(v))
		return events.Long(n), whole && kind == events.KindLong
	case float64:
		if kind == events.KindLong && v == math.Trunc(v) && v >= -1<<63 && v < 1<<63 { // 100.0 and 1e2 are integers
			return events.Long(int64(v)), true
		}
		double := events.Double(v)
		return double, kind == events.KindDouble && double.Validate() == nil
	}
	return events.ContextValue{}, false
}

// toDouble refuses an integer that would become another number.
func toDouble(n int64) (events.ContextValue, bool) {
	f := float64(n)
	return events.Double(f), f < 1<<63 && int64(f) == n
}

func toStrings(list []any, kind events.Kind) (events.ContextValue, bool) {
	texts, size := make([]string, len(list)), 0
	for i, item := range list {
		text, ok := item.(string)
		if !ok {
			return events.ContextValue{}, false
		}
		texts[i] = text
		size += len(text) + 8
	}
	return events.Strings(texts), kind == events.KindStrings && size <= events.MaxPayloadLength
}

func toMap(dict map[string]any, kind events.Kind) (events.ContextValue, bool) {
	texts, size := make(map[string]string, len(dict)), 0
	for key, item := range dict {
		text, ok := item.(string)
		if !ok {
			return events.ContextValue{}, false
		}
		texts[key] = text
		size += len(key) + len(text) + 8
	}
	return events.Map(texts), kind == events.KindMap && size <= events.MaxPayloadLength
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
