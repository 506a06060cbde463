package fsm

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/leat-io/leat/pkg/events"
)

// errStopped ends what is left of a step that is an incident already.
var errStopped = errors.New("the step is over")

// eval runs an expression; the error knows where it stands.
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
	return decodeJSON(text)
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
		return appendJSON(b, value)
	case t.literal != nil:
		return append(b, t.literal...), nil
	case t.object:
		b = append(b, '{')
		for i := range t.fields {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendText(b, t.fields[i].name), ':')
			if b, err = s.appendTemplate(b, t.fields[i].value); err != nil {
				return b, err
			}
			if len(b) > events.MaxPayloadLength {
				return b, errTooLong
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
				return b, errTooLong
			}
		}
		return append(b, ']'), nil
	}
}
