package simulate

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

// Look is what a simulation shows of its state.
type Look struct {
	Elapsed  time.Duration // since the start
	State    events.WorkflowState
	Active   []string // active atomic and final states
	Data     []Named  // by name, payloads included
	Timers   []Waiting
	Tasks    []Open
	Output   json.RawMessage
	Error    *events.Error
	Handlers []Handler
}

// Named is a variable or payload as JSON.
type Named struct {
	Name  string
	Value string
}

// Waiting is a timer or a delayed send, by when it is due.
type Waiting struct {
	Name string
	In   time.Duration
}

// Open is a task that has not ended.
type Open struct {
	ID, Name string
	State    events.TaskState
	Attempt  int32
}

// Handler is an event that an active state waits for.
type Handler struct {
	Event   string
	Pattern bool // a.b.* or *: a name is still to be chosen
	Reacts  bool // it would change something, without data
}

// Clone is a second simulation in the same state.
func (s *Simulation) Clone() *Simulation {
	out := *s // a step never changes the chart that it was given
	return &out
}

// Begin starts the instance; the line is what Simulate would print.
func (s *Simulation) Begin(input json.RawMessage) ([]byte, error) { return asText(s.start(input)) }

// Try lets one thing happen; the line is what Simulate would print. After an
// error that is no incident nothing has changed.
func (s *Simulation) Try(item Item) ([]byte, error) { return asText(s.do(&item)) }

func asText(l *line, err error) ([]byte, error) {
	if l == nil {
		return nil, err
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if failed := encoder.Encode(l); failed != nil {
		return nil, failed
	}
	return bytes.TrimSpace(out.Bytes()), err
}

// Look returns the state of the simulation.
func (s *Simulation) Look() Look {
	out := Look{
		Elapsed: s.now.Sub(epoch), State: s.state, Active: s.chart.Active, Output: s.output, Error: s.failure, Handlers: s.handlers(),
	}
	for _, name := range slices.Sorted(maps.Keys(s.chart.Data)) {
		text, _ := s.chart.Data[name].MarshalJSON()
		out.Data = append(out.Data, Named{name, string(text)})
	}
	for _, name := range slices.Sorted(maps.Keys(s.chart.Payloads)) {
		out.Data = append(out.Data, Named{name, string(s.chart.Payloads[name])})
	}
	for i := range s.chart.Timers {
		t := &s.chart.Timers[i]
		name := timerName(t)
		if name == "" {
			name = string(t.Kind) + " of " + t.Ref
		}
		out.Timers = append(out.Timers, Waiting{name, t.Due.Sub(s.now)})
	}
	slices.SortStableFunc(out.Timers, func(a, b Waiting) int { return int(a.In - b.In) })
	for i := range s.chart.Tasks {
		if t := &s.chart.Tasks[i]; !t.State.Finished() {
			out.Tasks = append(out.Tasks, Open{t.Invocation, t.Name, t.State, t.Attempt})
		}
	}
	return out
}

// handlers are the events that the active states wait for, each once: those of
// inner states first.
func (s *Simulation) handlers() []Handler {
	if s.ended() {
		return nil
	}
	var out []Handler
	seen := make(map[string]bool)
	states, parent := tree(s.machine.Definition().Root)
	for _, id := range s.chart.Active {
		for at := states[id]; at != nil; at = parent[at] {
			for _, t := range at.On {
				for _, name := range t.Events {
					if seen[name] || fsm.Reserved(name) {
						continue
					}
					seen[name] = true
					pattern := name[len(name)-1] == '*'
					out = append(out, Handler{Event: name, Pattern: pattern, Reacts: pattern || s.reacts(name)})
				}
			}
		}
	}
	return out
}

// tree finds the states below root by their ids, and what each is a part of.
func tree(root *fsm.State) (states map[string]*fsm.State, parent map[*fsm.State]*fsm.State) {
	states, parent = make(map[string]*fsm.State), make(map[*fsm.State]*fsm.State)
	var visit func(*fsm.State)
	visit = func(s *fsm.State) {
		for _, child := range s.States {
			states[child.ID], parent[child] = child, s
			visit(child)
		}
	}
	visit(root)
	return states, parent
}

// reacts asks a copy: a step changes nothing of what it was given.
func (s *Simulation) reacts(event string) bool {
	_, effects, err := s.machine.Step(s.chart, fsm.Input{Kind: fsm.InputEvent, Instance: s.instance, Now: s.now, Name: event})
	if err != nil {
		return false
	}
	for _, e := range effects {
		if _, ignored := e.(fsm.Ignored); ignored {
			return false
		}
	}
	return true
}
