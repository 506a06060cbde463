package fsm

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	"github.com/leat-io/leat/internal/plain"
	"github.com/leat-io/leat/pkg/events"
)

// placed is an error of an expression that knows its place.
type placed struct {
	pos Pos
	err error
}

func (p *placed) Error() string { return p.err.Error() }
func (p *placed) Unwrap() error { return p.err }

// errorPos is the place that an error knows, else the other one.
func errorPos(err error, other Pos) Pos {
	if at, ok := errors.AsType[*placed](err); ok {
		return at.pos
	}
	return other
}

// act does what a transition says: its assignments, then its actions.
func (s *step) act(t *transition) {
	if err := s.assign(t.assign); err != nil {
		s.raiseError(err, errorPos(err, t.pos))
		return
	}
	s.run(t.actions)
}

// run does one block of actions. An error raises error.execution and skips the
// rest of the block.
func (s *step) run(block []action) {
	if err := s.runAll(block); err != nil {
		s.raiseError(err, errorPos(err, Pos{}))
	}
}

func (s *step) runAll(block []action) error {
	for i := range block {
		if s.incident != nil || !s.spend(actionWork, block[i].def.Pos) {
			return nil //nolint:nilerr // the incident says it
		}
		if err := s.do(&block[i]); err != nil {
			if _, ok := errors.AsType[*placed](err); !ok {
				err = &placed{pos: block[i].def.Pos, err: err}
			}
			return err
		}
	}
	return nil
}

func (s *step) do(a *action) error {
	switch a.def.Kind {
	case ActionAssign:
		return s.assign(a.assign)
	case ActionIf:
		ok, err := s.evalBool(a.cond)
		if err != nil {
			return &placed{pos: a.cond.pos, err: err}
		}
		if ok {
			return s.runAll(a.then)
		}
		return s.runAll(a.or)
	case ActionCancel:
		s.cancelSend(a.def.Event)
		return nil
	case ActionCompensate:
		s.compensate(a.compensate)
		return nil
	case ActionLog:
		return s.log(a)
	default:
		return s.say(a)
	}
}

// say raises, emits or sends an event.
func (s *step) say(a *action) error {
	data, err := s.evalTemplate(a.data)
	if err != nil {
		return err
	}
	switch a.def.Kind {
	case ActionRaise:
		s.raise(&event{name: a.def.Event, data: data})
	case ActionEmit:
		s.emit(Emitted{Event: a.def.Event, Data: data})
	default:
		return s.send(a, data)
	}
	return nil
}

func (s *step) log(a *action) error {
	if a.data.expr == nil {
		s.emit(Logged{Message: string(a.data.literal)})
		return nil
	}
	value, err := s.eval(a.data.expr)
	if err != nil {
		return err
	}
	message, isText := value.(string)
	if !isText {
		text, err := plain.Append(nil, value)
		if err != nil {
			return err
		}
		message = string(text)
	}
	s.emit(Logged{Message: message})
	return nil
}

// delayed is what a timer keeps of a delayed send to another instance.
type delayed struct {
	To    string          `json:"to"`
	Type  string          `json:"type"`
	Event string          `json:"event"`
	Data  json.RawMessage `json:"data,omitempty"`
}

// send puts an event into the instance's own queue, sends it to another
// instance, or sets a timer that will do one of the two.
func (s *step) send(a *action, data json.RawMessage) error {
	out := delayed{Type: a.def.Type, Event: a.def.Event, Data: data}
	if a.to != nil {
		var err error
		if out.To, err = s.evalText(a.to); err != nil {
			return err
		}
		if out.To == "" {
			return errors.New("send: the receiver's name is empty")
		}
		if out.Type == "" {
			out.Type = s.m.Type()
		}
	}
	if a.delay == nil {
		s.deliver(out)
		return nil
	}
	wait, err := s.evalDelay(a.delay)
	if err != nil {
		return err
	}
	timer := events.Timer{Kind: events.TimerSend, Due: s.now.Add(wait), Ref: a.def.ID, Event: a.def.Event, Data: data}
	if out.To != "" {
		timer.Event = "" // the data says it all
		if timer.Data, err = events.EncodeJSON(out); err != nil {
			return err
		}
	}
	s.setTimer(timer)
	return nil
}

func (s *step) deliver(out delayed) {
	if out.To == "" {
		s.external = append(s.external, &event{name: out.Event, data: out.Data})
		return
	}
	s.emit(SendSignal(out))
}

// assign computes all values from the data as they were before, and writes them.
func (s *step) assign(list []assign) error {
	if len(list) == 0 {
		return nil
	}
	var few [4]events.ContextValue
	values := few[:0]
	var loads []json.RawMessage
	for i := range list {
		a := &list[i]
		var value events.ContextValue
		var load json.RawMessage
		var err error
		if a.payload != nil {
			load, err = s.evalPayload(a)
		} else {
			value, err = s.evalValue(a)
		}
		if err != nil {
			return &placed{pos: errorPos(err, a.value.pos), err: err}
		}
		values = append(values, value)
		if a.payload != nil && loads == nil {
			loads = make([]json.RawMessage, len(list))
		}
		if a.payload != nil {
			loads[i] = load
		}
	}
	for i := range list {
		if list[i].payload != nil {
			s.setPayload(list[i].name, loads[i])
		} else {
			s.setData(list[i].name, values[i])
		}
	}
	return nil
}

// evalValue computes what is assigned to a variable.
func (s *step) evalValue(a *assign) (events.ContextValue, error) {
	if a.fixed.Kind() != events.KindNone {
		return a.fixed, nil
	}
	var value any
	var err error
	if a.value.expr != nil {
		value, err = s.eval(a.value.expr)
	} else {
		var text json.RawMessage
		if text, err = s.evalTemplate(a.value); err == nil {
			value, err = plain.Decode(text)
		}
	}
	if err != nil {
		return events.ContextValue{}, err
	}
	out, ok := plain.Value(value, a.kind)
	if !ok {
		is := describe(value)
		if n, ok := value.(int64); ok && a.kind == events.KindDouble {
			is = fmt.Sprintf("%d, which no double is,", n)
		}
		return out, fmt.Errorf("%s cannot be assigned to %q, which is a %s", is, a.name, a.kind)
	}
	return out, nil
}

func (s *step) evalPayload(a *assign) (json.RawMessage, error) {
	text, err := s.evalTemplate(a.value)
	if err != nil {
		return nil, err
	}
	if len(text) > events.MaxPayloadLength {
		return nil, fmt.Errorf("payload %q would be %d bytes, at most %d", a.name, len(text), events.MaxPayloadLength)
	}
	if a.payload.Check != nil {
		if err := a.payload.Check(text); err != nil {
			return nil, fmt.Errorf("payload %q: %w", a.name, err)
		}
	}
	return text, nil
}

// describe names a value's kind for a message; it never shows the content.
func describe(value any) string {
	switch v := value.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case int64:
		return "an integer"
	case float64:
		return "a double"
	case json.Number:
		return clip(string(v)) + ", which no 64-bit integer and no double is,"
	case string:
		if len(v) > events.MaxPayloadLength {
			return "text of more than 256 KiB"
		}
		return "text"
	case []any:
		return "this list"
	case map[string]any:
		return "this map"
	default:
		return fmt.Sprintf("a %T", value)
	}
}

func (s *step) setData(name string, value events.ContextValue) {
	if !s.owns.data {
		s.owns.data = true
		s.chart.Data = maps.Clone(s.chart.Data)
		if s.chart.Data == nil {
			s.chart.Data = make(map[string]events.ContextValue, len(s.m.def.Data))
		}
	}
	s.chart.Data[name] = value
}

func (s *step) setPayload(name string, value json.RawMessage) {
	if !s.owns.payloads {
		s.owns.payloads = true
		s.chart.Payloads = maps.Clone(s.chart.Payloads)
		if s.chart.Payloads == nil {
			s.chart.Payloads = make(map[string]json.RawMessage)
		}
	}
	s.chart.Payloads[name] = value
}

// cancelSend ends every pending send with that id.
func (s *step) cancelSend(id string) {
	s.cancelTimers(func(t *events.Timer) bool { return t.Kind == events.TimerSend && t.Ref == id })
}

// ownTasks makes the task list writable.
func (s *step) ownTasks() {
	if !s.owns.tasks {
		s.owns.tasks = true
		s.chart.Tasks = owned(s.chart.Tasks)
	}
}

// owned copies a list that may be long, with room for what is added to it: else
// it would be copied a second time for that.
func owned[T any](list []T) []T {
	if list == nil {
		return nil
	}
	return append(make([]T, 0, len(list)+len(list)/16+1), list...)
}
