package fsm

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/leat-io/leat/internal/plain"
	"github.com/leat-io/leat/pkg/events"
)

// MaxMicrosteps bounds one macrostep, and MaxMacrosteps one step (a step has
// more than one when the instance sends events to itself).
const (
	MaxMicrosteps = 1000
	MaxMacrosteps = 1000
)

// errorExecution is the event that a failed expression raises.
const errorExecution = "error.execution"

// Step decides what follows from an input. It returns the chart after it and
// the effects in the order in which they happened; it never changes the chart
// that it was given, though the two may share what is equal. The error is an
// *[Incident], and then nothing of the step counts, or says that the chart does
// not belong to this machine.
func (m *Machine) Step(chart events.Chart, in Input) (events.Chart, []Effect, error) {
	s := &step{m: m, in: in, now: events.Instant(in.Now), chart: chart, before: chart.Active, running: true}
	s.effects = s.effectsBuf[:0]
	if in.Work != nil {
		defer func() { *in.Work += s.work }()
	}
	if err := s.load(); err != nil {
		return chart, nil, err
	}
	var ignored Effect
	if m.ended(&chart) && in.Kind != InputStart {
		ignored = s.afterEnd()
	} else {
		ignored = s.decide()
	}
	switch {
	case s.incident != nil:
		return chart, nil, s.incident
	case ignored != nil:
		return chart, []Effect{ignored}, nil
	}
	s.store()
	return s.chart, s.effects, nil
}

// step is one decision being made. It lives for one call of Step.
type step struct {
	m     *Machine
	in    Input
	now   time.Time
	chart events.Chart // a shallow copy: owns says which parts are its own
	owns  struct{ data, payloads, history, tasks, timers bool }

	before []string // the configuration that it began with

	config   set // the configuration, ancestors included
	toInvoke set // entered in this macrostep, not yet invoked
	dirty    set // states whose task DAG may go on
	entrySet set
	defaults set // compound states entered by default
	words    [10]uint64

	enabled    []*transition
	enabledBuf [4]*transition
	domains    []int // of the enabled transitions, in a microstep
	domainsBuf [4]int

	event    *event
	internal []*event
	external []*event
	trigger  event // of the input

	exited, entered []string
	effects         []Effect
	effectsBuf      [4]Effect

	running  bool // no top-level final state has been entered
	reacted  bool // a transition was taken, or a task or timer changed
	incident *Incident
	work     int // done so far, in units of MaxWork
	built    int // bytes that expressions made so far
	carried  int // bytes that the effects carry so far

	input     any // decoded start payload
	inputErr  error
	inputRead bool
}

// event is one event in a queue.
type event struct {
	name    string
	data    json.RawMessage
	invoker *invocation // of done.invoke and error.invoke
	cause   *Incident   // of error.execution: the incident when no state handles it

	value any // data, decoded
	err   error
	read  bool
}

// load makes the sets, and the configuration from the chart's active states.
func (s *step) load() error {
	words := (len(s.m.states) + 63) / 64
	memory := s.words[:]
	if 5*words > len(memory) {
		memory = make([]uint64, 5*words)
	}
	sets := [...]*set{&s.config, &s.toInvoke, &s.dirty, &s.entrySet, &s.defaults}
	for i, target := range sets {
		*target = memory[i*words : (i+1)*words : (i+1)*words]
	}
	if s.in.Kind == InputStart {
		if len(s.chart.Active) > 0 {
			return fmt.Errorf("step: instance %s has started already", s.in.Instance.ID)
		}
		return nil
	}
	if len(s.chart.Active) == 0 {
		return fmt.Errorf("step: instance %s has not started", s.in.Instance.ID)
	}
	for _, id := range s.chart.Active {
		i, ok := s.m.index[id]
		if !ok {
			return fmt.Errorf("step: version %d of %s has no state %q", s.m.Version(), s.m.Type(), id)
		}
		for ; i >= 0 && !s.config.has(i); i = s.m.states[i].parent {
			s.config.add(i)
		}
	}
	return nil
}

// decide dispatches on the input. The effect is not nil when nothing reacted.
func (s *step) decide() Effect {
	switch s.in.Kind {
	case InputStart:
		s.start()
		return nil
	case InputEvent:
		return s.signal()
	case InputTimer:
		return s.fire()
	case InputStop:
		s.stop(s.in.Stop)
		s.later()
		return nil
	case InputRetry:
		return s.retryWaiting()
	default:
		return s.report()
	}
}

// start enters the initial states.
func (s *step) start() {
	s.chart = events.Chart{Input: s.in.Data}
	for i := range s.m.def.Data {
		if v := &s.m.def.Data[i]; v.Default.Kind() != events.KindNone {
			s.setData(v.Name, v.Default)
		}
	}
	s.reacted = true
	s.armRuntime()
	s.addDescendants(root)
	s.enterSet()
	s.settle()
	if s.incident == nil {
		s.effects = slices.Insert(s.effects, 0, Effect(Started{Active: s.activeNames(), Entered: s.entered}))
	}
	s.entered, s.exited = nil, nil
	s.later()
}

// signal handles an external event.
func (s *step) signal() Effect {
	if Reserved(s.in.Name) {
		return Ignored{Code: ReservedEvent, Message: fmt.Sprintf("event %q is the engine's own: a signal cannot have that name", s.in.Name)}
	}
	s.trigger = event{name: s.in.Name, data: s.in.Data}
	s.macrostep(&s.trigger)
	s.later()
	if !s.reacted {
		return Ignored{Code: UnhandledEvent, Message: fmt.Sprintf("no transition is enabled by %q in %v", s.in.Name, s.chart.Active)}
	}
	return nil
}

// later runs the macrosteps of the events that the instance sent to itself, and
// ends the instance when it has come to its end.
func (s *step) later() {
	for count := 0; s.running && s.incident == nil && len(s.external) > 0; count++ {
		next := s.external[0]
		s.external = s.external[1:]
		if count >= MaxMacrosteps {
			s.fail(CodeMicrosteps, fmt.Sprintf("more than %d events to itself in one step", MaxMacrosteps), s.m.def.Pos)
			return
		}
		s.macrostep(next)
	}
	if !s.running && s.incident == nil {
		s.finish()
	}
}

// macrostep handles one external event and all that follows from it at once.
func (s *step) macrostep(trigger *event) {
	mark := len(s.effects)
	s.event = trigger
	s.selectFor(trigger)
	if len(s.enabled) > 0 {
		s.microstep()
	}
	s.settle()
	s.note(mark, trigger.name)
}

// settle takes eventless transitions and internal events until none is left,
// starts what the states that it came to ask for, and goes on if that raised
// something.
func (s *step) settle() {
	for count := 0; s.running && s.incident == nil; count++ {
		s.selectEventless()
		if len(s.enabled) == 0 {
			if len(s.internal) == 0 {
				if s.invokeAll(); len(s.internal) == 0 {
					return
				}
				continue
			}
			s.event = s.internal[0]
			s.internal = s.internal[1:]
			s.selectFor(s.event)
			if len(s.enabled) == 0 {
				if s.event.cause != nil {
					s.incident = s.event.cause
				}
				count--
				continue
			}
		}
		if count >= MaxMicrosteps {
			s.fail(CodeMicrosteps, fmt.Sprintf("more than %d microsteps in one macrostep: the chart loops without progress", MaxMicrosteps), s.enabled[0].pos)
			return
		}
		s.microstep()
	}
}

// microstep takes the enabled transitions: leaves, acts, enters. What they leave
// and enter is bounded by the same domain: it is computed once, because leaving
// changes what a history state remembers. (Appendix D computes it twice, and then
// a first visit to a deep history from inside ends in no legal configuration.)
func (s *step) microstep() {
	s.reacted = true
	if !s.spend(microstepWork+len(s.m.states)/8, s.enabled[0].pos) {
		return
	}
	s.domains = s.domainsBuf[:0]
	for _, t := range s.enabled {
		s.domains = append(s.domains, s.domain(t))
	}
	s.exitStates()
	for _, t := range s.enabled {
		s.act(t)
	}
	s.enterStates()
}

// note records the macrostep that began when the effects had length mark.
func (s *step) note(mark int, name string) {
	if len(s.exited) == 0 && len(s.entered) == 0 || s.incident != nil {
		return
	}
	s.effects = slices.Insert(s.effects, mark, Effect(Transitioned{
		Event: name, Exited: s.exited, Entered: s.entered, Active: s.activeNames(),
	}))
	s.exited, s.entered = nil, nil
}

// fail makes the step an incident; the first one counts.
func (s *step) fail(code, message string, pos Pos) {
	if s.incident == nil {
		s.incident = s.newIncident(code, message, pos)
	}
}

func (s *step) newIncident(code, message string, pos Pos) *Incident {
	return &Incident{Code: code, Message: events.Cut(message, events.MaxMessageLength), File: s.m.def.File, Line: pos.Line, Col: pos.Col}
}

// activeNames lists the active atomic and final states in document order.
func (s *step) activeNames() []string {
	first, count := -1, 0
	for i := s.config.next(0); i >= 0; i = s.config.next(i + 1) {
		if s.m.states[i].leaf() {
			if count++; count == 1 {
				first = i
			}
		}
	}
	if count == 1 {
		return s.m.states[first].self
	}
	names := make([]string, 0, count)
	for i := s.config.next(0); i >= 0; i = s.config.next(i + 1) {
		if s.m.states[i].leaf() {
			names = append(names, s.m.states[i].id)
		}
	}
	return names
}

func (s *state) leaf() bool { return s.kind == Atomic || s.kind == Final }

// store writes the configuration back into the chart, and leaves no empty slice
// or map in it, so that a chart is equal to what is read back from a record.
func (s *step) store() {
	s.chart.Active = s.activeNames()
	if len(s.chart.Tasks) == 0 {
		s.chart.Tasks = nil
	}
	if len(s.chart.Timers) == 0 {
		s.chart.Timers = nil
	}
	if len(s.chart.History) == 0 {
		s.chart.History = nil
	}
}

// emit records an effect.
func (s *step) emit(e Effect) {
	if len(s.effects) >= MaxEffects {
		s.fail(CodeWork, fmt.Sprintf("one step does too much: more than %d effects", MaxEffects), s.m.def.Pos)
		return
	}
	if s.carried += carried(e); s.carried > MaxBytes {
		s.fail(CodeWork, fmt.Sprintf("one step does too much: its effects are more than %d MiB", MaxBytes>>20), s.m.def.Pos)
		return
	}
	s.effects = append(s.effects, e)
}

// raise puts an event at the end of the internal queue.
func (s *step) raise(e *event) { s.internal = append(s.internal, e) }

// raiseError tells the chart that an expression failed.
func (s *step) raiseError(err error, pos Pos) {
	cause := s.newIncident(CodeExpression, err.Error(), pos)
	data, _ := plain.Append(nil, map[string]any{
		"code": CodeExpression, "message": cause.Message, "line": int64(pos.Line), "col": int64(pos.Col),
	})
	s.raise(&event{name: errorExecution, data: data, cause: cause})
}
