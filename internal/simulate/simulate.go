// Package simulate runs a machine without a broker: item by item, also to look
// around and try, and as the test cases that people ship beside a definition.
package simulate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

// MaxFirings bounds how many timers one item of a simulation may fire.
const MaxFirings = 100_000

// epoch is when a simulation starts.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// Item is one thing that happens in a simulation. Exactly one of Event, Advance
// and Task is set.
type Item struct {
	Event   string          `json:"event,omitempty"`
	Data    json.RawMessage `json:"data,omitempty"`
	Advance string          `json:"advance,omitempty"` // a duration: the clock moves, what is due fires
	Task    string          `json:"task,omitempty"`    // an invocation's id: it ends, with
	Result  json.RawMessage `json:"result,omitempty"`  // this, or
	Error   *events.Error   `json:"error,omitempty"`   // that
}

// UnmarshalJSON reads the name of an event, or an object.
func (i *Item) UnmarshalJSON(text []byte) error {
	if text = bytes.TrimSpace(text); len(text) > 0 && text[0] == '"' {
		return json.Unmarshal(text, &i.Event)
	}
	type plain Item // without this method
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode((*plain)(i)); err != nil {
		return err
	}
	return i.check()
}

func (i *Item) check() error {
	given := 0
	for _, text := range []string{i.Event, i.Advance, i.Task} {
		if text != "" {
			given++
		}
	}
	switch {
	case given != 1:
		return errors.New("want exactly one of event, advance and task")
	case i.Task == "" && (i.Result != nil || i.Error != nil):
		return errors.New("result and error belong to a task")
	case i.Result != nil && i.Error != nil:
		return errors.New("a task has a result or an error, not both")
	}
	return nil
}

// line is what a simulation says of one item.
type line struct {
	Step     int                            `json:"step"`
	Event    *string                        `json:"event"`
	Advance  string                         `json:"advance,omitempty"`
	Active   []string                       `json:"active"`
	Entered  []string                       `json:"entered"`
	Exited   []string                       `json:"exited"`
	State    events.WorkflowState           `json:"workflow_state"`
	Data     map[string]events.ContextValue `json:"data"`
	Effects  []any                          `json:"effects"`
	Ignored  bool                           `json:"ignored,omitempty"`
	Output   json.RawMessage                `json:"output,omitempty"`
	Error    *events.Error                  `json:"error,omitempty"`
	Incident *incident                      `json:"incident,omitempty"`
}

type incident struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	File    string `json:"file"`
	Line    int    `json:"line"`
	Col     int    `json:"col"`
}

// Simulation is an instance without a broker. Its clock moves only by Advance.
type Simulation struct {
	machine  *fsm.Machine
	instance fsm.Instance
	chart    events.Chart
	now      time.Time
	steps    int
	state    events.WorkflowState
	output   json.RawMessage
	failure  *events.Error
}

// New prepares an instance; Start begins it.
func New(m *fsm.Machine) *Simulation {
	return &Simulation{
		machine: m, now: epoch, state: events.WorkflowPending,
		instance: fsm.Instance{
			ID: events.InstanceIDForKey(m.Type(), "simulation"), Type: m.Type(), Key: "simulation", Version: m.Version(),
		},
	}
}

// Run runs a machine and writes one JSON object a line: the start, then
// each item. The error says which item cannot be, or what failed.
func Run(w io.Writer, m *fsm.Machine, input json.RawMessage, items []Item) error {
	s := New(m)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	write := func(l *line, err error) error {
		if l != nil {
			if err := encoder.Encode(l); err != nil {
				return fmt.Errorf("write simulation: %w", err)
			}
		}
		return err
	}
	if err := write(s.start(input)); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	for i := range items {
		if err := write(s.do(&items[i])); err != nil {
			return fmt.Errorf("item %d: %w", i+1, err)
		}
	}
	return nil
}

// Active lists the active atomic and final states.
func (s *Simulation) Active() []string { return s.chart.Active }

// Start begins the instance.
func (s *Simulation) Start(input json.RawMessage) error {
	_, err := s.start(input)
	return err
}

// Do lets one thing happen.
func (s *Simulation) Do(item Item) error {
	_, err := s.do(&item)
	return err
}

func (s *Simulation) start(input json.RawMessage) (*line, error) {
	if err := s.machine.CheckInput(input); err != nil {
		return nil, err
	}
	l := s.line()
	s.state = events.WorkflowRunning
	err := s.step(l, fsm.Input{Kind: fsm.InputStart, Data: input})
	return s.close(l, err)
}

func (s *Simulation) do(item *Item) (*line, error) {
	if err := item.check(); err != nil {
		return nil, err
	}
	l := s.line()
	var err error
	switch {
	case item.Event != "":
		l.Event = &item.Event
		err = s.step(l, fsm.Input{Kind: fsm.InputEvent, Name: item.Event, Data: item.Data})
	case item.Task != "":
		err = s.task(l, item)
	default:
		var wait time.Duration
		if wait, err = fsm.ParseDuration(item.Advance); err == nil {
			l.Advance = item.Advance
			err = s.advance(l, s.now.Add(wait))
		}
	}
	return s.close(l, err)
}

// line begins the output of one item.
func (s *Simulation) line() *line {
	l := &line{Step: s.steps, Entered: []string{}, Exited: []string{}, Effects: []any{}}
	s.steps++
	return l
}

// close fires what is due now and completes the line. An incident is part of
// the line; other errors replace it.
func (s *Simulation) close(l *line, err error) (*line, error) {
	if err == nil {
		err = s.advance(l, s.now)
	}
	if parked, ok := errors.AsType[*fsm.Incident](err); ok {
		l.Incident = &incident{parked.Code, parked.Message, parked.File, parked.Line, parked.Col}
	} else if err != nil {
		return nil, err
	}
	l.Active = append([]string{}, s.chart.Active...)
	l.State, l.Output, l.Error = s.state, s.output, s.failure
	l.Data = s.chart.Data
	if l.Data == nil {
		l.Data = map[string]events.ContextValue{}
	}
	return l, err
}

// advance moves the clock and fires what becomes due, in order.
func (s *Simulation) advance(l *line, to time.Time) error {
	for fired := 0; ; fired++ {
		next := -1
		for i := range s.chart.Timers {
			t := &s.chart.Timers[i]
			if !t.Due.After(to) && (next < 0 || t.Due.Before(s.chart.Timers[next].Due)) {
				next = i
			}
		}
		if next < 0 {
			s.now = to
			return nil
		}
		if fired >= MaxFirings {
			return fmt.Errorf("more than %d timers fire without an end", MaxFirings)
		}
		timer := s.chart.Timers[next]
		if timer.Due.After(s.now) {
			s.now = timer.Due
		}
		if err := s.step(l, fsm.Input{Kind: fsm.InputTimer, TimerID: timer.ID}); err != nil {
			return err
		}
	}
}

// task ends the newest open attempt of an invocation.
func (s *Simulation) task(l *line, item *Item) error {
	at := -1
	for i := range s.chart.Tasks {
		if t := &s.chart.Tasks[i]; t.Invocation == item.Task && (at < 0 || !t.State.Finished()) {
			at = i
		}
	}
	if at < 0 {
		return fmt.Errorf("no active state has a task %q", item.Task)
	}
	t := &s.chart.Tasks[at]
	if t.State != events.TaskScheduled && t.State != events.TaskRunning && t.State != events.TaskWaitingForInput {
		return fmt.Errorf("task %q is %s: it cannot end now", item.Task, t.State)
	}
	name := "done.invoke." + item.Task
	result := &events.TaskResult{TaskID: t.TaskID, Attempt: t.Attempt, State: events.TaskCompleted}
	if item.Error != nil {
		name = "error.invoke." + item.Task
		result.State, result.Error = events.TaskFailed, item.Error
	}
	l.Event = &name
	return s.step(l, fsm.Input{Kind: fsm.InputResult, Task: result, Data: item.Result})
}

// step makes one decision and adds it to the line.
func (s *Simulation) step(l *line, in fsm.Input) error {
	in.Instance, in.Now = s.instance, s.now
	before := s.chart.Timers
	chart, effects, err := s.machine.Step(s.chart, in)
	if err != nil {
		return err
	}
	s.chart = chart
	timers := slices.Clone(before)
	for _, e := range effects {
		if set, ok := e.(fsm.TimerSet); ok {
			timers = append(timers, set.Timer)
		}
		s.note(l, e, timers)
	}
	return nil
}

// note adds one effect to the line.
func (s *Simulation) note(l *line, e fsm.Effect, timers []events.Timer) {
	switch e := e.(type) {
	case fsm.Started:
		l.Entered = append(l.Entered, e.Entered...)
	case fsm.Transitioned:
		l.Entered, l.Exited = append(l.Entered, e.Entered...), append(l.Exited, e.Exited...)
	case fsm.Ignored:
		l.Ignored = true
	case fsm.CompensationStarted:
		s.state = events.WorkflowCompensating
		if !s.ended() {
			s.state = events.WorkflowRunning
		}
	case fsm.Ended:
		s.state, s.output, s.failure = e.State, e.Output, e.Error
	}
	if shown := show(e, timers); shown != nil {
		l.Effects = append(l.Effects, shown)
	}
}

// ended reports whether the instance is past its final state: only undoing goes on.
func (s *Simulation) ended() bool {
	_, effects, err := s.machine.Step(s.chart, fsm.Input{Kind: fsm.InputEvent, Instance: s.instance, Now: s.now, Name: "?"})
	if err != nil || len(effects) != 1 {
		return false
	}
	ignored, ok := effects[0].(fsm.Ignored)
	return ok && ignored.Code == fsm.Finished
}
